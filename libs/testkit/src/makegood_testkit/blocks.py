"""How many blocks a statement looks at: what tells whether it stays cheap when its tables grow, on any machine."""

from __future__ import annotations

import json
from typing import Any

from makegood_chassis.database import Queries


async def blocks_of(queries: Queries, sql: str, *args: Any) -> int:
    """Runs the statement and returns how many blocks of tables and indexes it looked at."""
    plan = await queries.fetch_value(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *args)
    top: dict[str, Any] = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])

"""Divides tables by time with the statements of docs/how-to/scaling.md, as an operator would."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from typing import Any

from makegood_stack.home import find_root

from makegood_testkit.databases import as_owner, migrate_service


def _bound(moment: datetime) -> str:
    """The least id of this moment."""
    return f"{int(moment.timestamp() * 1000):012x}".ljust(32, "0")


def _statements(table: str) -> list[str]:
    """The page's blocks of statements about a table, in their order."""
    page = (find_root() / "docs" / "how-to" / "scaling.md").read_text()
    blocks = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    return [block for block in blocks if re.search(rf"\b{table}_next\b", block)]


async def divide(url: str, service: str, table: str, at: datetime) -> None:
    """The rows that are there become the first partition, which ends `at`. `url`: of the service's test database."""
    await _run(url, service, _statements(table)[0].replace("BOUND", _bound(at)))


async def begin_another(url: str, service: str, table: str, at: datetime, following: datetime) -> None:
    """Ends the newest partition, which began `at`, and begins another."""
    block = _statements(table)[1].replace("BOUND", _bound(at)).replace("NEXT", _bound(following))
    await _run(url, service, block)


async def _run(url: str, service: str, block: str) -> None:
    async with as_owner(url) as owner:
        await owner.execute(block)
    migrate: Any = migrate_service(service)  # grants the rights again
    await asyncio.to_thread(migrate, url)

"""What booking's topic told of the policy: how long an offer of the waitlist is held."""

from __future__ import annotations

from datetime import timedelta

from makegood_chassis.database import Queries, UnitOfWork

from makegood_availability.domain.waitlist import OFFER

# Of what was told twice, or out of a topic read anew, the latest version stands.
_SAVE = """
INSERT INTO policy (version, offer_minutes) VALUES ($1, $2)
ON CONFLICT (single) DO UPDATE SET version = excluded.version, offer_minutes = excluded.offer_minutes
WHERE policy.version < excluded.version
"""


async def save(unit: UnitOfWork, version: int, offer_minutes: int) -> None:
    """Keeps the policy, unless a later one is known."""
    await unit.execute(_SAVE, version, offer_minutes)


async def offer_time(queries: Queries) -> timedelta:
    """How long an offer that is made now is held."""
    row = await queries.fetch_one("SELECT offer_minutes FROM policy")
    return OFFER if row is None else timedelta(minutes=row[0])

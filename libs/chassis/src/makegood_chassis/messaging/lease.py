"""A lease has one holder at a time, across processes and machines. It is a row with a fencing number, in the
database's real time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from makegood_chassis.database import Database
from makegood_chassis.messaging import failpoints

_TAKE: Final = """
INSERT INTO leases AS lease (name, holder, fence, expires_at)
VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, fence = lease.fence + 1, expires_at = excluded.expires_at
WHERE lease.expires_at <= clock_timestamp()
RETURNING fence
"""
_FREE: Final = "SELECT coalesce((SELECT expires_at <= clock_timestamp() FROM leases WHERE name = $1), true)"
_RENEW: Final = """
UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => $4)
WHERE name = $1 AND holder = $2 AND fence = $3 RETURNING {}
"""
_RELEASE: Final = """
WITH released AS (
    UPDATE leases SET expires_at = clock_timestamp() WHERE name = $1 AND holder = $2 AND fence = $3 RETURNING 1
)
SELECT pg_notify($4, '') FROM released
"""


class Lease:
    """`held` uses this process's own clock, from before the last renewal was sent. So the lease ends here first.

    `question`: SQL that each renewal answers as well, so that asking costs no statement of its own. If the answer is true,
    `on_yes` is called.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        holder: str,
        *,
        seconds: float = 4.0,
        question: str = "false",
        on_yes: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self.name = name
        self.holder = holder
        self.seconds = seconds
        self.fence = 0
        self._renew, self._on_yes = _RENEW.format(question), on_yes
        self._until = 0.0

    @property
    def held(self) -> bool:
        return time.monotonic() < self._until

    async def take(self) -> bool:
        """Tries to become the holder. Returns True if it worked; the fencing number has then risen by one."""
        asked = time.monotonic()
        async with self._database.reading() as queries:
            if not await queries.fetch_value(_FREE, self.name):
                return False
            fence = await queries.fetch_value(_TAKE, self.name, self.holder, self.seconds)
        if fence is None:
            return False
        self.fence, self._until = fence, asked + self.seconds
        return True

    async def renew(self) -> bool:
        """Prolongs the lease. Returns False if somebody else took it in the meantime."""
        asked = time.monotonic()
        async with self._database.reading() as queries:
            row = await queries.fetch_one(self._renew, self.name, self.holder, self.fence, self.seconds)
        failpoints.reached("lease.renewed")
        if row is None:
            self._until = 0.0
            return False
        self._until = asked + self.seconds
        if row[0]:
            self._on_yes()
        return True

    def lost(self) -> None:
        self._until = 0.0

    async def release(self, channel: str) -> None:
        """Ends the lease at once, and wakes those who wait for it on `channel`."""
        self._until = 0.0
        async with self._database.reading() as queries:
            await queries.execute(_RELEASE, self.name, self.holder, self.fence, channel)

    async def keep(self) -> None:
        """Renews the lease well before its end, and returns once it is lost. While the database is away, it tries
        again until the end."""
        while self.held:
            await asyncio.sleep(self.seconds / 3)
            try:
                if not await self.renew():
                    return
            except Exception:
                # Whatever went wrong, the lease ends by itself if no later try succeeds.
                await asyncio.sleep(0.1)

"""Tokens that are refused before they expire, because ops revoked them in every service within seconds (SEC-2).
Notifications takes the request and publishes `TokensRevoked`. Each service stores it in `revoked_tokens` of its own
database. Each serving process keeps the valid ones in memory: it loads them before its first request, then every two
seconds, so that no request asks the database. A revocation is valid for the longest lifetime of a token, because every
token it could refuse has expired by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from makegood_contracts.envelope import Received
from makegood_contracts.events import TokensRevoked

from makegood_chassis.database import Database, Queries, UnitOfWork
from makegood_chassis.pruning import older
from makegood_chassis.real_time import utc_now

SCHEMA: Final = """
CREATE TABLE revoked_tokens (
    person_id text NOT NULL,
    jti text NOT NULL,
    revoked_at timestamptz NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (person_id, jti)
);
CREATE INDEX revoked_tokens_by_age ON revoked_tokens (kept_at);
COMMENT ON TABLE revoked_tokens IS 'Tokens that are refused before their end; an empty jti: all that were issued before. '
    'Kept for a day, longer than any token lives.';
"""
"""The table, for a service's migration."""

_KEEP = """
INSERT INTO revoked_tokens (person_id, jti, revoked_at)
SELECT person_id, jti, max(revoked_at) FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS new (person_id, jti, revoked_at)
GROUP BY person_id, jti ORDER BY person_id, jti
ON CONFLICT (person_id, jti) DO UPDATE
SET revoked_at = greatest(revoked_tokens.revoked_at, excluded.revoked_at), kept_at = excluded.kept_at
"""
_NEWS = """
SELECT person_id, jti, extract(epoch FROM revoked_at)::float8 AS revoked_at, extract(epoch FROM kept_at)::float8 AS kept_at
FROM revoked_tokens WHERE kept_at > to_timestamp($1) AND revoked_at > to_timestamp($2) ORDER BY kept_at
"""
PRUNE: Final = older("revoked_tokens", "kept_at")
KEPT: Final = timedelta(days=1)
LIMIT: Final = 100_000
"""The number of revocations in memory. If there are more, the oldest are extended to everybody: all must sign in again,
and none is forgotten.
"""
_LOOK_BACK: Final = 300.0
"""Seconds that a transaction may take to commit after it set the time of its row. Each check reads that far back."""
_MARGIN: Final = 60.0
"""Seconds that a revocation is valid beyond the longest lifetime, because clocks differ."""

_log = structlog.get_logger(__name__)


class Revocations:
    """The revocations that this process applies. `longest`: the maximum lifetime of a token in seconds. `now`: seconds
    of real time since 1970.
    """

    def __init__(self, longest: float, *, limit: int = LIMIT, now: Callable[[], float] = time.time) -> None:
        self._kept_for = longest + _MARGIN
        self._limit = limit
        self._now = now
        self._revoked: dict[tuple[str, str], float] = {}
        self._everybody = -float("inf")
        self._seen = -float("inf")
        self.loaded = False

    def refuses(self, subject: str, jti: str, issued_at: float | None) -> bool:
        """Whether the token was revoked. One without an issue time counts as issued before."""
        if not self._revoked:
            return False
        if (subject, jti) in self._revoked:
            return True
        ended = max(self._revoked.get((subject, ""), self._everybody), self._everybody)
        return ended > (-float("inf") if issued_at is None else issued_at)

    def add(self, person_id: str, jti: str, revoked_at: float) -> None:
        """Adds a revocation. `jti`: only that token. Empty: all that were issued before `revoked_at`."""
        pair = (person_id, jti)
        self._revoked[pair] = max(revoked_at, self._revoked.pop(pair, revoked_at))
        if len(self._revoked) > self._limit:
            oldest = next(iter(self._revoked))
            self._everybody = max(self._everybody, self._revoked.pop(oldest))
            _log.error("too many revocations to remember: everyone must sign in again")

    async def load(self, database: Database) -> None:
        """Loads what is new since the last call. The first call loads everything that is still valid."""
        oldest = self._now() - self._kept_for
        async with database.reading() as queries:
            rows = await queries.fetch(_NEWS, max(self._seen - _LOOK_BACK, 0.0), oldest)
        for row in rows:
            self.add(row["person_id"], row["jti"], row["revoked_at"])
            self._seen = max(self._seen, row["kept_at"])
        if self._revoked and any(at < oldest for at in self._revoked.values()):
            self._revoked = {pair: at for pair, at in self._revoked.items() if at >= oldest}
        self.loaded = True


async def keep(queries: Queries, revoked: Sequence[tuple[str, str, datetime]]) -> None:
    """Stores (person, jti or "" for all, moment of real time) for the serving processes."""
    await queries.execute(_KEEP, *(list(column) for column in zip(*revoked, strict=True)))


async def on_tokens_revoked(batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
    """Stores revocations, except those that are too old to refuse anything."""
    since = utc_now() - KEPT
    events: list[TokensRevoked] = [received.event for received in batch]
    news = [(event.person_id, event.jti or "", event.revoked_at) for event in events if event.revoked_at > since]
    if news:
        await keep(unit, news)

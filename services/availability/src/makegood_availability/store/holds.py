"""Slot holds: the hot path of bookings, each step one statement a batch. The exclusion constraints decide (AVAIL-3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from makegood_calendar.hours import Span
from makegood_chassis.database import Row, UnitOfWork
from makegood_contracts.events import ReleaseCause
from makegood_contracts.reasons import Reason

from makegood_availability.domain.believing import Claim
from makegood_availability.domain.holds import MEMBER_BUSY, SLOT_TAKEN, VENUE_TAKEN, Wish

# A conflict makes PostgreSQL wait for the other transaction, so workers insert in one order: by provider, then start.
# With it no two can wait for each other in a circle over one provider's time; over members and venues they could, and
# then the whole batch is tried again.
_HOLD = """
INSERT INTO slot_holds
    (session_id, provider_id, member_id, venue_id, starts_at, ends_at, blocked, hold_until, live)
SELECT session_id, provider_id, member_id, venue_id, starts_at, ends_at, tstzrange(blocked_from, blocked_to),
    hold_until, true
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
    $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
    AS wish (session_id, provider_id, member_id, venue_id, starts_at, ends_at, blocked_from, blocked_to, hold_until)
ON CONFLICT DO NOTHING
RETURNING session_id::text
"""

_CONFLICTS = """
SELECT wish.session_id::text,
    EXISTS (SELECT FROM slot_holds h WHERE h.session_id = wish.session_id),
    EXISTS (SELECT FROM slot_holds h WHERE h.live AND h.provider_key = hashtextextended(wish.provider_id, 0)
        AND h.blocked && tstzrange(wish.blocked_from, wish.blocked_to)
        AND h.session_id <> wish.session_id AND (h.offered_to = wish.member_id) IS NOT TRUE),
    wish.venue_id IS NOT NULL AND EXISTS (SELECT FROM slot_holds h WHERE h.live AND h.venue_id = wish.venue_id
        AND tstzrange(h.starts_at, h.ends_at) && tstzrange(wish.starts_at, wish.ends_at)
        AND h.session_id <> wish.session_id
        AND (h.offered_to = wish.member_id AND h.provider_id = wish.provider_id) IS NOT TRUE),
    EXISTS (SELECT FROM slot_holds h WHERE h.live AND h.member_key = hashtextextended(wish.member_id, 0)
        AND tstzrange(h.starts_at, h.ends_at) && tstzrange(wish.starts_at, wish.ends_at)
        AND h.session_id <> wish.session_id),
    EXISTS (SELECT FROM slot_holds h WHERE h.live AND h.provider_key = hashtextextended(wish.provider_id, 0)
        AND h.blocked && tstzrange(wish.blocked_from, wish.blocked_to) AND h.offered_to = wish.member_id)
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
    $7::timestamptz[], $8::timestamptz[])
    AS wish (session_id, provider_id, member_id, venue_id, starts_at, ends_at, blocked_from, blocked_to)
"""

_FIRM = """
WITH locked AS (
    SELECT session_id FROM slot_holds WHERE session_id = ANY($1::uuid[]) AND live AND NOT firm
    ORDER BY session_id FOR UPDATE
), firm AS (
    UPDATE slot_holds SET firm = true FROM locked WHERE slot_holds.session_id = locked.session_id
    RETURNING slot_holds.session_id, entry_id
)
SELECT session_id::text FROM firm WHERE entry_id IS NOT NULL
"""

# Whether anybody waits for something like the slot is a look into two indexes that hold nothing but those who wait.
_RELEASE = """
WITH locked AS (
    SELECT held.session_id FROM slot_holds AS held
    JOIN unnest($1::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[])
        AS claim (session_id, provider_id, member_id, begun_by, ended_by) ON held.session_id = claim.session_id
    WHERE held.session_id = ANY($1::uuid[]) AND held.live
        AND held.provider_id = claim.provider_id AND held.member_id = claim.member_id
        AND (claim.begun_by IS NULL OR held.starts_at <= claim.begun_by)
        AND (claim.ended_by IS NULL OR held.ends_at <= claim.ended_by)
    ORDER BY held.session_id FOR UPDATE OF held
)
UPDATE slot_holds SET live = false, cause = $2, ended_at = $3, sequence = sequence + 1 FROM locked
WHERE slot_holds.session_id = locked.session_id
RETURNING slot_holds.session_id::text, provider_id, member_id, venue_id, starts_at, ends_at, sequence, entry_id::text,
    EXISTS (SELECT FROM waitlist w WHERE w.provider_id = slot_holds.provider_id AND w.status IN ('waiting', 'offered'))
    OR EXISTS (SELECT FROM waitlist w WHERE w.member_id = slot_holds.member_id AND w.status IN ('waiting', 'offered'))
"""

_REMEMBER = """
INSERT INTO slot_holds (session_id, provider_id, member_id, starts_at, ends_at, blocked, live, cause, ended_at)
SELECT session_id, provider_id, member_id, starts_at, ends_at, 'empty', false, $6, $7
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
    AS ended (session_id, provider_id, member_id, starts_at, ends_at)
ORDER BY session_id
ON CONFLICT DO NOTHING
RETURNING session_id::text
"""

_LIVE = """
SELECT session_id::text, provider_id, member_id, starts_at, ends_at,
    EXISTS (SELECT FROM slot_moves m WHERE m.session_id = slot_holds.session_id AND m.decided_at > $2)
FROM slot_holds WHERE session_id = ANY($1::uuid[]) AND live ORDER BY session_id FOR UPDATE
"""

_WITHIN = """
SELECT session_id::text, starts_at, ends_at FROM slot_holds
WHERE live AND provider_key = hashtextextended($1, 0) AND blocked && tstzrange($2, $3)
    AND starts_at < $3 AND ends_at > $2 AND starts_at > $4 AND offered_to IS NULL
ORDER BY starts_at
"""

# Each deadline answers for the holds of one second: the window keeps the scan from the firm ones of all days before.
_LAPSE = """
WITH locked AS (
    SELECT session_id FROM slot_holds
    JOIN unnest($1::timestamptz[], $2::timestamptz[]) AS due (after, until)
        ON hold_until > due.after AND hold_until <= due.until
    WHERE live AND NOT firm
    ORDER BY session_id FOR UPDATE OF slot_holds
)
UPDATE slot_holds SET live = false, cause = 'lapsed', ended_at = $3, sequence = sequence + 1 FROM locked
WHERE slot_holds.session_id = locked.session_id
RETURNING slot_holds.session_id::text, provider_id, member_id, venue_id, starts_at, ends_at, sequence, entry_id::text,
    EXISTS (SELECT FROM waitlist w WHERE w.provider_id = slot_holds.provider_id AND w.status IN ('waiting', 'offered'))
    OR EXISTS (SELECT FROM waitlist w WHERE w.member_id = slot_holds.member_id AND w.status IN ('waiting', 'offered'))
"""


@dataclass(frozen=True, slots=True)
class Released:
    """A hold that has just ended."""

    session_id: str
    provider_id: str
    member_id: str
    venue_id: str | None
    starts_at: datetime
    ends_at: datetime
    sequence: int
    """Of the event that tells it."""
    entry_id: str | None
    """The waitlist entry whose offer the session had taken."""
    waited: bool
    """Whether somebody waits for a time of the provider's, or the member for one of anybody's."""


@dataclass(frozen=True, slots=True)
class InTheWay:
    """What keeps a wish from being held: other sessions and offers, and `own_offer`, which only its member can have."""

    reasons: list[Reason]
    own_offer: bool


@dataclass(frozen=True, slots=True)
class Inside:
    """A session that lies in a provider's time off."""

    session_id: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Live:
    """A hold that has not ended. `moved`: it was lately, so booking may still speak of its old time."""

    session_id: str
    provider_id: str
    member_id: str
    starts_at: datetime
    ends_at: datetime
    moved: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that is over, as its last event says."""

    session_id: str
    provider_id: str
    member_id: str
    starts_at: datetime
    ends_at: datetime


async def hold(unit: UnitOfWork, wishes: Sequence[Wish]) -> set[str]:
    """Inserts the holds in their order, one after the other; answers the sessions whose slot is theirs now."""
    if not wishes:
        return set()
    rows = await unit.fetch(_HOLD, *_columns(wishes), [wish.hold_until for wish in wishes])
    return {row[0] for row in rows}


async def conflicts(
    unit: UnitOfWork, wishes: Sequence[Wish], *, standing: bool = False
) -> Mapping[str, InTheWay | None]:
    """What is in the way of each wish; a session's own hold never is. None for a session that was held, or ended, before,
    unless its hold is `standing` and about to move."""
    found: dict[str, InTheWay | None] = {}
    for session_id, known, slot, venue, member, own_offer in await unit.fetch(_CONFLICTS, *_columns(wishes)):
        applies = ((slot, SLOT_TAKEN), (venue, VENUE_TAKEN), (member, MEMBER_BUSY))
        in_the_way = InTheWay([reason for there, reason in applies if there], own_offer)
        found[session_id] = None if known and not standing else in_the_way
    return found


def _columns(wishes: Sequence[Wish]) -> list[list[object]]:
    return [
        [wish.session_id for wish in wishes],
        [wish.provider_id for wish in wishes],
        [wish.member_id for wish in wishes],
        [wish.venue_id for wish in wishes],
        [wish.starts_at for wish in wishes],
        [wish.ends_at for wish in wishes],
        [wish.blocked[0] for wish in wishes],
        [wish.blocked[1] for wish in wishes],
    ]


async def make_firm(unit: UnitOfWork, session_ids: Sequence[str]) -> list[str]:
    """These sessions are reserved: their holds do not lapse any more. Answers those that took an offer of the waitlist."""
    return [row[0] for row in await unit.fetch(_FIRM, session_ids)]


async def release(unit: UnitOfWork, claims: Sequence[Claim], cause: ReleaseCause) -> list[Released]:
    """Ends the holds of the sessions of which the claims can be true; answers those that were live until now."""
    rows = await unit.fetch(
        _RELEASE,
        [claim.session_id for claim in claims],
        cause,
        unit.now,
        [claim.provider_id for claim in claims],
        [claim.member_id for claim in claims],
        [claim.begun_by for claim in claims],
        [claim.ended_by for claim in claims],
    )
    return [_released(row) for row in rows]


async def live(unit: UnitOfWork, session_ids: Sequence[str], moved_since: datetime) -> list[Live]:
    """Those of the sessions that have a hold, locked."""
    return [Live(*row) for row in await unit.fetch(_LIVE, session_ids, moved_since)]


async def remember_ended(unit: UnitOfWork, sessions: Sequence[Ended], cause: ReleaseCause) -> set[str]:
    """Keeps that these sessions are over, so that a request that is handled later never holds a slot. Answers those of which
    nothing was known."""
    rows = await unit.fetch(
        _REMEMBER,
        [session.session_id for session in sessions],
        [session.provider_id for session in sessions],
        [session.member_id for session in sessions],
        [session.starts_at for session in sessions],
        [session.ends_at for session in sessions],
        cause,
        unit.now,
    )
    return {row[0] for row in rows}


async def sessions_within(unit: UnitOfWork, provider_id: str, start: datetime, end: datetime) -> list[Inside]:
    """The provider's sessions that have not begun and that touch [start, end), by their start."""
    rows = await unit.fetch(_WITHIN, provider_id, start, end, unit.now)
    return [Inside(row[0], row[1], row[2]) for row in rows]


async def lapse(unit: UnitOfWork, due: Sequence[Span]) -> list[Released]:
    """Ends the holds whose `hold_until` lies in one of the windows (after, until] and that never became firm. AVAIL-4"""
    rows = await unit.fetch(_LAPSE, [span[0] for span in due], [span[1] for span in due], unit.now)
    return [_released(row) for row in rows]


def _released(row: Row) -> Released:
    return Released(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8])

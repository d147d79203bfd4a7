"""AVAIL-3: the exclusion constraints decide between holds. This is the hot path of bookings: one statement per step and
batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from makegood_calendar.hours import Span
from makegood_chassis.database import UnitOfWork
from makegood_chassis.statements import MOMENT, Statement, any_of, arrays, as_text, batch
from makegood_contracts.events import ReleaseCause
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.reasons import Reason
from sqlalchemy import ColumnElement, bindparam, column, exists, false, literal_column, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert

from makegood_availability.domain.holds import MEMBER_BUSY, SLOT_TAKEN, VENUE_TAKEN, SessionSlot, SlotRequest
from makegood_availability.domain.plausibility import EndingClaim
from makegood_availability.store.expressions import key, span
from makegood_availability.store.tables import slot_holds, slot_moves, waitlist
from makegood_availability.store.waitlist import IS_OPEN

_H: Final = slot_holds.c
_SLOT: Final = (_H.session_id, _H.provider_id, _H.member_id, _H.venue_id, _H.starts_at, _H.ends_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedHold(SessionSlot):
    """A hold that has just ended.

    `sequence` is that of the event about it, `entry_id` the waitlist entry whose offer the session had taken.
    `awaited`: somebody waits for the provider, or the member waits for any provider.
    """

    sequence: int
    entry_id: str | None
    awaited: bool


@dataclass(frozen=True, slots=True)
class Conflicts:
    """What a request conflicts with: other sessions and offers. `own_offer` is an offer to the requesting member."""

    reasons: list[Reason]
    own_offer: bool


@dataclass(frozen=True, slots=True)
class UpcomingSession:
    """A session of a provider that has not begun."""

    session_id: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class LiveHold:
    """A hold that has not ended. If it was `moved` recently, booking's events may still name its old time."""

    session_id: str
    provider_id: str
    member_id: str
    starts_at: datetime
    ends_at: datetime
    moved: bool


# Requests

_ASKED: Final = (*_SLOT, column("blocked_from", MOMENT), column("blocked_until", MOMENT))
_REQUEST: Final = batch("request", _ASKED)
_R: Final = _REQUEST.c
_NEW: Final = batch("request", (*_ASKED, _H.hold_until))

# A conflict makes PostgreSQL wait for the other transaction, so workers insert in one order: by provider, then start.
# So no two can wait for each other in a circle over one provider's time. Over members and venues they could, and
# then the whole batch is repeated.
_HOLD = Statement(
    insert(slot_holds)
    .from_select(
        [*_SLOT, _H.blocked, _H.hold_until, _H.live],
        select(
            *(_NEW.c[each.key] for each in _SLOT),
            span(_NEW.c.blocked_from, _NEW.c.blocked_until),
            _NEW.c.hold_until,
            true(),
        ),
    )
    .on_conflict_do_nothing()
    .returning(as_text(_H.session_id))
)


def _other(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(_H.live, *conditions, _H.session_id != _R.session_id)


_OFFERED_TO_MEMBER: Final = _H.offered_to == _R.member_id
_PROVIDER_TIME: Final = (
    _H.provider_key == key(_R.provider_id),
    _H.blocked.overlaps(span(_R.blocked_from, _R.blocked_until)),
)
_SESSION_TIME: Final = span(_H.starts_at, _H.ends_at).overlaps(span(_R.starts_at, _R.ends_at))
_CONFLICTS = Statement(
    select(
        as_text(_R.session_id),
        exists().where(_H.session_id == _R.session_id).label("known"),
        _other(*_PROVIDER_TIME, _OFFERED_TO_MEMBER.is_not(true())).label("slot"),
        (
            _R.venue_id.is_not(None)
            & _other(
                _H.venue_id == _R.venue_id,
                _SESSION_TIME,
                (_OFFERED_TO_MEMBER & (_H.provider_id == _R.provider_id)).is_not(true()),
            )
        ).label("venue"),
        _other(_H.member_key == key(_R.member_id), _SESSION_TIME).label("member"),
        exists().where(_H.live, *_PROVIDER_TIME, _OFFERED_TO_MEMBER).label("own_offer"),
    ).select_from(_REQUEST)
)


async def hold(unit: UnitOfWork, requests: Sequence[SlotRequest]) -> set[str]:
    """Inserts the holds one after another, in their order. Returns the sessions that now have their slot."""
    if not requests:
        return set()
    rows = await unit.fetch(_HOLD(**arrays(_NEW.c, requests)))
    return {row["session_id"] for row in rows}


async def conflicts(
    unit: UnitOfWork, requests: Sequence[SlotRequest], *, moving: bool = False
) -> Mapping[str, Conflicts | None]:
    """What each request conflicts with, apart from the session's own hold. None for a session that already has or had a
    hold, unless that hold is `moving`.
    """
    found: dict[str, Conflicts | None] = {}
    for row in await unit.fetch(_CONFLICTS(**arrays(_R, requests))):
        taken = ((row["slot"], SLOT_TAKEN), (row["venue"], VENUE_TAKEN), (row["member"], MEMBER_BUSY))
        in_the_way = Conflicts([reason for is_taken, reason in taken if is_taken], row["own_offer"])
        found[row["session_id"]] = None if row["known"] and not moving else in_the_way
    return found


# Endings

_TO_MAKE_FIRM: Final = (
    select(_H.session_id)
    .where(any_of(_H.session_id), _H.live, ~_H.firm)
    .order_by(_H.session_id)
    .with_for_update()
    .cte("locked")
)
_MAKE_FIRM: Final = update(slot_holds).values(firm=true()).where(_H.session_id == _TO_MAKE_FIRM.c.session_id)
_MAKE_FIRM_LATER = Statement(_MAKE_FIRM)
_FIRM: Final = _MAKE_FIRM.returning(_H.session_id, _H.entry_id).cte("firm")
_MAKE_FIRM_NOW = Statement(select(as_text(_FIRM.c.session_id)).where(_FIRM.c.entry_id.is_not(None)))
_TOOK_OFFERS = Statement(
    select(_H.session_id).where(any_of(_H.session_id), _H.entry_id.is_not(None)).limit(literal_column("1"))
)


def _release(locked: Any, cause: ColumnElement[str]) -> Statement:
    """Ends the locked holds. Checking whether anybody waits reads two indexes that contain only members who wait."""
    waits = waitlist.c
    awaited = or_(
        exists().where(waits.provider_id == _H.provider_id, IS_OPEN),
        exists().where(waits.member_id == _H.member_id, IS_OPEN),
    )
    return Statement(
        update(slot_holds)
        .values(live=false(), cause=cause, ended_at=bindparam("now"), sequence=_H.sequence + literal_column("1"))
        .where(_H.session_id == locked.c.session_id)
        .returning(as_text(_H.session_id), *_SLOT[1:], _H.sequence, as_text(_H.entry_id), awaited.label("awaited"))
    )


_CLAIM: Final = batch(
    "claim",
    (_H.session_id, _H.provider_id, _H.member_id, column("starts_by", MOMENT), column("ends_by", MOMENT)),
)
_RELEASE = _release(
    select(_H.session_id)
    .join_from(slot_holds, _CLAIM, _H.session_id == _CLAIM.c.session_id)
    .where(
        _H.live,
        any_of(_H.session_id),
        _H.provider_id == _CLAIM.c.provider_id,
        _H.member_id == _CLAIM.c.member_id,
        _CLAIM.c.starts_by.is_(None) | (_H.starts_at <= _CLAIM.c.starts_by),
        _CLAIM.c.ends_by.is_(None) | (_H.ends_at <= _CLAIM.c.ends_by),
    )
    .order_by(_H.session_id)
    .with_for_update(of=slot_holds)
    .cte("locked"),
    bindparam("cause"),
)

# Each deadline is for the holds of one second. The window keeps the scan away from older, firm holds.
_WINDOW: Final = batch("window", (column("after", MOMENT), column("until", MOMENT)))
_LAPSE = _release(
    select(_H.session_id)
    .join_from(slot_holds, _WINDOW, (_H.hold_until > _WINDOW.c.after) & (_H.hold_until <= _WINDOW.c.until))
    .where(_H.live, ~_H.firm)
    .order_by(_H.session_id)
    .with_for_update(of=slot_holds)
    .cte("locked"),
    literal_column("'lapsed'"),
)

_ENDED: Final = batch("ended", (_H.session_id, _H.provider_id, _H.member_id, _H.starts_at, _H.ends_at))
_REMEMBER_ENDED = Statement(
    insert(slot_holds)
    .from_select(
        [*_ENDED.c.keys(), _H.blocked, _H.live, _H.cause, _H.ended_at],
        select(
            *_ENDED.c,
            literal_column("'empty'::tstzrange"),
            false(),
            bindparam("cause", type_=_H.cause.type),
            bindparam("now", type_=MOMENT),
        ).order_by(_ENDED.c.session_id),
    )
    .on_conflict_do_nothing()
    .returning(as_text(_H.session_id))
)

_LOCK_LIVE = Statement(
    select(
        as_text(_H.session_id),
        _H.provider_id,
        _H.member_id,
        _H.starts_at,
        _H.ends_at,
        exists()
        .where(slot_moves.c.session_id == _H.session_id, slot_moves.c.decided_at > bindparam("moved_since"))
        .label("moved"),
    )
    .where(any_of(_H.session_id), _H.live)
    .order_by(_H.session_id)
    .with_for_update()
)


async def make_firm(unit: UnitOfWork, session_ids: Sequence[str]) -> list[str]:
    """Makes the holds of these reserved sessions firm. Returns those that took an offer of the waitlist."""
    # Few did, and that does not change once the session is reserved. So there is seldom anything to wait for.
    if not await unit.look(_TOOK_OFFERS(session_id=session_ids)):
        unit.defer(_MAKE_FIRM_LATER(session_id=session_ids))
        return []
    return [row["session_id"] for row in await unit.fetch(_MAKE_FIRM_NOW(session_id=session_ids))]


async def release(unit: UnitOfWork, claims: Sequence[EndingClaim], cause: ReleaseCause) -> list[ReleasedHold]:
    """Ends the holds of the sessions for which the claims can be true. Returns those that were live until now."""
    rows = await unit.fetch(_RELEASE(**arrays(_CLAIM.c, claims), cause=cause, now=unit.now))
    return [ReleasedHold(**row) for row in rows]


async def lapse(unit: UnitOfWork, windows: Sequence[Span]) -> list[ReleasedHold]:
    """Ends the holds whose `hold_until` lies in one of the windows (after, until] and that are not firm (AVAIL-4)."""
    after, until = [window[0] for window in windows], [window[1] for window in windows]
    return [ReleasedHold(**row) for row in await unit.fetch(_LAPSE(after=after, until=until, now=unit.now))]


async def lock_live(unit: UnitOfWork, session_ids: Sequence[str], moved_since: datetime) -> list[LiveHold]:
    """The live holds of these sessions, locked."""
    return [LiveHold(**row) for row in await unit.fetch(_LOCK_LIVE(session_id=session_ids, moved_since=moved_since))]


async def remember_ended(unit: UnitOfWork, sessions: Sequence[SessionFact], cause: ReleaseCause) -> set[str]:
    """Saves that these sessions are over, so that a later request never holds a slot. Returns the unknown ones."""
    rows = await unit.fetch(_REMEMBER_ENDED(**arrays(_ENDED.c, sessions), cause=cause, now=unit.now))
    return {row["session_id"] for row in rows}


# A provider's sessions

_WITHIN: Final = span(bindparam("start", type_=MOMENT), bindparam("end", type_=MOMENT))
_UPCOMING = Statement(
    select(as_text(_H.session_id), _H.starts_at, _H.ends_at)
    .where(
        _H.live,
        _H.provider_key == key(bindparam("provider_id")),
        _H.blocked.overlaps(_WITHIN),
        _H.starts_at < bindparam("end"),
        _H.ends_at > bindparam("start"),
        _H.starts_at > bindparam("now"),
        _H.offered_to.is_(None),
    )
    .order_by(_H.starts_at)
)


async def upcoming_within(unit: UnitOfWork, provider_id: str, start: datetime, end: datetime) -> list[UpcomingSession]:
    """The provider's sessions that have not begun and that touch [start, end), by their start."""
    rows = await unit.fetch(_UPCOMING(provider_id=provider_id, start=start, end=end, now=unit.now))
    return [UpcomingSession(**row) for row in rows]

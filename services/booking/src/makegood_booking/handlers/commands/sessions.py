"""Commands of the API on sessions: lock → rule → save → wake.

`admit` returns the party as which the caller changes the locked session. It raises if the session is not theirs, or has
changed since they read it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from makegood_chassis.database import UnitOfWork
from makegood_chassis.refusals import NotFound
from makegood_contracts.events import DisputeClaim, InvoiceWish, Party, SessionOutcome
from makegood_contracts.ids import new_id

from makegood_booking.dependencies import Dependencies
from makegood_booking.domain import attendance, cancelling, disputes, in_person, rescheduling
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.session import Refusal, Session, Transition
from makegood_booking.handlers.batching import BookingCommand, Result
from makegood_booking.handlers.refusals import BookingRefused, permitted
from makegood_booking.handlers.waiters import wake_waiters
from makegood_booking.store.calendars import specialty_of
from makegood_booking.store.personal_data import keep_note, keep_remark
from makegood_booking.store.remark_keys import seal_remark
from makegood_booking.store.rooms import touch_rooms
from makegood_booking.store.sessions import lock_session, save_sessions
from makegood_booking.store.venues import code_digest

Admit = Callable[[Session], Party]


async def book(dependencies: Dependencies, command: BookingCommand) -> Result:
    """Books a session, in one transaction with other bookings (BOOK-1). A member may rebook a missed session even in a room
    that is not open (MISS-4)."""
    try:
        return await dependencies.batcher.submit(command)
    except BookingRefused as refused:
        if refused.booked_by != "member":
            raise
        return await dependencies.batcher.rebook(command)


async def confirm(unit: UnitOfWork, dependencies: Dependencies, session_id: str, admit: Admit) -> Session:
    """The provider confirms a reserved session (CONF-1)."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    return await _save(unit, dependencies, session, party, attendance.confirm(session, unit.now))


async def decline(unit: UnitOfWork, dependencies: Dependencies, session_id: str, admit: Admit) -> Session:
    """The provider declines a reserved session (CONF-1)."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    return await _save(unit, dependencies, session, party, attendance.decline(session, unit.now))


async def cancel(
    unit: UnitOfWork,
    dependencies: Dependencies,
    session_id: str,
    admit: Admit,
    *,
    author: str,
    remark: str | None,
    shares_remark: bool,
    accepts_forfeit: bool,
) -> tuple[Session, bool]:
    """A party cancels (CANC-1, CANC-2). Also returns whether the message to the other party includes the remark."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    sealed = await seal_remark(unit, session_id, author, remark) if remark and shares_remark else None
    result = cancelling.cancel(session, party, accepts_forfeit, unit.now, sealed_remark=sealed)
    session = await _save(unit, dependencies, session, party, result)
    if remark:
        await keep_remark(unit, session_id, author, remark)
    return session, sealed is not None


async def join(
    unit: UnitOfWork, dependencies: Dependencies, session_id: str, admit: Admit, check_in: in_person.CheckIn
) -> tuple[Session, Party]:
    """A party joins, or checks in at the venue (JOIN-1, JOIN-3)."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    digest = await code_digest(unit, session.booked.venue_id) if check_in.code else None
    result = in_person.check_in(session, party, check_in, digest, unit.now)
    return await _save(unit, dependencies, session, party, result), party


async def enter_again(
    unit: UnitOfWork, dependencies: Dependencies, session_id: str, admit: Admit
) -> tuple[Session, Party]:
    """A repeated `join`: it changes nothing, and is refused once nobody may enter any more."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    refusal = attendance.entry_refused(attendance.as_of(session, unit.now)[0], unit.now)
    permitted(refusal or Transition(session), session, unit.now)
    return session, party


async def leave(unit: UnitOfWork, dependencies: Dependencies, session_id: str, admit: Admit) -> Session:
    """A party leaves (JOIN-1)."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    return await _save(unit, dependencies, session, party, attendance.leave(session, party, unit.now))


async def mark_no_show(unit: UnitOfWork, dependencies: Dependencies, session_id: str, admit: Admit) -> Session:
    """The provider reports that the member did not come (NOSH-1)."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    return await _save(unit, dependencies, session, party, attendance.mark_no_show(session, unit.now))


async def reschedule(
    unit: UnitOfWork,
    dependencies: Dependencies,
    session_id: str,
    admit: Admit,
    command: rescheduling.RescheduleCommand,
) -> Session:
    """A party asks for another time, length, venue or time zone (RESC-1, RESC-2, RESC-5)."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    specialty = await specialty_of(unit, session.booked.provider_id)
    result = rescheduling.reschedule(session, command, party, new_id(), specialty, unit.now)
    return await _save(unit, dependencies, session, party, result)


async def extend(
    unit: UnitOfWork,
    dependencies: Dependencies,
    session_id: str,
    admit: Admit,
    ends_at: datetime,
    invoice: InvoiceWish | None,
) -> Session:
    """The provider asks for a later end (EXT-1)."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    return await _save(
        unit, dependencies, session, party, rescheduling.extend(session, ends_at, invoice, new_id(), unit.now)
    )


async def report_outcome(
    unit: UnitOfWork, dependencies: Dependencies, session_id: str, admit: Admit, outcome: SessionOutcome
) -> Session:
    """The provider reports how an in-person session went (JOIN-3)."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    return await _save(unit, dependencies, session, party, in_person.say_outcome(session, outcome, unit.now))


async def dispute(
    unit: UnitOfWork,
    dependencies: Dependencies,
    session_id: str,
    admit: Admit,
    *,
    author: str,
    claim: DisputeClaim,
    note: str | None,
) -> Session:
    """A party says that the session did not end as recorded (MISS-5)."""
    session, party = await _lock(unit, dependencies, session_id, admit)
    session = await _save(unit, dependencies, session, party, disputes.dispute(session, party, claim, unit.now))
    await keep_note(unit, session, "dispute", author, party, note)
    return session


async def correct(
    unit: UnitOfWork,
    dependencies: Dependencies,
    session_id: str,
    admit: Callable[[Session], None],
    *,
    author: str,
    outcome: SessionOutcome,
    reason: str,
) -> Session:
    """Support corrects how the session ended (MISS-5)."""
    before = await _locked(unit, dependencies, session_id)
    admit(before)
    result = disputes.correct(before, outcome, author, unit.now)
    session = await _save(unit, dependencies, before, None, result)
    if session.status != before.status:
        await keep_note(unit, session, "correction", author, "support", reason)
    return session


async def _lock(unit: UnitOfWork, dependencies: Dependencies, session_id: str, admit: Admit) -> tuple[Session, Party]:
    session = await _locked(unit, dependencies, session_id)
    return session, admit(session)


async def _locked(unit: UnitOfWork, dependencies: Dependencies, session_id: str) -> Session:
    session = await lock_session(unit, dependencies.policies, session_id)
    if session is None:
        raise NotFound("session")
    return session


async def _save(
    unit: UnitOfWork,
    dependencies: Dependencies,
    before: Session,
    party: Party | None,
    result: Transition | Refusal | InvalidField,
) -> Session:
    """Saves and publishes what the rule permits, and wakes the requests that wait for it."""
    transition = permitted(result, before, unit.now)
    if transition.events:
        save_sessions(unit, [(transition, unit.cause)])
        wake_waiters(unit, dependencies.signals, [before], [transition.session])
    if party == "member":  # every change by the member counts as activity (ROOM-2)
        touch_rooms(unit, [before.booked.room_id])
    return transition.session

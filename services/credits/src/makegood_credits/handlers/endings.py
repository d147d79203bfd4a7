"""The endings of a session, each of which settles what is held for it (CRED-3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import (
    Event,
    MemberNoShow,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SessionDeclined,
    SessionExpired,
    SessionRejected,
)

from makegood_credits.domain.believing import disbelieved
from makegood_credits.domain.book import Book
from makegood_credits.domain.holding import Hold, HoldState
from makegood_credits.domain.invoices import Invoice
from makegood_credits.domain.settling import NOT_TOLD_IN_TIME, Ending, settle
from makegood_credits.handlers.due import set_due
from makegood_credits.handlers.facts import publish_charge, publish_entries
from makegood_credits.handlers.invoices import void_extensions
from makegood_credits.handlers.moves import give_all_back
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import moves as move_store


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that ended, for its credit."""

    session_id: str
    member_id: str
    ending: Ending
    cause: Cause
    told: Received[Any] | None = None
    """The event that says so; None where credits itself decided it."""


def ending_of(event: Event, received: Received[Any]) -> Ending:
    """JOIN-2, MISS-2, CANC-1, CANC-2, NOSH-1: what becomes of the credit of a session that ended so."""
    match event:
        case SessionCompleted():
            return Ending("spent", "completed", received.time)
        case ProviderMissed():
            return Ending("returned", "provider_missed", event.missed_at)
        case MemberNoShow():
            who = event.provider_id if event.marked_by == "provider" else event.marked_by
            if not event.forfeits:  # RESC-3
                return Ending("returned", "member_no_show", received.time, who, NOT_TOLD_IN_TIME)
            return Ending("forfeited", "member_no_show", received.time, who)
        case SessionCancelled():
            people = {"member": event.member_id, "provider": event.provider_id}
            who = people.get(event.cancelled_by, event.cancelled_by)
            return Ending(
                "forfeited" if event.forfeits else "returned",
                "cancelled",
                event.cancelled_at,
                who,
                caused_by="member" if member_caused(event) else "others",
            )
        case SessionDeclined():
            return Ending("returned", "declined", received.time, event.provider_id)
        case SessionExpired():
            return Ending("returned", "expired", received.time)
        case SessionRejected():
            return Ending("returned", "rejected", received.time, caused_by="nobody")
        case _:
            raise TypeError(f"{type(event).__name__} does not end a session")


def member_caused(event: SessionCancelled) -> bool:
    """MISS-2: whether a cancellation is the member's own doing: not where they change the provider (ROOM-3), nor where they
    cancel for what the provider did."""
    return event.cancelled_by == "member" and event.cause == "asked" and not event.caused_by_provider


async def on_ended(batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
    """Settles what is held for the sessions of the batch. A session that nothing was asked for is remembered as over."""
    ended = [
        EndedSession(
            received.event.session_id,
            received.event.member_id,
            ending_of(received.event, received),
            received.cause,
            received,
        )
        for received in batch
    ]
    known = await settle_all(unit, ended)
    unknown = {each.session_id: each.member_id for each in ended if each.session_id not in known}
    await hold_store.remember(unit, unknown, "ended")


async def settle_all(
    unit: UnitOfWork, ended: Sequence[EndedSession], still: Callable[[Hold], bool] = lambda hold: True
) -> set[str]:
    """Settles the sessions' holds, those that are still open and `still` so under the lock; answers the sessions known."""
    books = await book_store.lock(unit, (each.member_id for each in ended))
    holds = await hold_store.by_session(unit, [each.session_id for each in ended], books)
    await book_store.add_coverage(unit, books, holds.values())
    due_before = {member: book.next_due for member, book in books.items()}
    settled: list[Hold] = []
    before: list[HoldState] = []
    for each in ended:
        hold = holds.get(each.session_id)
        if each.told is not None and (why := disbelieved(each.told.event, hold, unit.now)) is not None:
            unit.refuse(each.told.id, why)
            continue
        if hold is None or hold.state != "held" or not still(hold):
            continue
        book = books[hold.member_id]
        before.append(hold.state)
        _settle(unit, book, hold, each)
        settled.append(hold)
    await _settle_what_hangs_on_them(unit, books, settled, {each.session_id: each for each in ended})
    await book_store.save(unit, books.values())
    await hold_store.settle(unit, settled, before)
    for member, book in books.items():
        set_due(unit, member, due_before[member], book.next_due)
    return set(holds)


async def _settle_what_hangs_on_them(
    unit: UnitOfWork, books: Mapping[str, Book], settled: Sequence[Hold], ended: Mapping[str, EndedSession]
) -> None:
    """RESC-1: what was added for a move that is under way comes back. MISS-3: extensions that nobody owes are void."""
    moving = [hold.session_id for hold in settled if hold.moving]
    if moving:
        added = await move_store.by_session(unit, moving, books)
        await give_all_back(unit, books, added, lambda move: ended[added[move].session_id].cause)
    extended = [hold.session_id for hold in settled if hold.extended and hold.state == "returned"]
    if extended:
        causes = {session: (ended[session].cause, ended[session].ending.cause) for session in extended}
        await void_extensions(unit, books, causes)


def _settle(unit: UnitOfWork, book: Book, hold: Hold, ended: EndedSession) -> None:
    first = len(book.entries)
    outcome = settle(book, hold, ended.ending, unit.now)
    publish_entries(unit, book, book.entries[first:], ended.cause, ended.ending.cause)
    if isinstance(outcome, Invoice):
        publish_charge(unit, book, outcome, ended.cause, ended.ending.cause)

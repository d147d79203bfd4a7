"""Moves of sessions: what they cost is held or refused, and settled once it is known what came of them (RESC-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import (
    MoveCreditHeld,
    MoveCreditRefused,
    SessionMoved,
    SessionMoveFunded,
    SessionMoveRefused,
    SessionMoveRequested,
)

from makegood_credits.domain.believing import disbelieved, disbelieved_move
from makegood_credits.domain.book import Book
from makegood_credits.domain.coverage import covering
from makegood_credits.domain.holding import Hold, HoldRefusal, HoldRequest
from makegood_credits.domain.invoices import Invoice, due_on, put_off
from makegood_credits.domain.moving import Move, fund, give_back, take_place
from makegood_credits.domain.settling import CausedBy, Ending, guarantee_held, settle
from makegood_credits.handlers.due import MOVE_LAPSE, set_due
from makegood_credits.handlers.facts import price, publish_charge, publish_entries
from makegood_credits.handlers.invoices import drop_extensions
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import invoices as invoice_store
from makegood_credits.store import moves as move_store


async def on_move_requested(batch: Sequence[Received[SessionMoveRequested]], unit: UnitOfWork) -> None:
    """RESC-1: one answer a move, in the topic's order; each sees what those before it took."""
    books = await book_store.load(unit, (received.event.member_id for received in batch))
    holds = await hold_store.by_session(unit, [received.event.session_id for received in batch], books)
    answered = await move_store.known(unit, [received.event.move_id for received in batch])
    due_before = {member: book.next_due for member, book in books.items()}
    added: dict[str, Hold] = {}
    closed: dict[str, dict[str, tuple[str, str]]] = {"kept": {}, "refused": {}}
    for received in batch:
        event = received.event
        if event.move_id in answered:
            continue
        book, hold = books[event.member_id], holds.get(event.session_id)
        if (why := disbelieved(event, hold, unit.now)) is not None:
            unit.refuse(received.id, why)
            continue
        answered.add(event.move_id)
        first = len(book.entries)
        outcome = fund(book, hold, _move(event), unit.now)
        publish_entries(unit, book, book.entries[first:], received.cause)
        if hold is not None:
            hold.answers += 1
        if isinstance(outcome, Hold):
            assert hold is not None, "nothing is added beside what is not held"
            hold.moving = True
            added[event.move_id] = outcome
            unit.set_deadline(MOVE_LAPSE, event.move_id, outcome.hold_until)
        else:
            state = "kept" if outcome == "kept" else "refused"
            closed[state][event.move_id] = (event.session_id, event.member_id)
        _answer(unit, received, hold, outcome)
    await book_store.save(unit, books.values())
    await move_store.add(unit, added)
    for state, moves in closed.items():
        await move_store.remember(unit, moves, state)
    await hold_store.mark(unit, list(holds.values()))
    for member, book in books.items():
        set_due(unit, member, due_before[member], book.next_due)


def _move(event: SessionMoveRequested) -> Move:
    # What an extension added stays with a session that keeps its length; the plan pays for what was booked (EXT-1).
    kept = event.extended_minutes if event.new_length_minutes == event.length_minutes else 0
    request = HoldRequest(
        event.session_id,
        event.provider_id,
        event.new_starts_at,
        event.new_ends_at,
        event.new_length_minutes - kept,
        event.modality,
        event.moved_by,
        event.decide_by,
        event.specialty,
    )
    return Move(event.move_id, request, event.forfeits, event.caused_by_provider)


def _answer(
    unit: UnitOfWork, received: Received[SessionMoveRequested], hold: Hold | None, outcome: str | Hold | HoldRefusal
) -> None:
    event, sequence = received.event, hold.answers if hold else 1
    if isinstance(outcome, HoldRefusal):
        unit.publish(
            MoveCreditRefused(
                session_id=event.session_id,
                member_id=event.member_id,
                move_id=event.move_id,
                reasons=list(outcome.reasons),
                purchasable=outcome.purchasable,
            ),
            sequence=sequence,
            cause=received.cause,
        )
        return
    paying = outcome if isinstance(outcome, Hold) else hold
    assert paying is not None, "what is kept is held"
    unit.publish(
        MoveCreditHeld(
            session_id=event.session_id,
            member_id=event.member_id,
            move_id=event.move_id,
            hold_id=paying.id,
            how="added" if isinstance(outcome, Hold) else "kept",
            funding="co_pay" if paying.lot_id is None else "credit",
            lot_id=paying.lot_id,
            co_pay=price(paying.invoice.amount) if paying.invoice else None,
        ),
        sequence=sequence,
        cause=received.cause,
    )


async def on_move_funded(batch: Sequence[Received[SessionMoveFunded]], unit: UnitOfWork) -> None:
    """AVAIL-4: from here only what availability answers decides, so what was added for the move does not lapse any more."""
    await move_store.make_firm(unit, [received.event.move_id for received in batch])


async def on_moved(batch: Sequence[Received[SessionMoved]], unit: UnitOfWork) -> None:
    """RESC-1: what was added takes the place of what the session had. Where nothing was added, what it had goes on: also
    where that lapsed, since nobody is to lose a credit by the platform's delay. EXT-1: with another length the session is not
    extended any more, so nothing is charged for that."""
    books = await book_store.load(unit, (received.event.member_id for received in batch))
    holds = await hold_store.by_session(unit, [received.event.session_id for received in batch], books)
    added = await move_store.by_move(unit, [received.event.move_id for received in batch], books)
    due_before = {member: book.next_due for member, book in books.items()}
    replaced: list[Hold] = []
    rows: dict[str, Hold] = {}
    kept: list[Invoice] = []
    over: dict[str, tuple[str, str]] = {}
    moved: dict[str, Hold] = {}
    dropped: dict[str, tuple[Cause, str]] = {}
    for received in batch:
        event = received.event
        hold, other = holds.get(event.session_id), added.get(event.move_id)
        if (why := disbelieved_move(event, hold, other, unit.now)) is not None:
            unit.refuse(received.id, why)
            continue
        added.pop(event.move_id, None)
        if hold is not None:
            hold.starts_at, hold.ends_at = event.starts_at, event.ends_at
            moved[hold.session_id] = hold
        who = {"member": event.member_id, "provider": event.provider_id}[event.moved_by]
        if hold is not None and hold.extended and _another_length(event):
            dropped[hold.session_id] = received.cause, who
        length = event.length_minutes - event.extended_minutes
        if hold is None or other is None:
            if hold is not None:
                if event.caused_by_provider:
                    guarantee_held(books[hold.member_id], hold, event.moved_at, unit.now)
                hold.length_minutes = length
            over[event.move_id] = (event.session_id, event.member_id)
            if hold is not None and hold.invoice is not None and hold.invoice.status == "pending":
                coverage = covering(books[hold.member_id].enrolments, event.starts_at)
                time_zone = coverage.time_zone if coverage else event.time_zone
                put_off(hold.invoice, due_on(event.ends_at, hold.co_pay_due_days, time_zone), time_zone)
                kept.append(hold.invoice)
            continue
        book = books[hold.member_id]
        first = len(book.entries)
        members_own = event.moved_by == "member" and not event.caused_by_provider
        caused_by: CausedBy = "member" if members_own else "others"
        ending = Ending(
            "forfeited" if event.forfeits else "returned", "moved", event.moved_at, who, caused_by=caused_by
        )
        old, outcome = take_place(book, hold, other, ending, unit.now)
        hold.length_minutes = length
        _tell(unit, book, first, outcome, received.cause)
        replaced.append(hold)
        rows[event.move_id] = old
    await drop_extensions(unit, books, dropped)
    await book_store.save(unit, books.values())
    await move_store.save(unit, rows)
    await move_store.remember(unit, over, "ended")
    await invoice_store.save(unit, kept)
    await hold_store.replace(unit, replaced)
    await hold_store.take_times(unit, list(moved.values()))
    for member, book in books.items():
        set_due(unit, member, due_before[member], book.next_due)


def _another_length(event: SessionMoved) -> bool:
    return event.ends_at - event.starts_at != event.old_ends_at - event.old_starts_at


async def on_move_refused(batch: Sequence[Received[SessionMoveRefused]], unit: UnitOfWork) -> None:
    """RESC-1: a refused move leaves everything as it was; what was added comes back."""
    books = await book_store.lock(unit, (received.event.member_id for received in batch))
    moves = [received.event.move_id for received in batch]
    added = await move_store.by_move(unit, moves, books)
    believed = []
    for received in batch:
        if (why := disbelieved_move(received.event, None, added.get(received.event.move_id), unit.now)) is not None:
            unit.refuse(received.id, why)
            added.pop(received.event.move_id)
        else:
            believed.append(received)
    causes = {received.event.move_id: received.cause for received in believed}
    await give_all_back(unit, books, added, lambda move: causes[move])
    over = {r.event.move_id: (r.event.session_id, r.event.member_id) for r in believed if r.event.move_id not in added}
    await move_store.remember(unit, over, "ended")


async def on_move_lapse(batch: Sequence[Due], unit: UnitOfWork) -> None:
    """AVAIL-4: what was added for a move of which nothing more was heard comes back by itself."""
    moves = [due.entity_id for due in batch]
    books = await book_store.lock(unit, await move_store.members_of(unit, moves))
    added = await move_store.by_move(unit, moves, books)
    await give_all_back(unit, books, {m: h for m, h in added.items() if not h.firm}, lambda move: unit.cause)


async def give_all_back(
    unit: UnitOfWork, books: Mapping[str, Book], added: Mapping[str, Hold], cause_of: Callable[[str], Cause]
) -> None:
    """Returns what was added for these moves, and saves it all. The books are locked, their lots loaded."""
    await book_store.add_coverage(unit, books, added.values())
    due_before = {member: book.next_due for member, book in books.items()}
    for move, hold in added.items():
        book = books[hold.member_id]
        first = len(book.entries)
        outcome = settle(book, hold, give_back(unit.now), unit.now)
        _tell(unit, book, first, outcome, cause_of(move))
    await book_store.save(unit, books.values())
    await move_store.save(unit, added)
    for member, book in books.items():
        set_due(unit, member, due_before[member], book.next_due)


def _tell(unit: UnitOfWork, book: Book, first: int, outcome: object, cause: Cause) -> None:
    publish_entries(unit, book, book.entries[first:], cause, "moved")
    if isinstance(outcome, Invoice):
        publish_charge(unit, book, outcome, cause, "moved")

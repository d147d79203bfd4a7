"""Moves of sessions: holds or refuses what they cost, and settles it once their outcome is known (RESC-1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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

from makegood_credits.domain.endings import move_dropped, mover
from makegood_credits.domain.holding import Hold, HoldRefusal
from makegood_credits.domain.moving import MoveRequest, another_length, apply_move, fund_move
from makegood_credits.domain.plausibility import implausibility, move_implausibility
from makegood_credits.domain.settling import settle
from makegood_credits.handlers.deadlines import MOVE_LAPSE
from makegood_credits.handlers.invoices import drop_extensions
from makegood_credits.handlers.ledger import Books, ledger
from makegood_credits.handlers.publishing import price
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import moves as move_store


async def on_session_move_requested(batch: Sequence[Received[SessionMoveRequested]], unit: UnitOfWork) -> None:
    """Answers each move once, in the topic's order. Each sees what earlier ones took (RESC-1)."""
    async with ledger(unit, (received.event.member_id for received in batch)) as books:
        holds = await hold_store.by_session(unit, [received.event.session_id for received in batch], books)
        answered = await move_store.known(unit, [received.event.move_id for received in batch])
        added: dict[str, Hold] = {}
        kept: dict[str, tuple[str, str]] = {}
        refused: dict[str, tuple[str, str]] = {}
        for received in batch:
            event = received.event
            if event.move_id in answered:
                continue
            hold = holds.get(event.session_id)
            if (why := implausibility(event, hold, unit.now)) is not None:
                unit.refuse(received.id, why)
                continue
            answered.add(event.move_id)
            book = books.of(event.member_id, received.cause)
            result = fund_move(book, hold, MoveRequest.of(event), unit.now)
            if hold is not None:
                hold.answers += 1
            if isinstance(result, Hold):
                assert hold is not None, "nothing is added beside what is not held"
                hold.moving = True
                added[event.move_id] = result
                unit.set_deadline(MOVE_LAPSE, event.move_id, result.hold_until)
            else:
                closed = kept if result == "kept" else refused
                closed[event.move_id] = (event.session_id, event.member_id)
            sequence = hold.answers if hold else 1
            books.publish(event.member_id)
            unit.publish(answer(event, hold, result), sequence=sequence, cause=received.cause)
        await move_store.add(unit, added)
        await move_store.remember(unit, kept, "kept")
        await move_store.remember(unit, refused, "refused")
        await hold_store.mark(unit, list(holds.values()))


def answer(
    event: SessionMoveRequested, hold: Hold | None, result: str | Hold | HoldRefusal
) -> MoveCreditHeld | MoveCreditRefused:
    """The event that answers a move. `hold`: the session's present one."""
    if isinstance(result, HoldRefusal):
        return MoveCreditRefused(
            session_id=event.session_id,
            member_id=event.member_id,
            move_id=event.move_id,
            reasons=list(result.reasons),
            purchasable=result.purchasable,
        )
    paying = result if isinstance(result, Hold) else hold
    assert paying is not None, "what is kept is held"
    return MoveCreditHeld(
        session_id=event.session_id,
        member_id=event.member_id,
        move_id=event.move_id,
        hold_id=paying.id,
        how="added" if isinstance(result, Hold) else "kept",
        funding="co_pay" if paying.lot_id is None else "credit",
        lot_id=paying.lot_id,
        co_pay=price(paying.invoice.amount) if paying.invoice else None,
    )


async def on_session_move_funded(batch: Sequence[Received[SessionMoveFunded]], unit: UnitOfWork) -> None:
    """Keeps what was added for the move from lapsing, because from now on only availability decides (AVAIL-4)."""
    await move_store.make_firm(unit, [received.event.move_id for received in batch])


async def on_session_moved(batch: Sequence[Received[SessionMoved]], unit: UnitOfWork) -> None:
    """Replaces the session's old hold with the added one, if there is one (RESC-1).

    If the added hold lapsed, the old one stays, because nobody should lose a credit through the platform's delay. A
    session with a new length is no longer extended, so the extension is not charged.
    """
    async with ledger(unit, (received.event.member_id for received in batch)) as books:
        holds = await hold_store.by_session(unit, [received.event.session_id for received in batch], books)
        added = await move_store.by_move(unit, [received.event.move_id for received in batch], books)
        replaced: dict[str, tuple[Hold, Hold]] = {}
        over: dict[str, tuple[str, str]] = {}
        moved: dict[str, Hold] = {}
        dropped: dict[str, tuple[Cause, str]] = {}
        for received in batch:
            event = received.event
            hold, other = holds.get(event.session_id), added.get(event.move_id)
            if (why := move_implausibility(event, hold, other, unit.now)) is not None:
                unit.refuse(received.id, why)
                continue
            added.pop(event.move_id, None)
            if hold is None or other is None:
                over[event.move_id] = (event.session_id, event.member_id)
            if hold is None:
                continue
            old = apply_move(books.of(hold.member_id, received.cause), hold, other, event, unit.now)
            if old is not None:
                replaced[event.move_id] = old, hold
            moved[hold.session_id] = hold
            if hold.extended and another_length(event):
                dropped[hold.session_id] = received.cause, mover(event)
        await drop_extensions(unit, books, dropped)
        await move_store.save(unit, {move: old for move, (old, _) in replaced.items()})
        await move_store.remember(unit, over, "ended")
        await hold_store.replace(unit, [hold for _, hold in replaced.values()])
        await hold_store.take_times(unit, list(moved.values()))


async def on_session_move_refused(batch: Sequence[Received[SessionMoveRefused]], unit: UnitOfWork) -> None:
    """Returns what was added for a refused move. Everything else stays as it was (RESC-1)."""
    async with ledger(unit, (received.event.member_id for received in batch), book_store.lock) as books:
        added = await move_store.by_move(unit, [received.event.move_id for received in batch], books)
        back: dict[str, tuple[Hold, Cause]] = {}
        over: dict[str, tuple[str, str]] = {}
        for received in batch:
            event = received.event
            hold = added.get(event.move_id)
            if (why := move_implausibility(event, None, hold, unit.now)) is not None:
                unit.refuse(received.id, why)
            elif hold is not None:
                back[event.move_id] = hold, received.cause
            else:
                over[event.move_id] = event.session_id, event.member_id
        await give_back(unit, books, back)
        await move_store.remember(unit, over, "ended")


async def on_move_lapse_due(batch: Sequence[Due], unit: UnitOfWork) -> None:
    """Returns what was added for a move if nothing more was heard of it in time (AVAIL-4)."""
    moves = [due.entity_id for due in batch]
    async with ledger(unit, await move_store.members_of(unit, moves), book_store.lock) as books:
        added = await move_store.by_move(unit, moves, books)
        await give_back(unit, books, {move: (hold, unit.cause) for move, hold in added.items() if not hold.firm})


async def give_back(unit: UnitOfWork, books: Books, added: Mapping[str, tuple[Hold, Cause]]) -> None:
    """Returns what was added for these moves. Their lots must be in the books."""
    holds = {move: hold for move, (hold, _) in added.items()}
    await book_store.add_coverage(unit, books, holds.values())
    for hold, cause in added.values():
        settle(books.of(hold.member_id, cause), hold, move_dropped(unit.now), unit.now)
    await move_store.save(unit, holds)

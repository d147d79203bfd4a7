"""Settles what is held for a session when it ends (CRED-3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from makegood_chassis.database import UnitOfWork
from makegood_chassis.made_good import made_good_with
from makegood_chassis.messaging.handlers import Due, takes_types_together
from makegood_contracts.envelope import Cause, Received

from makegood_credits.dependencies import Dependencies
from makegood_credits.domain.endings import Ending, EndingEvent, ending_of, hold_lapsed
from makegood_credits.domain.holding import Hold, HoldState
from makegood_credits.domain.plausibility import implausibility
from makegood_credits.domain.settling import settle
from makegood_credits.handlers.deadlines import lapse_minute, set_lapse
from makegood_credits.handlers.invoices import void_extensions
from makegood_credits.handlers.ledger import Books, ledger
from makegood_credits.handlers.moves import give_back
from makegood_credits.store import books as book_store
from makegood_credits.store import holds as hold_store
from makegood_credits.store import moves as move_store


@dataclass(frozen=True, slots=True)
class EndedSession:
    """What the end of a session means for its credit. `cause`: the cause of what follows."""

    session_id: str
    member_id: str
    ending: Ending
    cause: Cause


@takes_types_together
async def on_session_ended(batch: Sequence[Received[EndingEvent]], unit: UnitOfWork) -> None:
    """Settles what is held for the sessions of the batch. If there was no request for a session, records that it is
    over.
    """
    async with ledger(unit, (received.event.member_id for received in batch), book_store.lock) as books:
        holds = await hold_store.by_session(unit, [received.event.session_id for received in batch], books)
        ended = [
            EndedSession(
                received.event.session_id,
                received.event.member_id,
                ending_of(received.event, received.time),
                received.cause,
            )
            for received in batch
            if not _refuse(unit, received, holds.get(received.event.session_id))
        ]
        await settle_sessions(unit, books, holds, ended)
        settled = {each.session_id for each in ended} & holds.keys()
        made_good_with(unit, "credit", (received for received in batch if received.event.session_id in settled))
        unknown = {each.session_id: each.member_id for each in ended if each.session_id not in holds}
        hold_store.remember(unit, unknown, "ended")


def _refuse(unit: UnitOfWork, received: Received[Any], hold: Hold | None) -> bool:
    why = implausibility(received.event, hold, unit.now)
    if why is not None:
        unit.refuse(received.id, why)
    return why is not None


async def on_hold_lapse_due(batch: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Returns what is held for sessions that were never reserved (AVAIL-4)."""
    minutes, most = [lapse_minute(due.entity_id) for due in batch], dependencies.lapses_at_once
    lapsed = await hold_store.lapsed(unit, minutes, most)
    async with ledger(unit, lapsed.values(), book_store.lock) as books:
        holds = await hold_store.by_session(unit, list(lapsed), books)
        ended = [
            EndedSession(session, member, hold_lapsed(unit.now), unit.cause)
            for session, member in lapsed.items()
            if session in holds and not holds[session].firm  # checked again under the lock
        ]
        await settle_sessions(unit, books, holds, ended)
    if len(lapsed) == most:
        for minute in minutes:
            set_lapse(unit, minute)


async def settle_sessions(
    unit: UnitOfWork, books: Books, holds: Mapping[str, Hold], ended: Sequence[EndedSession]
) -> None:
    """Settles the sessions' open holds. The holds must be locked and their lots must be in the books."""
    await book_store.add_coverage(unit, books, holds.values())
    settled: list[Hold] = []
    before: list[HoldState] = []
    for each in ended:
        hold = holds.get(each.session_id)
        if hold is None or hold.state != "held":
            continue
        before.append(hold.state)
        settle(books.of(hold.member_id, each.cause), hold, each.ending, unit.now)
        settled.append(hold)
    await hold_store.settle(unit, settled, before)
    await _settle_what_depends_on_them(unit, books, settled, {each.session_id: each for each in ended})


async def _settle_what_depends_on_them(
    unit: UnitOfWork, books: Books, settled: Sequence[Hold], ended: Mapping[str, EndedSession]
) -> None:
    """Returns what was added for pending moves (RESC-1), and voids extensions that are not owed (MISS-3)."""
    moving = [hold.session_id for hold in settled if hold.moving]
    if moving:
        added = await move_store.by_session(unit, moving, books)
        await give_back(unit, books, {move: (hold, ended[hold.session_id].cause) for move, hold in added.items()})
    extended = [hold.session_id for hold in settled if hold.extended and hold.state == "returned"]
    if extended:
        causes = {session: (ended[session].cause, ended[session].ending.cause) for session in extended}
        await void_extensions(unit, books, causes)

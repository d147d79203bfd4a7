"""Bugs in credits and notifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_contracts.events import ProviderMissed
from makegood_credits.domain import book, endings, guarantees, invoices
from makegood_credits.handlers import endings as ending_handlers
from makegood_credits.handlers import moves as move_handlers
from makegood_credits.store import holds
from makegood_notifications.delivery_worker import AttemptResult, DeliveryWorker
from makegood_notifications.domain import announcements

from makegood_simulator.planted.changing import PlantedBug, attribute, everywhere, together

Change = AbstractContextManager[None]


def _settled_twice() -> Change:
    settle_sessions, keep = ending_handlers.settle_sessions, holds.settle

    async def again(unit: UnitOfWork, books: Any, held: Mapping[str, Any], ended: Sequence[Any]) -> None:
        for hold in held.values():
            if hold.state in ("returned", "spent") and hold.lot_id is not None:
                hold.state = "held"
                lot = books.of(hold.member_id, ended[0].cause).lots.get(hold.lot_id) if ended else None
                if lot is not None:
                    lot.held += 1
        await settle_sessions(unit, books, held, ended)

    async def whatever(unit: UnitOfWork, settled: Sequence[Any], before: Sequence[Any]) -> None:
        await keep(unit, settled, before)

    return together(everywhere(settle_sessions, again), everywhere(keep, whatever))


def _miss_forfeits() -> Change:
    ending_of = endings.ending_of

    def harsh(event: Any, published_at: datetime) -> Any:
        if isinstance(event, ProviderMissed):
            return endings.Ending("forfeited", "provider_missed", event.missed_at)
        return ending_of(event, published_at)

    return everywhere(ending_of, harsh)


def _promised_taken() -> Change:
    move = book.Book._move

    def forgetful(self: Any, account: Any, amount: int) -> None:
        kept = account.lot.guarantees if account.lot is not None else ()
        move(self, account, amount)
        if account.lot is not None:
            account.lot.guarantees = kept

    def take(lot: Any, minutes: int, now: datetime) -> None:
        return None

    return together(everywhere(guarantees.take, take), attribute(book.Book, "_move", forgetful))


def _return_without_entry() -> Change:
    transfer = book.Book.transfer

    def silent(self: Any, kind: str, *args: Any, **more: Any) -> Any:
        entry = transfer(self, kind, *args, **more)  # type: ignore[arg-type]
        if kind == "return":
            self.entries.remove(entry)
        return entry

    return attribute(book.Book, "transfer", silent)


def _co_pay_stays() -> Change:
    def keep(of: Any, invoice: Any, cause: Any) -> bool:
        return False

    return everywhere(invoices.void, keep)


def _credits_stay_loose() -> Change:
    def make_firm(unit: UnitOfWork, sessions: Sequence[str]) -> None: ...

    return everywhere(holds.make_firm, make_firm)


def _credits_do_not_lapse() -> Change:
    async def forgetful(batch: Any, unit: UnitOfWork, dependencies: Any) -> None: ...

    return everywhere(ending_handlers.on_hold_lapse_due, forgetful)


def _added_for_a_move_stays() -> Change:
    async def keep(unit: UnitOfWork, books: Any, moves: Any) -> None: ...

    return everywhere(move_handlers.give_back, keep)


def _nobody_is_told() -> Change:
    notices = announcements.notices

    def quiet(event: Any, *args: Any) -> list[Any]:
        return [] if isinstance(event, ProviderMissed) else notices(event, *args)

    return everywhere(notices, quiet)


def _noted_before_it_is_sent() -> Change:
    attempt = DeliveryWorker._attempt

    async def hasty(self: DeliveryWorker, delivery: Any, read_until: datetime) -> AttemptResult:
        sent = AttemptResult(delivery, "sent", at=self._database.clock.now())
        if self.carrier.hindrance(delivery) or delivery.withdrawn is not None:
            return await attempt(self, delivery, read_until)
        await self._keep(sent)
        from makegood_chassis.messaging import failpoints

        failpoints.reached("delivery.attempted")
        return await attempt(self, delivery, read_until)

    return attribute(DeliveryWorker, "_attempt", hasty)


def _deliveries_not_published() -> Change:
    return attribute(DeliveryWorker, "_publish", lambda self, outcome, unit: None)


BUGS: Final = (
    PlantedBug("settled-twice", "A credit that came back comes back again.", _settled_twice),
    PlantedBug("miss-forfeits", "The member loses the credit if the provider misses the session.", _miss_forfeits),
    PlantedBug("promised-taken", "A credit that was promised for later is spent like any other.", _promised_taken),
    PlantedBug("return-without-entry", "A credit comes back without an entry in the ledger.", _return_without_entry),
    PlantedBug("co-pay-stays", "The co-pay of a session that did not take place stays.", _co_pay_stays),
    PlantedBug("credits-stay-loose", "The credit of a reserved session lapses.", _credits_stay_loose),
    PlantedBug("credits-do-not-lapse", "A credit that no session reserves stays held.", _credits_do_not_lapse),
    PlantedBug("added-for-a-move-stays", "What was set aside for a move is never given back.", _added_for_a_move_stays),
    PlantedBug("nobody-is-told", "Nobody is told of a missed session.", _nobody_is_told),
    PlantedBug(
        "noted-before-it-is-sent", "A mail is noted as sent before it is handed over.", _noted_before_it_is_sent
    ),
    PlantedBug("deliveries-not-published", "No event tells that a message was delivered.", _deliveries_not_published),
)

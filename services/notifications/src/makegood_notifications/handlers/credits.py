"""What follows from a member's ledger: the chat tells of credits that came back, the member of what they owe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_contracts.currencies import currency_codes
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    CreditCorrected,
    CreditReturned,
    Event,
    InvoiceIssued,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceVoided,
    PaymentRefunded,
)

from makegood_notifications.domain.announcements import (
    INVOICE_ISSUED,
    INVOICE_OVERDUE,
    INVOICE_REFUNDED,
    PURCHASE_REFUNDED,
    Announcement,
    tells_of_return,
)
from makegood_notifications.domain.facts import Facts, More
from makegood_notifications.domain.origin import origin_of
from makegood_notifications.handlers.telling import Notifier
from makegood_notifications.store import contacts, deliveries, read_models, returns, venues
from makegood_notifications.store.contacts import DEFAULT_PREFERENCES
from makegood_notifications.store.outgoing import Outgoing
from makegood_notifications.store.returns import ReturnToTell

_CHARGES: Final[Mapping[type[Event], Announcement]] = {
    InvoiceIssued: INVOICE_ISSUED,
    InvoiceOverdue: INVOICE_OVERDUE,
    InvoiceVoided: INVOICE_REFUNDED,
}


class CreditMessages:
    """Tells people of credits and invoices."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    async def changed(self, batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
        """A movement of a member's credits, or of an invoice, that only their stream tells of."""
        outgoing = Outgoing()
        _stream(batch, unit, outgoing)
        await self._notifier.write(outgoing, unit)

    async def returned(self, batch: Sequence[Received[CreditReturned]], unit: UnitOfWork) -> None:
        """The chat tells that the credit came back (ROOM-4); a session not heard of yet is told of once it is."""
        outgoing = Outgoing()
        told = [
            ReturnToTell(received.event.session_id, origin_of(received))
            for received in batch
            if tells_of_return(received.event)
        ]
        whose = {received.id: received.event.member_id for received in batch}
        await self._tell_returns(told, unit, outgoing, whose=whose, keep=True)
        _stream(batch, unit, outgoing)
        await self._notifier.write(outgoing, unit)

    async def corrected(self, batch: Sequence[Received[CreditCorrected]], unit: UnitOfWork) -> None:
        """The chat tells what a correction made of a session's credit (MISS-5)."""
        outgoing = Outgoing()
        sessions = await read_models.find_sessions(unit, [received.event.session_id for received in batch])
        members = await contacts.preferences(unit, {received.event.member_id for received in batch})
        places = await venues.find(unit, {session.venue_id for session in sessions.values()})
        for received in batch:
            session = sessions.get(received.event.session_id)
            if session is None:
                continue
            if session.member_id != received.event.member_id:
                unit.refuse(received.id, "not-its-parties")
                continue
            facts = session.told(More(state=received.event.state))
            member = members.get(session.member_id, DEFAULT_PREFERENCES)
            self._notifier.system_message(
                "credit-corrected", session.member_id, facts, member.locale, origin_of(received), unit, outgoing,
                member.chat, places,
            )  # fmt: skip
        _stream(batch, unit, outgoing)
        await self._notifier.write(outgoing, unit)

    async def invoice_due(self, batch: Sequence[Received[InvoiceIssued | InvoiceOverdue]], unit: UnitOfWork) -> None:
        """The member is told what they owe and until when (EXT-1, CRED-7)."""
        outgoing = Outgoing()
        await self._tell_charges(batch, unit, outgoing)
        _stream(batch, unit, outgoing)
        await self._notifier.write(outgoing, unit)

    async def _tell_charges(
        self,
        batch: Sequence[Received[InvoiceIssued | InvoiceOverdue | InvoiceVoided]],
        unit: UnitOfWork,
        outgoing: Outgoing,
    ) -> None:
        wanted = [received.event.session_id for received in batch if received.event.session_id is not None]
        sessions = await read_models.find_sessions(unit, wanted)
        members = await contacts.preferences(unit, {received.event.member_id for received in batch})
        for received in batch:
            event = received.event
            announcement = _CHARGES[type(event)]
            more = More(
                invoice_id=event.invoice_id,
                amount_minor=event.amount_minor,
                currency=event.currency,
                due_on=None if isinstance(event, InvoiceVoided) else event.due_on,
                about=event.about if isinstance(event, InvoiceIssued) else "",
            )
            session = sessions.get(event.session_id or "")
            if session is not None and session.member_id != event.member_id:
                unit.refuse(received.id, "not-its-parties")
                continue
            if event.amount_minor <= 0 or event.currency not in currency_codes():
                unit.refuse(received.id, "not-its-terms")
                continue
            nothing = Facts(event.session_id, "", event.member_id, "", unit.now, unit.now, 0, "", "UTC", more=more)
            member = members.get(event.member_id, DEFAULT_PREFERENCES)
            self._notifier.tell(
                announcement,
                session.told(more) if session else nothing,
                origin_of(received),
                member,
                member.locale,
                unit,
                outgoing,
            )

    async def invoice_settled(self, batch: Sequence[Received[InvoicePaid | InvoiceVoided]], unit: UnitOfWork) -> None:
        """NOTE-3: what is still queued about an invoice that is paid or void by now is not sent. MISS-3: of money that goes back
        its member is told."""
        outgoing = Outgoing()
        events = [received.event for received in batch]
        await deliveries.leave_out_invoices(unit, [(event.member_id, event.invoice_id) for event in events])
        refunded = [
            received for received in batch if isinstance(received.event, InvoiceVoided) and received.event.refunds
        ]
        if refunded:
            await self._tell_charges(refunded, unit, outgoing)  # type: ignore[arg-type]
        _stream(batch, unit, outgoing)
        await self._notifier.write(outgoing, unit)

    async def refunded(self, batch: Sequence[Received[PaymentRefunded]], unit: UnitOfWork) -> None:
        """CRED-6: the member is told of money that was not accepted and goes back."""
        outgoing = Outgoing()
        members = await contacts.preferences(unit, {received.event.member_id for received in batch})
        for received in batch:
            event = received.event
            if event.amount_minor <= 0 or event.currency not in currency_codes():
                unit.refuse(received.id, "not-its-terms")
                continue
            more = More(amount_minor=event.amount_minor, currency=event.currency)
            facts = Facts(None, "", event.member_id, "", unit.now, unit.now, 0, "", "UTC", more=more)
            announcement = INVOICE_REFUNDED if event.purchase_id is None else PURCHASE_REFUNDED
            member = members.get(event.member_id, DEFAULT_PREFERENCES)
            self._notifier.tell(announcement, facts, origin_of(received), member, member.locale, unit, outgoing)
        _stream(batch, unit, outgoing)
        await self._notifier.write(outgoing, unit)

    async def tell_late_returns(self, session_ids: Sequence[str], unit: UnitOfWork, outgoing: Outgoing) -> None:
        """Returns that came before the news of their session."""
        late = await returns.take(unit, session_ids)
        await self._tell_returns(late, unit, outgoing, whose={}, keep=False)

    async def _tell_returns(
        self,
        told: Sequence[ReturnToTell],
        unit: UnitOfWork,
        outgoing: Outgoing,
        *,
        whose: Mapping[str, str],
        keep: bool,
    ) -> None:
        """`whose`: event → the member that it names."""
        if not told:
            return
        known = await returns.facts_of_sessions(unit, [one.session_id for one in told])
        places = await venues.named_by(unit, [facts for facts, _ in known.values()])
        unknown: list[ReturnToTell] = []
        for one in told:
            if one.session_id not in known:
                unknown.append(one)
                continue
            facts, member = known[one.session_id]
            if whose.get(one.origin.event_id, facts.member_id) != facts.member_id:
                unit.refuse(one.origin.event_id, "not-its-parties")
                continue
            self._notifier.system_message(
                "credit-returned",
                facts.member_id,
                facts,
                member.locale,
                one.origin,
                unit,
                outgoing,
                member.chat,
                places,
            )
        if keep and unknown:
            await returns.keep(unit, unknown)


def _stream(batch: Sequence[Received[Any]], unit: UnitOfWork, outgoing: Outgoing) -> None:
    for received in batch:
        if received.id not in unit.refused:
            outgoing.entry(received.event.member_id, None, "credits.changed", {"member_id": received.event.member_id})

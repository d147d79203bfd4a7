"""What the state topics must say, worked out from the events alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    CreditAdjusted,
    CreditCorrected,
    CreditExpired,
    CreditForfeited,
    CreditGranted,
    CreditHeld,
    CreditReturned,
    CreditSpent,
    EnrolmentEnded,
    Event,
    InvoiceIssued,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceVoided,
    MemberEnrolled,
    MemberNoShow,
    MessageDelivered,
    MessageFailed,
    MoveCreditHeld,
    OutcomeCorrected,
    PersonErased,
    ProviderChanged,
    ProviderMissed,
    RoomClosed,
    RoomOpened,
    SessionMoved,
    SessionRequested,
    SlotHeld,
    SlotMoved,
    SlotReleased,
)
from makegood_contracts.events.ledger import InvoiceFact, LedgerFact
from makegood_contracts.events.reservations import SlotFact
from makegood_contracts.events.rooms import RoomFact
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.topics import (
    BALANCES_STATE,
    DELIVERIES_STATE,
    ENROLMENTS_STATE,
    HOLDS_STATE,
    INVOICES_STATE,
    ROOMS_STATE,
    SESSIONS_STATE,
    STATE_TOPICS,
)

State = dict[str, Any]
States = dict[str, State]
"""The fields that the events tell, by the entity's key."""

_STATUS: Final[Mapping[str, str]] = {
    "SessionRequested": "requested",
    "SessionReserved": "reserved",
    "SessionRejected": "rejected",
    "SessionConfirmed": "confirmed",
    "SessionDeclined": "declined",
    "SessionExpired": "expired",
    "SessionCancelled": "cancelled",
    "SessionStarted": "in_session",
    "SessionCompleted": "completed",
    "ProviderMissed": "provider_missed",
    "MemberNoShow": "member_no_show",
}
_ABSENT: Final = {"completed": None, "provider_missed": "provider", "member_no_show": "member"}
_INVOICE: Final = {InvoiceIssued: "issued", InvoicePaid: "paid", InvoiceOverdue: "overdue", InvoiceVoided: "void"}


@dataclass
class Fold:
    """Takes events in the order of their entities, each once. `states` is then what the state topics must say, by topic."""

    states: dict[str, States] = field(default_factory=lambda: {t.name: defaultdict(dict) for t in STATE_TOPICS})
    erased: set[str] = field(default_factory=set)
    _settled: dict[str, str] = field(default_factory=dict)
    """How each hold of a credit was settled last."""

    def of(self, events: Iterable[Received[Any]]) -> Fold:
        known: set[str] = set()
        for received in sorted(events, key=lambda one: (one.event.topic.name, one.key, one.sequence)):
            if received.id not in known:
                known.add(received.id)
                self._take(received.event)
        return self

    def _take(self, event: Event) -> None:
        match event:
            case SessionFact():
                self._session(event, self.states[SESSIONS_STATE.name][event.key])
            case RoomFact():
                room = self.states[ROOMS_STATE.name][event.key]
                room |= _fields(event, "room_id", "member_id", "provider_id", "room_version")
                room["status"] = "closed" if isinstance(event, RoomClosed | ProviderChanged) else "active"
                if isinstance(event, RoomOpened):
                    room["opened_at"] = event.opened_at
            case SlotHeld() | SlotMoved() | SlotReleased():
                self._hold(event, self.states[HOLDS_STATE.name][event.key])
            case InvoiceFact():
                invoice = self.states[INVOICES_STATE.name][event.invoice_id]
                invoice |= _fields(event, "invoice_id", "member_id", "session_id", "amount_minor", "currency")
                invoice["status"] = _INVOICE[type(event)]
                if isinstance(event, InvoiceIssued):
                    invoice |= _fields(event, "due_on", "about")
            case LedgerFact() | CreditHeld() | MoveCreditHeld():
                self._balance(event)
            case MemberEnrolled() | EnrolmentEnded():
                enrolment = self.states[ENROLMENTS_STATE.name][event.enrolment_id]
                if isinstance(event, MemberEnrolled):
                    names = ("enrolment_id", "member_id", "plan_id", "starts_on", "ends_on", "time_zone")
                    enrolment |= _fields(event, *names) | {"ended_on": None}
                else:
                    enrolment["ended_on"] = event.ended_on
            case MessageDelivered() | MessageFailed():
                delivery = self.states[DELIVERIES_STATE.name][event.key]
                delivery |= _fields(event, "delivery_id", "person_id", "channel", "template", "session_id")
                delivery["status"] = "sent" if isinstance(event, MessageDelivered) else "failed"
            case PersonErased():
                self.erased.add(event.person_id)

    def _session(self, event: SessionFact, session: State) -> None:
        names = (
            "session_id",
            "room_id",
            "member_id",
            "provider_id",
            "starts_at",
            "ends_at",
            "length_minutes",
            "modality",
        )
        session |= _fields(event, *names, "time_zone", "venue_id", "session_version", "extended_minutes")
        session["status"] = _STATUS.get(type(event).__name__, session.get("status"))
        match event:
            case SessionRequested():
                session |= _fields(event, "booked_by", "policy_version") | {"absent_party": None}
            case SessionMoved():
                session["status"] = "confirmed" if event.confirmed else "reserved"
            case ProviderMissed():
                session["absent_party"] = event.absent_party
            case MemberNoShow():
                session["absent_party"] = "member"
            case OutcomeCorrected():
                session["status"], session["absent_party"] = event.outcome, _ABSENT[event.outcome]

    def _hold(self, event: SlotFact, hold: State) -> None:
        hold |= _fields(event, "session_id", "provider_id", "member_id", "venue_id", "starts_at", "ends_at")
        match event:
            case SlotHeld():
                hold |= _fields(event, "hold_until", "blocked_from", "blocked_until") | {
                    "status": "held",
                    "cause": None,
                }
            case SlotMoved():
                hold |= _fields(event, "blocked_from", "blocked_until")
            case SlotReleased():
                hold |= {"status": "released", "cause": event.cause}

    def _balance(self, event: Any) -> None:
        balance = self.states[BALANCES_STATE.name][event.member_id]
        balance["member_id"] = event.member_id
        available, held = self._moved(event)
        balance["available"] = balance.get("available", 0) + available
        balance["held"] = balance.get("held", 0) + held

    def _moved(self, event: Event) -> tuple[int, int]:
        """By how much a member's credits changed: available, held."""
        match event:
            case CreditGranted() | CreditAdjusted():
                return event.amount, 0
            case CreditExpired():
                return -event.amount, 0
            case CreditHeld():
                return (-1, 1) if event.lot_id else (0, 0)
            case MoveCreditHeld():
                return (-1, 1) if event.lot_id and event.how == "added" else (0, 0)
            case CreditReturned():
                self._settled[event.hold_id] = "returned"
                return event.amount, -1
            case CreditSpent() | CreditForfeited():
                self._settled[event.hold_id] = "gone"
                return 0, -1
            case CreditCorrected():
                before, self._settled[event.hold_id] = self._settled.get(event.hold_id), event.state
                return (event.state == "returned") - (before == "returned"), 0
        raise AssertionError(type(event).__name__)


def _fields(event: Event, *names: str) -> State:
    return {name: getattr(event, name) for name in names}

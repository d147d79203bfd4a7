"""A golden example of each event: a complete record with headers and payload, from fixed values."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, Final, get_args, get_origin

import msgspec

from makegood_contracts.envelope import EXAMPLE_BASE_URL, Cause, Record, encode
from makegood_contracts.events import Event, InvoiceWish, Price
from makegood_contracts.reasons import Obstacle, Reason

_EVENT_ID: Final = "01937b6e-0000-7000-8000-0000000000e1"
_CAUSE: Final = Cause(
    correlation_id="01937b6e-0000-7000-8000-0000000000c1",
    causation_id="01937b6e-0000-7000-8000-0000000000c2",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
_TIME: Final = datetime(2026, 11, 24, 9, 10, 0, 123456, tzinfo=UTC)


def _at(hour: int, minute: int = 0, day: int = 24) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


_OBSTACLE: Final = Obstacle(
    code="outstanding-charges",
    detail="The member has an overdue invoice.",
    action="pay_balance",
    href="/v1/members/member-7f3a/invoices",
)
_BY_NAME: Final[dict[str, Any]] = {
    "session_id": "01937b6e-0000-7000-8000-000000000001",
    "room_id": "01937b6e-0000-7000-8000-000000000002",
    "venue_id": None,
    "hold_id": "01937b6e-0000-7000-8000-000000000003",
    "lot_id": "01937b6e-0000-7000-8000-000000000004",
    "entry_id": "01937b6e-0000-7000-8000-000000000005",
    "invoice_id": "01937b6e-0000-7000-8000-000000000006",
    "enrolment_id": "01937b6e-0000-7000-8000-000000000007",
    "delivery_id": "01937b6e-0000-7000-8000-000000000008",
    "time_off_id": "01937b6e-0000-7000-8000-000000000009",
    "member_id": "member-7f3a",
    "provider_id": "provider-21c9",
    "person_id": "member-7f3a",
    "public_key": b64encode(sha256(b"a public key").digest()).decode(),
    "sealed_remark": b64encode(b"ciphertext").decode(),
    "jti": "3f1e0c52-7c3b-4b5e-9a55-6f0f2b8f5d11",
    "made_by": "support-4",
    "plan_id": "insurance-credits",
    "plan_kind": "health_insurance",
    "starts_at": _at(9),
    "ends_at": _at(9, 45),
    "confirm_by": _at(9, day=23),
    "answer_by": _at(9, 45, day=25),
    "hold_until": _at(8, 15, day=20),
    "cancelled_at": _at(12, day=22),
    "joined_at": _at(8, 58),
    "left_at": _at(9, 44),
    "missed_at": _at(9, 10),
    "revoked_at": _at(9, 10),
    "delivered_at": _at(9, 10),
    "opened_at": _at(8, day=1),
    "closed_at": _at(8, day=30),
    "expires_at": datetime(2026, 12, 31, 23, 0, tzinfo=UTC),
    "starts_on": date(2026, 11, 1),
    "ends_on": None,
    "ended_on": date(2026, 11, 30),
    "due_on": date(2026, 12, 8),
    "time_zone": "Europe/Paris",
    "length_minutes": 45,
    "lengths": [45, 60],
    "psychiatry_lengths": [30],
    "live_credits": 8,
    "session_version": 3,
    "extended_minutes": 0,
    "room_version": 1,
    "schedule_version": 2,
    "policy_version": 1,
    "grace_minutes": 10,
    "policy_id": "standard",
    "in_force_from": _at(8, day=1),
    "notice_hours": 48,
    "confirm_hours": 24,
    "join_minutes": 10,
    "no_show_minutes": 15,
    "cooling_off_minutes": 15,
    "together_minutes": 5,
    "inactivity_days": 25,
    "offer_minutes": 120,
    "adjustment_limit": 10,
    "co_pay_due_days": 14,
    "period_months": 1,
    "made_for_minutes": 45,
    "minimum_notice_minutes": 120,
    "horizon_days": 90,
    "amount": 1,
    "amount_minor": 2500,
    "currency": "USD",
    "available_after": 3,
    "held_after": 0,
    "template": "provider-missed",
    "move_id": "01937b6e-0000-7000-8000-00000000000a",
    "message_id": "01937b6e-0000-7000-8000-00000000000b",
    "new_room_id": "01937b6e-0000-7000-8000-00000000000c",
    "new_provider_id": "provider-4b07",
    "sender_id": "member-7f3a",
    "corrected_by": "support-4",
    "new_starts_at": _at(14),
    "new_ends_at": _at(14, 45),
    "new_length_minutes": 45,
    "new_time_zone": "Europe/Paris",
    "new_venue_id": None,
    "old_starts_at": _at(14),
    "old_ends_at": _at(14, 45),
    "old_venue_id": None,
    "decide_by": _at(8, 5, day=20),
    "moved_at": _at(8, day=20),
    "corrected_at": _at(12, day=25),
    "restarted_at": _at(8, day=28),
    "changed_at": _at(8, day=29),
    "sent_at": _at(8, day=21),
    "erased_at": _at(8, day=30),
    "paid_at": _at(8, day=29),
    "blocked_from": _at(8, 55),
    "blocked_until": _at(10),
    "waits_from": _at(7),
    "waits_until": _at(18),
    "lapses_at": _at(12, day=20),
    "remind_at": (_at(9, day=23), _at(8)),
    "proposal_id": "01937b6e-0000-7000-8000-00000000000e",
    "next_starts_at": _at(10, 30),
    "erased": None,
    "tells_member": True,
    "invoice": InvoiceWish(amount_minor=2500, currency="USD", due_on=date(2026, 12, 8)),
    "closed_by": "provider",
    "co_pay": Price(amount_minor=2500, currency="USD"),
    "weekday": 0,
    "start": 540,
    "until": 1020,
    "day": date(2026, 12, 24),
    "buffer_before_minutes": 5,
    "buffer_after_minutes": 15,
    "slot_step_minutes": 15,
    "cancels": (),
    "reasons": [Reason(code="slot-taken", detail="Another session, or the buffer around it, overlaps that time.")],
}
_BY_EVENT: Final[dict[str, dict[str, Any]]] = {
    "AccessRecorded": {
        "number": 4711,
        "row_id": 4712,
        "at": _at(9, 10),
        "caller": "support-4",
        "role": "support",
        "operation": "session.read",
        "entity": "session:01937b6e-0000-7000-8000-000000000001",
        "outcome": "shown",
        "reason": "support_request",
        "times": 1,
        "request_id": "01937b6e-0000-7000-8000-00000000000d",
        "row_hash": sha256(b"the row").hexdigest(),
        "hash": sha256(b"the hash before, then the row").hexdigest(),
    },
    "CreditRefused": {
        "reasons": [
            Reason(
                code="no-session-credits",
                detail="The member has no credit left for a session of this length on that day.",
            )
        ]
    },
    "VenuePublished": {
        "venue_id": "01937b6e-0000-7000-8000-00000000000e",
        "venue_version": 1,
        "name": "Practice in the Park",
        "place": "12 Park Lane, Leeds",
    },
    "VenueCodeChanged": {
        "venue_id": "01937b6e-0000-7000-8000-00000000000e",
        "venue_version": 2,
        "code_digest": "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7",
    },
    "CreditHeld": {"invoice_id": None},
    "CreditReturned": {"cause": "provider_missed"},
    "CreditForfeited": {"cause": "member_no_show"},
    "InvoiceVoided": {"cause": "provider_missed"},
    "PaymentRefunded": {"purchase_id": "01937b6e-0000-7000-8000-000000000015", "invoice_id": None},
    "SessionCancelled": {"forfeits": False},
    "SessionMoveRequested": {"forfeits": False},
    "SessionMoveFunded": {"forfeits": False},
    "SessionMoveRefused": {"forfeits": False},
    "SessionMoved": {"forfeits": False},
    "SessionExtensionRequested": {"new_ends_at": _at(10)},
    "SessionZoneChanged": {"old_time_zone": "America/New_York"},
    "SessionExtended": {
        "ends_at": _at(10),
        "old_ends_at": _at(9, 45),
        "length_minutes": 60,
        "extended_minutes": 15,
    },
    "MoveCreditHeld": {"how": "kept"},
    "MoveCreditRefused": {
        "reasons": [
            Reason(
                code="no-session-credits",
                detail="The member has no credit left for a session of this length on that day.",
            )
        ]
    },
    "CreditCorrected": {"state": "forfeited"},
    "SlotReleased": {"cause": "provider_missed"},
    "WaitlistCandidateJudged": {"reasons": (_OBSTACLE,)},
    "WaitlistCandidatePassedOver": {"reasons": (_OBSTACLE,)},
    "MessageDelivered": {"template": "provider-missed"},
    "SessionState": {"status": "provider_missed", "absent_party": "provider", "booked_by": "member"},
    "HoldState": {"status": "released", "cause": "provider_missed"},
    "BalanceState": {"available": 3, "held": 0},
    "EnrolmentState": {"ended_on": None},
    "DeliveryState": {"status": "sent"},
}


def example_of(kind: type[Event]) -> Event:
    """An example of the event with a plausible value in each field, always the same."""
    chosen = _BY_NAME | {"chain": kind.topic.owner} | _BY_EVENT.get(kind.__name__, {})
    return kind(**_values(kind, chosen))


def record_of(kind: type[Event], base_url: str = EXAMPLE_BASE_URL) -> Record:
    """The example as a Kafka record."""
    return encode(example_of(kind), sequence=3, cause=_CAUSE, event_id=_EVENT_ID, time=_TIME, base_url=base_url)


def golden_of(kind: type[Event], base_url: str = EXAMPLE_BASE_URL) -> dict[str, Any]:
    """The record as a document: `topic`, `key`, `headers`, `payload`."""
    record = record_of(kind, base_url)
    return {
        "topic": record.topic,
        "key": record.key,
        "headers": dict(record.headers),
        "payload": msgspec.json.decode(record.value),
    }


def _values(kind: type[msgspec.Struct], chosen: dict[str, Any]) -> dict[str, Any]:
    return {
        field.name: chosen[field.name] if field.name in chosen else _any(kind, field)
        for field in msgspec.structs.fields(kind)
    }


def _any(kind: type[msgspec.Struct], field: msgspec.structs.FieldInfo) -> Any:
    """A value for a boolean, a closed set, or a list of closed sets or structs. Other types need an entry in `_BY_NAME`."""
    if field.type is bool:
        return True
    arguments = get_args(field.type)
    if arguments and all(isinstance(choice, str) for choice in arguments):
        return arguments[0]
    many = get_origin(field.type)
    item = arguments[0] if many in (list, tuple) else None
    if get_args(item):
        return many(get_args(item)[:2])
    if isinstance(item, type) and issubclass(item, msgspec.Struct) and many is not None:
        return many([item(**_values(item, _BY_NAME))])
    raise LookupError(f"{kind.__name__}.{field.name}: add an example value in {__name__}")

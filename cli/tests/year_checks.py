"""What must hold in a generated year, read from its events alone, without the rules that made them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec
from makegood_contracts.envelope import Received, Record, decode
from makegood_contracts.topics import HOLDS, LEDGER, PEOPLE, RESERVATIONS, SESSIONS

ENDINGS = {
    "SessionRejected": {"CreditReturned", "InvoiceVoided"},
    "SessionDeclined": {"CreditReturned", "InvoiceVoided"},
    "SessionExpired": {"CreditReturned", "InvoiceVoided"},
    "SessionCancelled": {"CreditReturned", "InvoiceVoided", "CreditForfeited", "InvoiceIssued"},
    "SessionCompleted": {"CreditSpent", "InvoiceIssued"},
    "ProviderMissed": {"CreditReturned", "InvoiceVoided"},
    "MemberNoShow": {"CreditForfeited", "InvoiceIssued", "CreditReturned", "InvoiceVoided"},
}
"""How a session may end, and what may become of its credit or co-pay then."""
_AFTER = {
    "": {"SessionRequested"},
    "requested": {"SessionReserved", "SessionRejected"},
    "reserved": {"SessionConfirmed", "SessionDeclined", "SessionExpired", "SessionCancelled", "SessionMoved"},
    "confirmed": {
        "SessionStarted", "SessionCancelled", "SessionMoved", "ProviderMissed", "MemberNoShow", "SessionCompleted",
    },
    "in_session": {"SessionCompleted", "ProviderMissed", "SessionCancelled"},
    "over": set(),
}  # fmt: skip
_STATUS = {
    "SessionRequested": "requested",
    "SessionReserved": "reserved",
    "SessionConfirmed": "confirmed",
    "SessionStarted": "in_session",
} | dict.fromkeys(ENDINGS, "over")
_ANYWHERE = {"SessionLeft"}
"""What may also come after the ending."""
_WORD = re.compile(r"[A-Za-z0-9_.:/+-]{1,64}")


def received(records: Iterable[Record]) -> list[tuple[str, Received[Any]]]:
    """Topic and event of each record, decoded as a consumer does. Raises MalformedEvent."""
    return [
        (r.topic, decode(r.key.encode(), [(name, value.encode()) for name, value in r.headers], r.value))
        for r in records
    ]


def name(one: Received[Any]) -> str:
    return type(one.event).__name__


def faults(events: list[tuple[str, Received[Any]]]) -> Iterator[str]:
    """Everything that cannot be."""
    yield from _of_envelopes(events)
    yield from _of_sessions(one for topic, one in events if topic == SESSIONS.name)
    yield from _of_slots(one for topic, one in events if topic == RESERVATIONS.name)
    yield from _of_credits([one for topic, one in events if topic in (HOLDS.name, LEDGER.name)])
    yield from _of_settlements(events)


def _of_envelopes(events: list[tuple[str, Received[Any]]]) -> Iterator[str]:
    """Sequences have no gaps, time does not run back, and every cause is known."""
    sequences: Counter[tuple[str, str]] = Counter()
    correlations: dict[str, str] = {}
    latest = events[0][1].time
    for topic, one in events:
        sequences[topic, one.key] += 1
        if (one.event.topic.name, one.event.key) != (topic, one.key):
            yield f"{name(one)} {one.id} is on {topic} with the key {one.key}"
        if one.sequence != sequences[topic, one.key]:
            yield f"{name(one)} {one.id} is number {one.sequence} of {one.key}, not {sequences[topic, one.key]}"
        if one.time < latest:
            yield f"{name(one)} {one.id} is earlier than the event before"
        if one.causation_id != one.correlation_id and correlations.get(one.causation_id) != one.correlation_id:
            yield f"{name(one)} {one.id} has an unknown cause"
        if one.id in correlations:
            yield f"{name(one)} {one.id} is there twice"
        correlations[one.id], latest = one.correlation_id, one.time


def _of_sessions(events: Iterable[Received[Any]]) -> Iterator[str]:
    """Each session goes the way that the rules of booking allow, and no outcome comes too early."""
    statuses: defaultdict[str, str] = defaultdict(str)
    for one in events:
        event, fact = one.event, name(one)
        status = statuses[event.session_id]
        if fact in _STATUS or fact == "SessionMoved":
            if fact not in _AFTER[status]:
                yield f"session {event.session_id}: {fact} after {status}"
            statuses[event.session_id] = _STATUS.get(fact) or ("confirmed" if event.confirmed else "reserved")
        elif status in ("", "requested", "over") and fact not in _ANYWHERE:
            yield f"session {event.session_id}: {fact} after {status}"
        late = (one.time - event.starts_at).total_seconds() / 60
        if (fact == "ProviderMissed" and late < 10) or (fact == "MemberNoShow" and late < 10):
            yield f"session {event.session_id}: {fact} {late} minutes after the start"
        if fact == "SessionCompleted" and one.time < event.ends_at:
            yield f"session {event.session_id} is completed before its end"


def _of_slots(events: Iterable[Received[Any]]) -> Iterator[str]:
    """AVAIL-3: nobody's slots overlap, and what is held is released once."""
    live: defaultdict[str, dict[str, tuple[datetime, datetime]]] = defaultdict(dict)
    for one in events:
        event, fact = one.event, name(one)
        spans = live[event.provider_id]
        if fact == "SlotReleased" and spans.pop(event.session_id, None) is None:
            yield f"the slot of session {event.session_id} is released and was not held"
        if fact == "SlotMoved" and event.session_id not in spans:
            yield f"the slot of session {event.session_id} is moved and was not held"
        if fact in ("SlotHeld", "SlotMoved"):
            spans.pop(event.session_id, None)
            if any(start < event.blocked_until and event.blocked_from < end for start, end in spans.values()):
                yield f"the slot of session {event.session_id} overlaps another one"
            spans[event.session_id] = (event.blocked_from, event.blocked_until)


def _of_credits(events: list[Received[Any]]) -> Iterator[str]:
    """CRED-1, CRED-3: balances are the sums of movements, never negative, and a hold is settled once."""
    available: Counter[str] = Counter()
    holds: defaultdict[str, set[str]] = defaultdict(set)
    for one in events:
        event, fact = one.event, name(one)
        member = getattr(event, "member_id", "")
        if fact == "CreditHeld" or (fact == "MoveCreditHeld" and event.how == "added"):
            if event.funding == "credit":
                available[member] -= 1
                holds[member].add(event.hold_id)
                if fact == "CreditHeld" and event.available_after != available[member]:
                    yield f"{one.id}: {event.available_after} available, not {available[member]}"
        elif hasattr(event, "entry_id"):
            if fact in ("CreditGranted", "CreditReturned", "CreditAdjusted"):
                available[member] += event.amount
            if fact == "CreditExpired":
                available[member] -= event.amount
            if fact in ("CreditReturned", "CreditSpent", "CreditForfeited"):
                if event.hold_id not in holds[member]:
                    yield f"{one.id}: hold {event.hold_id} is settled twice, or was never held"
                holds[member].discard(event.hold_id)
            if (event.available_after, event.held_after) != (available[member], len(holds[member])):
                yield f"{one.id} {fact}: {event.available_after}, {event.held_after} in the books"
        if available[member] < 0:
            yield f"{member} has {available[member]} credits"


def _of_settlements(events: list[tuple[str, Received[Any]]]) -> Iterator[str]:
    """MISS-2, MISS-3, CANC-3: what was set aside for a session that is over is settled as its ending says, and its slot is free."""
    funding: dict[str, str] = {}
    settled: defaultdict[str, list[str]] = defaultdict(list)
    ended: dict[str, Received[Any]] = {}
    slots: Counter[str] = Counter()
    emails: Counter[tuple[str, str]] = Counter()
    for _, one in events:
        event, fact = one.event, name(one)
        if fact in ENDINGS:
            ended[event.session_id] = one
        elif fact == "CreditHeld":
            funding[event.session_id] = event.funding
        elif fact in ("CreditReturned", "CreditForfeited", "CreditSpent", "InvoiceIssued", "InvoiceVoided"):
            if getattr(event, "cause", None) != "moved":
                settled[event.session_id].append(fact)
        elif fact in ("SlotHeld", "SlotReleased"):
            slots[event.session_id] += 1 if fact == "SlotHeld" else -1
        elif fact in ("MessageDelivered", "MessageFailed"):
            emails[event.session_id, event.template] += event.channel == "email"
    for session, one in ended.items():
        fact, found = name(one), settled[session]
        if slots[session] != 0:
            yield f"session {session} is over, and its slot is {'held' if slots[session] > 0 else 'released twice'}"
        if session in funding and (len(found) != 1 or found[0] not in ENDINGS[fact]):
            yield f"session {session}: {fact}, and then {found}"
        if (
            getattr(one.event, "forfeits", None) is True
            and found
            and found[0] not in ("CreditForfeited", "InvoiceIssued")
        ):
            yield f"session {session} forfeits, and then {found}"
        if fact == "ProviderMissed" and emails[session, "provider-missed"] != 1:
            yield f"session {session} was missed, and there are {emails[session, 'provider-missed']} e-mails about it"


def texts(events: list[tuple[str, Received[Any]]]) -> Iterator[tuple[str, str, str]]:
    """Event, field and content of everything in the payloads that is not a single word of a machine."""
    for _, one in events:
        for field, value in _strings(msgspec.to_builtins(one.event)):
            if not _WORD.fullmatch(value):
                yield name(one), field, value


def _strings(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield field, value
        case dict():
            for key, each in value.items():
                yield from _strings(each, key)
        case list() | tuple():
            for each in value:
                yield from _strings(each, field)


def erased(events: list[tuple[str, Received[Any]]]) -> set[str]:
    """The people whose erasure is among the events."""
    return {one.event.person_id for topic, one in events if topic == PEOPLE.name and name(one) == "PersonErased"}

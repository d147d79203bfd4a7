"""Brings databases and topics in line after the databases went back to a cut (decision 45).

The later events are withdrawn: every inbox has them, so no service ever handles half of what the others have forgotten.
Some of them stay true, whatever a database knows: what was sent to people, who was erased, and which tokens were revoked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from makegood_chassis.messaging.verification import Verifier
from makegood_contracts.envelope import Received
from makegood_contracts.events import CreditGranted, MessageDelivered, MessageFailed, PersonErased, TokensRevoked
from makegood_contracts.events.deliveries import DeliveryFact
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.topics import ACCESS, HOLDS, RESERVATIONS, STATE_TOPICS
from makegood_devtools.errors import UserError

from makegood_stack.backup import later, offsets
from makegood_stack.backup.databases import connected
from makegood_stack.backup.manifest import Manifest
from makegood_stack.backup.taking import Say
from makegood_stack.config import Stack
from makegood_stack.ports import SERVICES

_UNSENT: Final = "SELECT headers FROM outbox"
_RUN_SINCE: Final = "SELECT EXISTS (SELECT FROM leases WHERE name = 'relay' AND expires_at > $1)"
_LEASE: Final = timedelta(seconds=5)
"""Longer than a lease lasts that was held at the cut."""
_HANDLED: Final = "SELECT event_id::text FROM inbox WHERE event_id = ANY($1::uuid[]) AND state <> 'withdrawn'"
_WITHDRAW: Final = """
INSERT INTO inbox (event_id, state) SELECT unnest($1::uuid[]), 'withdrawn' ON CONFLICT DO NOTHING
"""
_MARK: Final = "INSERT INTO state_changes (topic, key) SELECT unnest($1::text[]), unnest($2::text[])"
_SESSIONS: Final = "SELECT id::text, starts_at FROM sessions WHERE id = ANY($1::uuid[])"
_KNOWN_DELIVERIES: Final = "SELECT id::text FROM deliveries WHERE id = ANY($1::uuid[])"
_FINISHED: Final = """
UPDATE deliveries SET status = $2, sent_at = $3, reason = $4, attempts = greatest(attempts, 1) WHERE id = $1 AND status = 'queued'
"""
_TOLD: Final = """
INSERT INTO told_before (delivery_id, person_id, channel, template, session_id, starts_at, delivered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""
_PRODUCT_TIME: Final = "SELECT clock_timestamp() + make_interval(secs => offset_seconds) FROM clock"
_ERASE: Final = """
INSERT INTO erasure_requests (person_id, reason, requested_by, requested_at, due_at)
VALUES ($1, 'law_requires_it', 'restore', $2, $2)
ON CONFLICT (person_id) DO UPDATE SET due_at = least(erasure_requests.due_at, excluded.due_at)
"""
_ERASE_SOON: Final = """
INSERT INTO deadlines (kind, entity_id, due_at) VALUES ('erasure', $1, $2)
ON CONFLICT (kind, entity_id) DO UPDATE SET due_at = excluded.due_at, attempts = 0
"""
_REVOKE: Final = """
INSERT INTO revoked_tokens (person_id, jti, revoked_at) VALUES ($1, $2, $3)
ON CONFLICT (person_id, jti) DO UPDATE SET revoked_at = greatest(revoked_tokens.revoked_at, excluded.revoked_at)
"""
_REMINDS: Final = frozenset({"reminder", "to-provider-reminder", "reconfirm-asked"})
"""Templates that come from deadlines, several times for a session, and each for one start."""
_BY_HAND: Final = frozenset({"InvoicePaid", "PaymentRefunded", "CreditAdjusted", "PolicyChanged"})
"""Facts that no service can find out again: somebody paid, or decided."""
_ERASURES: Final = frozenset({"erasure-requested", "erasure-taken-back"})
"""Templates that answer what somebody asked for, of which no other event tells."""

_FOLLOW: Final = (RESERVATIONS, HOLDS, *ACCESS.values())
"""Topics of what follows from sessions and requests, which the report need not list as well."""


@dataclass
class Report:
    """What the topics know and the databases do not, and what was done about it."""

    backup: str
    taken_at: datetime
    same_topics: bool = True
    """False: the topics are not those of the backup. Nothing was compared."""
    later: int = 0
    withdrawn: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    ignored: int = 0
    offsets_set_back: int = 0
    lost_sessions: list[dict[str, Any]] = field(default_factory=list)
    """Sessions that booking does not know any more."""
    rolled_back: list[dict[str, Any]] = field(default_factory=list)
    """Other entities that are again as they were, with what had become of them."""
    by_hand: list[dict[str, Any]] = field(default_factory=list)
    """Payments, decisions and requests for erasure that somebody has to look at."""
    sent_already: int = 0
    """Messages that are not sent again."""
    may_come_twice: list[dict[str, Any]] = field(default_factory=list)
    """Messages about no session; a service cannot tell whether they repeat."""
    erased_again: list[str] = field(default_factory=list)
    revoked_again: int = 0
    handled_by: dict[str, list[str]] = field(default_factory=dict)
    """Later events that a database has handled all the same: it is not of this cut."""


async def reconcile(stack: Stack, manifest: Manifest, verifier: Verifier, say: Say) -> Report:
    """Compares topics and databases, and brings them in line. It can be repeated until the services start.

    Raises UserError if a service has run on the databases since the cut.
    """
    report = Report(manifest.id, manifest.taken_at)
    databases = {service: await connected(service, stack.database_url(service, "owner")) for service in SERVICES}
    try:
        await _require_untouched(databases, manifest)
        unsent = await _unsent(databases)
        try:
            found = await later.read(stack.kafka, manifest, unsent, verifier)
        except later.OtherTopics:
            report.same_topics = False
            return report
        report.later, report.ignored = len(found.events), found.ignored
        await _settle(databases, found.events, report)
    finally:
        for connection in databases.values():
            await connection.close()
    report.offsets_set_back = await offsets.set_back(stack.kafka_as("restore"), manifest)
    say(f"  consumers continue where they were at the cut ({report.offsets_set_back} partitions set back)")
    return report


async def _require_untouched(databases: Mapping[str, Any], manifest: Manifest) -> None:
    for service, connection in databases.items():
        if await connection.fetchval(_RUN_SINCE, manifest.databases[service].noted_at + _LEASE):
            raise UserError(
                f"{service} has run on its database since the backup, so the backup's offsets do not fit it. "
                "Restore the databases first, and start no service before this step"
            )


async def _unsent(databases: Mapping[str, Any]) -> set[str]:
    rows = [row for connection in databases.values() for row in await connection.fetch(_UNSENT)]
    return {dict(msgspec.json.decode(row[0], type=list[tuple[str, str]])).get("ce_id", "") for row in rows}


async def _settle(databases: Mapping[str, Any], events: Sequence[Received[Any]], report: Report) -> None:
    known = await _known_sessions(databases["booking"], events)
    stays = await _keep_what_was_sent(databases["notifications"], events, known, report)
    await _keep_erasures(databases, events, report)
    withdrawn = [one for one in events if one.id not in stays]
    ids = [one.id for one in withdrawn]
    for service, connection in databases.items():
        handled = [str(row[0]) for row in await connection.fetch(_HANDLED, ids)]
        if handled:
            report.handled_by[service] = handled
        await connection.execute(_WITHDRAW, ids)
        await _mark_states(service, connection, withdrawn)
    report.withdrawn = len(ids)
    report.by_type = Counter(type(one.event).__name__ for one in withdrawn)
    _tell_of(withdrawn, known, report)


async def _mark_states(service: str, connection: Any, withdrawn: Sequence[Received[Any]]) -> None:
    """Has the present states published of whatever the withdrawn events tell. The state topics know what they made of it."""
    told = {
        (topic.name, key)
        for topic in STATE_TOPICS
        for one in withdrawn
        if topic.owner == service == one.event.topic.owner and (key := getattr(one.event, topic.key, None))
    }
    if told:
        await connection.execute(_MARK, *zip(*sorted(told), strict=True))


async def _known_sessions(booking: Any, events: Sequence[Received[Any]]) -> dict[str, datetime]:
    """The start of each session that the later events name and booking knows."""
    named = {str(one.event.session_id) for one in events if getattr(one.event, "session_id", None)}
    return {row[0]: row[1] for row in await booking.fetch(_SESSIONS, sorted(named))}


async def _keep_what_was_sent(
    notifications: Any, events: Sequence[Received[Any]], known: Mapping[str, datetime], report: Report
) -> set[str]:
    """Notes what went out after the cut, so that nobody is told it twice. Returns the ids of the events that stay true."""
    sent = [one for one in events if isinstance(one.event, DeliveryFact)]
    rows = {str(row[0]) for row in await notifications.fetch(_KNOWN_DELIVERIES, [one.key for one in sent])}
    causes = {one.id: one.event for one in events}
    starts = dict(known)
    stays: set[str] = set()
    finished: list[tuple[Any, ...]] = []
    told: list[tuple[Any, ...]] = []
    for one in sorted(events, key=lambda each: each.time):
        event = one.event
        if isinstance(event, SessionFact):
            starts[event.session_id] = event.starts_at
        if not isinstance(event, (MessageDelivered, MessageFailed)):
            continue
        outside = event.channel in ("email", "whatsapp")
        delivered = event.delivered_at if isinstance(event, MessageDelivered) else None
        if event.delivery_id in rows:
            status, why = ("sent", None) if delivered else ("failed", getattr(event, "failure", None))
            finished.append((event.delivery_id, status, delivered, why))
        elif not (outside and delivered):
            continue
        elif event.template in _ERASURES:
            report.by_hand.append(_said(one) | {"fact": event.template})
            continue
        elif event.session_id is None:
            report.may_come_twice.append({"person_id": event.person_id, "template": event.template})
            continue
        elif event.session_id not in known:
            continue
        else:
            start = _start_told(event, causes.get(one.causation_id), starts)
            about = (event.delivery_id, event.person_id, event.channel, event.template, event.session_id)
            told.append((*about, start, delivered))
        stays.add(one.id)
        report.sent_already += outside
    # All at once: a crash loses nothing that the next try does not find on the topics again.
    async with notifications.transaction():
        await notifications.executemany(_FINISHED, finished)
        await notifications.executemany(_TOLD, told)
    return stays


def _start_told(event: DeliveryFact, cause: Any, starts: Mapping[str, datetime]) -> datetime | None:
    """The start that the message named; None if it named none, or if it repeats at once."""
    if isinstance(cause, SessionFact):
        return cause.starts_at
    return starts.get(event.session_id or "") if event.template in _REMINDS else None


async def _keep_erasures(databases: Mapping[str, Any], events: Sequence[Received[Any]], report: Report) -> None:
    """Erases again whom a restore would bring back, and revokes tokens again."""
    notifications = databases["notifications"]
    now = await notifications.fetchval(_PRODUCT_TIME)
    erased = [one.event.person_id for one in events if isinstance(one.event, PersonErased)]
    revoked = [one.event for one in events if isinstance(one.event, TokensRevoked)]
    async with notifications.transaction():
        await notifications.executemany(_ERASE, [(person_id, now) for person_id in erased])
        await notifications.executemany(_ERASE_SOON, [(person_id, now) for person_id in erased])
    for connection in databases.values():
        await connection.executemany(_REVOKE, [(one.person_id, one.jti or "", one.revoked_at) for one in revoked])
    report.erased_again += erased
    report.revoked_again += len(revoked)


def _tell_of(withdrawn: Sequence[Received[Any]], known: Mapping[str, datetime], report: Report) -> None:
    """Lists what people have to look at: lost sessions, entities that went back, payments and decisions."""
    entities: dict[tuple[str, str], list[Received[Any]]] = {}
    for one in withdrawn:
        if isinstance(one.event, DeliveryFact) or one.event.topic in _FOLLOW:
            continue
        entities.setdefault((one.event.topic.name, one.key), []).append(one)
        bought = isinstance(one.event, CreditGranted) and one.event.source == "purchase"
        if bought or type(one.event).__name__ in _BY_HAND:
            report.by_hand.append(_said(one))
    for (topic, key), facts in sorted(entities.items()):
        names = [type(one.event).__name__ for one in facts]
        lost = isinstance(facts[0].event, SessionFact) and key not in known
        (report.lost_sessions if lost else report.rolled_back).append(
            {"topic": topic, "key": key, "facts": names, **_about(facts[-1])}
        )


def _about(one: Received[Any]) -> dict[str, Any]:
    names = ("session_id", "room_id", "member_id", "provider_id", "person_id", "starts_at", "length_minutes")
    return {name: value for name in names if (value := getattr(one.event, name, None)) is not None}


def _said(one: Received[Any]) -> dict[str, Any]:
    names = ("invoice_id", "amount_minor", "currency", "amount", "purchase_id")
    more = {name: value for name in names if (value := getattr(one.event, name, None)) is not None}
    return {"fact": type(one.event).__name__, "at": one.time, "id": one.id, "key": one.key, **_about(one), **more}

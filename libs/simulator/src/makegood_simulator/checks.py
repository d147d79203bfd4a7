"""What must hold: after every step what can be asked cheaply, once all is quiet what `makegood audit` asks, and what the people
of the schedule themselves know to have happened."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from makegood_cli.audit import queries
from makegood_cli.audit.agreement import against
from makegood_cli.audit.invariants import INVARIANTS, LIVE, WAITING
from makegood_cli.audit.snapshot import Snapshot, take
from makegood_cli.audit.topics import TopicWitness

from makegood_simulator.people import Memory

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMBER = re.compile(r"\d[\d:.+-]*")
TAKES_PLACE = frozenset({"confirmed", "in_session", "completed", "provider_missed", "member_no_show"})
"""Statuses of sessions that the provider has agreed to."""
_EARLY = timedelta(minutes=9)
"""Whoever comes so long after the start at the latest, and stays, was there in time (grace: ten minutes)."""


def kind_of(violation: str) -> str:
    """The violation without ids and figures, by which two of them are the same."""
    return _NUMBER.sub("…", _ID.sub("…", violation))


class Connections:
    """One connection to each database, as a login that may read everything."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self.urls = urls
        self._open: dict[str, asyncpg.Connection[Any]] = {}

    async def of(self, service: str) -> asyncpg.Connection[Any]:
        connection = self._open.get(service)
        if connection is None:
            connection = self._open[service] = await asyncpg.connect(self.urls[service])
        return connection

    async def close(self) -> None:
        for connection in self._open.values():
            await connection.close()


_SENT = "SELECT id::text FROM deliveries WHERE channel = 'email' AND status = 'sent'"
_UNSENT = "SELECT id::text, template FROM deliveries WHERE status = 'queued'"
_LOOSE_SLOTS = "SELECT session_id FROM slot_holds WHERE live AND NOT firm AND offered_to IS NULL AND hold_until < $1"
_LOOSE_CREDITS = "SELECT session_id FROM holds WHERE state = 'held' AND NOT firm AND hold_until < $1"


async def after_deadlines(connections: Connections, service: str, now: datetime) -> list[str]:
    """A service that has just handled its deadlines holds nothing any more that should have lapsed (AVAIL-4). A credit may
    last to the end of its minute."""
    match service:
        case "availability":
            what, asked, late = "slot", _LOOSE_SLOTS, timedelta(seconds=2)
        case "credits":
            what, asked, late = "credit", _LOOSE_CREDITS, timedelta(minutes=1)
        case _:
            return []
    rows = await (await connections.of(service)).fetch(asked, now - late)
    return [f"the {what} of session {row['session_id']} should have lapsed" for row in rows]


async def after_step(connections: Connections, service: str, memory: Memory) -> list[str]:
    """What a step of this service may have broken, as far as it shows at once."""
    found: list[str] = []
    connection = await connections.of(service)
    match service:
        case "credits":
            for row in await connection.fetch(queries.SETTLEMENTS):
                found.append(f"the credit of session {row['session_id']} was settled {row['times']} times")
            for row in await connection.fetch(queries.RETURNS):
                found.append(f"the credit of session {row['session_id']} was returned {row['times']} times")
            for row in await connection.fetch(queries.IMBALANCES):
                found.append(f"{row['what']} {row['id']}: its balance differs from the sum of its entries")
        case "availability":
            for row in await connection.fetch(queries.OVERLAPS):
                found.append(f"the slots of sessions {row['one']} and {row['other']} overlap")
        case "booking":
            booked = await connection.fetchval("SELECT count(*) FROM sessions")
            asked = sum(one.does == "book" for one in memory.requests.values())
            if booked > asked:
                found.append(f"{booked} sessions were booked with {asked} requests")
    return found


async def once_quiet(
    connections: Connections,
    witness: TopicWitness,
    memory: Memory,
    now: datetime,
    *,
    mailed: Collection[str],
    all_over: bool,
) -> list[str]:
    """What `makegood audit` finds in the databases and the log, and what contradicts the people. `mailed`: the
    deliveries that the mail server has. `all_over`: no session may still wait for anything."""
    for service in connections.urls:
        await _tell_time(await connections.of(service), now)
    data = await take(connections.urls)
    found = [violation for invariant in INVARIANTS for violation in invariant(data)]
    found += against(witness, data)
    found += firm_once_reserved(data)
    found += as_people_remember(memory, data)
    rows = await (await connections.of("notifications")).fetch(_SENT)
    found += (
        f"delivery {row['id']} is noted as sent, and the mail server never had it"
        for row in rows
        if row["id"] not in mailed
    )
    rows = await (await connections.of("notifications")).fetch(_UNSENT)
    found += (f"delivery {row['id']} ({row['template']}) is still queued" for row in rows)
    if all_over:
        found += (
            f"session {row['id']} has ended at {row['ends_at']} and is {row['status']}"
            for row in data.sessions
            if row["status"] in WAITING and row["ends_at"] < now - timedelta(hours=1)
        )
    return found


async def _tell_time(connection: asyncpg.Connection[Any], now: datetime) -> None:
    """Sets the database's product time, which the audit goes by."""
    await connection.execute(
        "UPDATE clock SET offset_seconds = extract(epoch FROM $1::timestamptz - clock_timestamp())", now
    )


def firm_once_reserved(data: Snapshot) -> Iterator[str]:
    """All is quiet, so everybody knows what is reserved, and holds it for good (AVAIL-4)."""
    live = {row["id"]: row["status"] for row in data.sessions if row["status"] in LIVE}
    for what, holds in (("slot", data.slot_holds), ("credit", data.credit_holds)):
        for hold in holds:
            if hold["session_id"] in live and not hold["firm"]:
                yield f"session {hold['session_id']} is {live[hold['session_id']]} and its {what} hold would lapse"


def as_people_remember(memory: Memory, data: Snapshot) -> Iterator[str]:
    """What was answered is so: nothing acknowledged is lost, and who was there did not miss the session."""
    sessions = {row["id"]: row for row in data.sessions}
    for name, request in memory.requests.items():
        session_id = memory.session_id(name)
        if request.does != "book" or session_id is None:
            continue
        row = sessions.get(session_id)
        if row is None:
            yield f"session {session_id} was acknowledged, and booking does not have it"
        elif not row["corrected"]:
            yield from _attendance(memory, name, row)


def _attendance(memory: Memory, name: str, row: Any) -> Iterator[str]:
    """The outcome as the two parties saw it (JOIN-2, MISS-1, NOSH-1). Where an answer was lost, nobody can tell."""
    about = [one for one in memory.requests.values() if one.session == name]
    joins = [one for one in about if one.does == "join" and one.subject != "sam"]
    if any(one.unknown for one in about) or any(
        one.does in ("leave", "reschedule", "extend", "no-show") for one in about
    ):
        return
    by = {role: [one for one in joins if one.role == role and one.done] for role in ("member", "provider")}
    in_time = {role: any(one.sent_at < row["starts_at"] + _EARLY for one in joined) for role, joined in by.items()}
    confirmed = any(one.does == "confirm" and one.done for one in about)
    if not confirmed and memory.requests[name].role != "provider" and row["status"] in TAKES_PLACE:
        yield f"session {row['id']} is {row['status']}, and its provider never confirmed it"
    status, said = row["status"], f"session {row['id']} is {row['status']}"
    if all(in_time.values()) and status in ("provider_missed", "member_no_show"):
        yield f"{said}, and both were there in time"
    if not by["provider"] and status in ("completed", "member_no_show"):
        yield f"{said}, and the provider never came"
    if in_time["provider"] and not by["member"] and status == "provider_missed":
        yield f"{said}, and the provider was there in time"
    if in_time["provider"] and not by["member"] and status == "completed":
        yield f"{said}, and the member never came"

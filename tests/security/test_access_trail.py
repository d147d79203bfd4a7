"""SEC-5, through the gateway: every operation by support and ops needs a reason and leaves a row, so does every refused look,
and nobody can touch the rows afterwards without being found out."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from makegood_contracts.events import ACCESS_RECORDED
from makegood_devtools.client import Person
from makegood_stack.ports import SERVICES
from makegood_testkit.platform import WHAT, Cast, Platform

from .rights_table import ABOUT_NOBODY, RIGHTS, Actor
from .scene import Operation, Scene, operations

pytestmark = pytest.mark.rule("SEC-5")

ELEVATED: tuple[Actor, ...] = ("support", "ops")
STRANGERS: tuple[Actor, ...] = ("other member", "other provider", "support", "ops")
_AT_ONCE = 12


async def rows(platform: Platform, where: str, *values: Any) -> list[asyncpg.Record]:
    """Rows of all four access logs."""
    found: list[asyncpg.Record] = []
    for service in SERVICES:
        async with database(platform, service) as connection:
            found += await connection.fetch(f"SELECT * FROM access_rows WHERE {where} ORDER BY id", *values)
    return found


@asynccontextmanager
async def database(platform: Platform, service: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A service's database, as its owner."""
    connection = await asyncpg.connect(platform.stack.database_url(service, "owner"))
    try:
        yield connection
    finally:
        await connection.close()


@dataclass
class Asked:
    """One request, and the rows that it left."""

    name: str
    actor: Actor
    answer: httpx.Response
    person: Person | None = None
    left: tuple[asyncpg.Record, ...] = ()

    @property
    def slug(self) -> str | None:
        if not self.answer.is_error:
            return None
        return str(self.answer.json()["type"]).removeprefix("/problems/")


async def with_rows(platform: Platform, asked: list[Asked]) -> list[Asked]:
    """The same, each with its rows."""
    ids = [each.answer.headers["x-request-id"] for each in asked]
    by_request: dict[str, list[asyncpg.Record]] = {}
    for row in await rows(platform, "request_id = ANY($1::text[])", ids):
        by_request.setdefault(row["request_id"], []).append(row)
    return [replace(each, left=tuple(by_request.get(number, ()))) for each, number in zip(asked, ids, strict=True)]


@pytest_asyncio.fixture(scope="module")
async def listed(platform: Platform) -> list[Operation]:
    """Every operation that needs a token, in the table's order."""
    http = platform.gateway.http
    documents = await asyncio.gather(*(http.get(f"/v1/{service}/openapi.json") for service in SERVICES))
    there = {each.name: each for document in documents for each in operations(document.json())}
    return [there[name] for name, right in RIGHTS.items() if not right.public]


@pytest_asyncio.fixture(scope="module")
async def scene(platform: Platform, listed: list[Operation]) -> Scene:
    made = await Scene.set(platform)
    for operation in listed:
        for parameter in operation.parameters:
            if parameter["in"] == "path":
                await made.value(str(parameter["name"]))
    return made


def somebody(scene: Scene, actor: Actor) -> Scene:
    """The scene with a person of their own in the role, for refusals are counted by person."""
    role = scene.people[actor]
    assert role is not None
    return replace(scene, people={**scene.people, actor: scene.cast.platform.person(role.role, f"x-{uuid.uuid4()}")})


async def ask_all(
    scene: Scene, pairs: list[tuple[Operation, Actor]], why: str | None = "support_request"
) -> list[Asked]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(operation: Operation, actor: Actor) -> Asked:
        own = somebody(scene, actor)
        async with gate:
            return Asked(operation.name, actor, await own.ask(operation, actor, why=why), own.people[actor])

    return await with_rows(scene.cast.platform, list(await asyncio.gather(*(ask(*pair) for pair in pairs))))


async def test_support_and_ops_do_nothing_about_a_person_without_a_reason(
    scene: Scene, listed: list[Operation]
) -> None:
    """No reason, no answer, and the attempt is kept; for what is about nobody none is asked for."""
    pairs = [
        (operation, actor) for operation in listed for actor in ELEVATED if "let in" in _expected(operation, actor)
    ]
    personal = [pair for pair in pairs if pair[0].name not in ABOUT_NOBODY]
    assert len(personal) > 30
    wrong = []
    for asked in await ask_all(scene, personal, why=None):
        if (asked.answer.status_code, asked.slug) != (400, "access-reason-required"):
            wrong.append(f"{asked.actor}: {asked.name}: {asked.answer.status_code}")
        told = [(row["outcome"], row["reason"], row["role"], row["times"]) for row in asked.left]
        if told != [("refused", None, asked.actor, 1)]:
            wrong.append(f"{asked.actor}: {asked.name}: {told}")
    reads = [pair for pair in pairs if pair[0].name in ABOUT_NOBODY and pair[0].method == "GET"]
    wrong += [f"{each.name}: {each.slug}" for each in await ask_all(scene, reads, why=None) if each.answer.is_error]
    assert not wrong


def _expected(operation: Operation, actor: Actor) -> str:
    return operation.right.expected(actor)


async def test_every_refused_look_leaves_a_row(scene: Scene, listed: list[Operation]) -> None:
    """Whoever has no part in a thing, and whoever never has the operation: who it was is kept, and whose it is if known."""
    pairs = [
        (operation, actor)
        for operation in listed
        for actor in STRANGERS
        if _expected(operation, actor) in ("forbidden", "not found")
    ]
    assert len(pairs) > 100
    wrong = []
    for asked in await ask_all(scene, pairs):
        assert asked.person is not None
        assert asked.answer.status_code in (403, 404), asked.name
        about = {row["person_id"] for row in asked.left}
        told = {(row["caller"], row["role"], row["outcome"]) for row in asked.left}
        if told != {(asked.person.subject, asked.person.role, "refused")}:
            wrong.append(f"{asked.actor}: {asked.name}: {told}")
        elif asked.answer.status_code == 404 and not about & {scene.cast.member.subject, scene.cast.provider.subject}:
            wrong.append(f"{asked.actor}: {asked.name}: about {about}")
    assert not wrong


async def test_everything_that_support_and_ops_see_or_change_leaves_a_row(
    scene: Scene, listed: list[Operation]
) -> None:
    pairs = [
        (operation, actor)
        for operation in listed
        for actor in ELEVATED
        if "let in" in _expected(operation, actor) and operation.name not in ABOUT_NOBODY
    ]
    reads = await ask_all(scene, [pair for pair in pairs if pair[0].method == "GET"])
    changes = []
    for pair in [pair for pair in pairs if pair[0].method != "GET"]:  # one after the other, in the table's order
        changes += await ask_all(scene, [pair], why=f"legal; {WHAT}")
    wrong = []
    for asked in (*reads, *changes):
        outcome, reason = ("shown", "support_request") if asked in reads else ("changed", "legal")
        told = {(row["caller"], row["role"], row["outcome"], row["reason"]) for row in asked.left}
        assert asked.person is not None
        if asked.answer.is_success and told != {(asked.person.subject, asked.actor, outcome, reason)}:
            wrong.append(f"{asked.actor}: {asked.name}: {told}")
        allowed = [{(asked.person.subject, asked.actor, outcome, reason)} for outcome in ("shown", "refused")]
        if asked.answer.is_error and told not in allowed:
            wrong.append(f"{asked.actor}: {asked.name}: {asked.slug} left {told}")
    assert not wrong
    assert {asked.name for asked in reads if asked.answer.is_error} == set()
    assert len({asked.name for asked in changes if asked.answer.is_success}) >= 8


async def test_a_provider_who_sees_a_members_things_leaves_a_row_and_the_member_none(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=5))
    things = (f"/v1/sessions/{session['id']}", f"/v1/rooms/{cast.room_id}")
    paths = [*things, *(f"{things[0]}/{part}" for part in ("history", "policy", "fhir")), f"{things[1]}/bookability"]
    paths += [f"{things[1]}/waitlist", "/v1/sessions", "/v1/rooms"]

    async def left(person: Person) -> list[tuple[str, str, str]]:
        found = await rows(cast.platform, "caller = $1 AND operation !~ '^(contact|schedule)'", person.subject)
        return sorted((row["operation"], row["person_id"], row["outcome"]) for row in found)

    before = await left(cast.provider)
    assert before == [("session.confirm", cast.member.subject, "changed")]
    for path in paths:
        for person in (cast.member, cast.provider):
            await person.get(path)
    read = "session.read session.read session.history session.policy session.list room.read room.list room.bookability"
    wanted = [(name, cast.member.subject, "shown") for name in (*read.split(), "waitlist.read")]
    assert await left(cast.provider) == sorted(before + wanted)
    assert await left(cast.member) == []


async def test_the_calendar_feed_names_whose_calendar_shows_whom(cast: Cast) -> None:
    await cast.confirmed(timedelta(days=5))
    feed = await cast.member.post(f"/v1/people/{cast.member.subject}/calendar-feed")
    path = "/v1/" + str(feed["url"]).partition("/v1/")[2]
    get = partial(cast.platform.gateway.http.get, path)
    answer = await cast.eventually(get, lambda seen: b"BEGIN:VEVENT" in seen.content)
    assert answer.status_code == 200
    left = await rows(cast.platform, "request_id = $1", answer.headers["x-request-id"])
    assert [(row["caller"], row["role"], row["operation"], row["outcome"]) for row in left] == [
        (cast.member.subject, "calendar", "calendar.feed", "shown")
    ] * 2
    assert {row["person_id"] for row in left} == {cast.member.subject, cast.provider.subject}


async def test_a_correction_and_a_booking_by_support_leave_rows(platform: Platform) -> None:
    cast = await platform.cast(plan="insurance-copay", length=45)
    booked = (await cast.booked_by_support(await cast.start_in(timedelta(hours=2)))).body
    await cast.provider.post(f"/v1/sessions/{booked['id']}/confirm")
    await cast.attended(booked)
    judge = platform.person("support", f"judge-{booked['id']}")
    await judge.post(f"/v1/sessions/{booked['id']}/correct", {"outcome": "provider_missed", "reason": "Nobody came."})
    left = await rows(
        platform, "caller = ANY($1) AND entity = $2", [cast.support.subject, judge.subject], f"session:{booked['id']}"
    )
    assert sorted({(row["caller"], row["operation"], row["outcome"], row["person_id"]) for row in left}) == sorted(
        (caller, operation, "changed", person)
        for caller, operation in ((cast.support.subject, "session.book"), (judge.subject, "session.correct"))
        for person in (cast.member.subject, cast.provider.subject)
    )


async def test_support_reads_in_every_service_who_looked_at_a_person(cast: Cast) -> None:
    stranger = cast.platform.person("member", f"x-{uuid.uuid4()}")
    for path in (f"/v1/rooms/{cast.room_id}", f"/v1/members/{cast.member.subject}/credits"):
        assert (await stranger.send("GET", path)).status_code == 404
    for service, operation in (("booking", "room.read"), ("credits", "credits.read")):
        found = (await cast.support.get(f"/v1/{service}/access", person_id=cast.member.subject))["items"]
        assert [(row["operation"], row["outcome"]) for row in found if row["caller"] == stranger.subject] == [
            (operation, "refused")
        ]
    for service in SERVICES:
        await cast.support.get(f"/v1/{service}/access", person_id=cast.member.subject)
        (newest, *_) = (await cast.support.get(f"/v1/{service}/access", person_id=cast.member.subject))["items"]
        assert (newest["caller"], newest["operation"]) == (cast.support.subject, "access.read")


async def test_one_attacker_does_not_fill_the_log(cast: Cast) -> None:
    eve = cast.platform.person("member", f"eve-{uuid.uuid4()}")
    for _ in range(45):
        answer = await eve.send("GET", f"/v1/rooms/{cast.room_id}")
        assert answer.status_code in (404, 429)
    left = await rows(cast.platform, "caller = $1", eve.subject)
    assert len(left) == 2 * 30, "the first thirty, each about the two parties"
    others = [cast.platform.person("member", f"x-{uuid.uuid4()}").subject for _ in range(5)]
    for other in others:
        assert (await eve.send("GET", f"/v1/members/{other}/credits")).status_code == 404
    left = await rows(cast.platform, "caller = $1 AND person_id = ANY($2)", eve.subject, others)
    assert len(left) == 5


# -- the chain, and its copy


def violations(platform: Platform) -> list[str]:
    """What the audit has against the access logs, looked at once."""
    found = platform.command("audit", "--json", "--patience", "0")
    return [text for text in json.loads(found.stdout)["violations"] if "access log" in text]


async def sealed(cast: Cast) -> None:
    """Comes back once every row is in its chain."""

    async def unsealed() -> int:
        counts = []
        for service in SERVICES:
            async with database(cast.platform, service) as connection:
                counts.append(await connection.fetchval("SELECT count(*) FROM access_unsealed"))
        return sum(counts)

    await cast.eventually(unsealed, lambda count: count == 0)


async def told(platform: Platform, service: Any) -> dict[int, Mapping[str, Any]]:
    """What the service's topic says of its access log, by number."""
    consumer = AIOKafkaConsumer(
        platform.topic_prefix + ACCESS_RECORDED[service].topic.name,
        bootstrap_servers=platform.stack.bootstrap,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        found: dict[int, Mapping[str, Any]] = {}
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found |= {event["number"]: event for event in (json.loads(record.value) for record in records)}
        return found
    finally:
        await consumer.stop()


def _holds(count: int, copy: Mapping[int, Any]) -> bool:
    return len(copy) >= count


async def test_the_copy_in_the_topic_is_the_log_without_its_words(scene: Scene, cast: Cast) -> None:
    platform = cast.platform
    await sealed(cast)
    for service in SERVICES:
        async with database(platform, service) as connection:
            kept = await connection.fetch(
                "SELECT s.*, r.* FROM access_seals s JOIN access_rows r ON r.id = s.row_id ORDER BY number"
            )
        copy = await cast.eventually(partial(told, platform, service), partial(_holds, len(kept)))
        for row in kept:
            event = copy[row["number"]]
            assert (event["row_id"], event["hash"]) == (row["row_id"], row["hash"].hex())
            names = ("caller", "role", "operation", "person_id", "entity", "outcome", "reason", "times", "request_id")
            assert [event[name] for name in names] == [row[name] for name in names]
        assert WHAT not in json.dumps(list(copy.values()))


@asynccontextmanager
async def without_triggers(connection: asyncpg.Connection[Any]) -> AsyncIterator[None]:
    """What only the owner of the tables can do."""
    tables = ("access_rows", "access_seals")
    for table in tables:
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    try:
        yield
    finally:
        for table in tables:
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.mark.parametrize("service", SERVICES)
async def test_the_audit_names_the_row_that_was_changed_removed_or_inserted(
    scene: Scene, cast: Cast, service: str
) -> None:
    platform = cast.platform
    for path in (f"/v1/rooms/{cast.room_id}", f"/v1/providers/{cast.provider.subject}/schedule", "/v1/deliveries"):
        await cast.support.get(path)
    await cast.support.get(f"/v1/members/{cast.member.subject}/credits")
    await sealed(cast)
    async with database(platform, service) as connection, without_triggers(connection):
        link = await connection.fetchrow("SELECT * FROM access_seals ORDER BY number DESC OFFSET 2 LIMIT 1")
        assert link is not None
        row, named = link["row_id"], f"{service}'s access log: row {link['row_id']}"

        reason = await connection.fetchval("SELECT reason FROM access_rows WHERE id = $1", row)
        await connection.execute("UPDATE access_rows SET reason = 'better' WHERE id = $1", row)
        assert f"{named} was changed (seal {link['number']})" in violations(platform)
        await connection.execute("UPDATE access_rows SET reason = $2 WHERE id = $1", row, reason)

        await connection.execute(
            "CREATE TEMP TABLE kept AS SELECT * FROM access_rows WHERE id = $1".replace("$1", str(row))
        )
        await connection.execute("DELETE FROM access_rows WHERE id = $1", row)
        assert f"{named} was removed (seal {link['number']})" in violations(platform)
        await connection.execute("INSERT INTO access_rows OVERRIDING SYSTEM VALUE SELECT * FROM kept")

        await connection.execute(
            "INSERT INTO access_rows (caller, role, operation, request_id) VALUES ('x', 'ops', 'o', 'r')"
        )
        forged = await connection.fetchval("SELECT max(id) FROM access_rows WHERE caller = 'x'")
        assert f"{service}'s access log: row {forged} is not in the chain" in violations(platform)
        await connection.execute("DELETE FROM access_rows WHERE id = $1", forged)

        # The chain's end cut off, and the chain made anew from the changed row on: only the copy tells.
        await connection.execute("CREATE TEMP TABLE cut AS SELECT * FROM access_seals ORDER BY number DESC LIMIT 1")
        await connection.execute(
            "CREATE TEMP TABLE gone AS SELECT * FROM access_rows WHERE id = (SELECT row_id FROM cut)"
        )
        await connection.execute("DELETE FROM access_seals WHERE number = (SELECT number FROM cut)")
        await connection.execute("DELETE FROM access_rows WHERE id = (SELECT id FROM gone)")
        last = await connection.fetchrow("SELECT * FROM cut")
        assert last is not None
        assert (
            f"{service}'s access log: row {last['row_id']} was published with seal {last['number']} and is missing: it was removed"
            in (violations(platform))
        )
        await connection.execute("INSERT INTO access_rows OVERRIDING SYSTEM VALUE SELECT * FROM gone")
        await connection.execute("INSERT INTO access_seals SELECT * FROM cut")
    assert violations(platform) == []

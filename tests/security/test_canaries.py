"""SEC-3: what people are called, where they are reached and what they say leaves no trace where it does not belong.

Everybody in every story has the canaries of the testkit in name, address, number and words. This comes last, and looks at all
that the stories left behind: logs, topics, dead letters, traces, and the databases of services that know people by id alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from makegood_chassis.metrics import LABELS
from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.events import SessionConfirmed
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SERVICES, TOPICS, dead_letters
from makegood_stack.ports import LISTEN, PROBES_ABOVE
from makegood_testkit.collector import Collector
from makegood_testkit.forging import write
from makegood_testkit.platform import PHONE, WHAT, WHO, Cast, Platform
from prometheus_client.parser import text_string_to_metric_families

pytestmark = [pytest.mark.rule("SEC-3"), pytest.mark.last]

_CANARIES = re.compile("|".join((WHO, WHAT, re.escape(PHONE), PHONE[1:], "eyJhbGciOi")).encode(), re.IGNORECASE)
"""`eyJhbGciOi` begins every access token."""
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}|(member|provider|support|ops)-[0-9a-f]{4}|@")
"""Ids of sessions, rooms and events, and of people in stories."""
_PEOPLE = re.compile("|".join((WHO, re.escape(PHONE))), re.IGNORECASE)


def _found(where: str, raw: bytes | None) -> Iterator[str]:
    for match in _CANARIES.finditer(raw or b""):
        start = max(0, match.start() - 120)
        yield f"{where}: {(raw or b'')[start : match.end() + 60]!r}"


async def test_people_say_what_they_say(cast: Cast) -> None:
    """Everything personal that there is a place for, so that this file proves something by itself as well."""
    room, member = f"/v1/rooms/{cast.room_id}", f"/v1/members/{cast.member.subject}"
    for person in (cast.member, cast.provider):
        await person.post(f"{room}/messages", {"text": f"I am {WHO}, call me on {PHONE}00000. {WHAT}!"})
    session = await cast.confirmed(timedelta(hours=30))
    await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", {"remark": WHAT, "share_remark": True}, wait=15)
    another = await cast.confirmed(timedelta(days=3))
    off = {"starts_at": another["ends_at"], "ends_at": another["ends_at"].replace("T", "T"), "note": WHAT}
    off["ends_at"] = (await cast.start_in(timedelta(days=9))).isoformat()
    await cast.provider.post(f"/v1/providers/{cast.provider.subject}/time-off", off)
    await cast.support.post(f"{member}/adjustments", {"amount": 1, "reason": WHAT})
    await cast.inbox().wait_for("Your session is confirmed! Mark your calendar.")


async def test_personal_words_in_the_wrong_place_are_not_written_down_either(cast: Cast) -> None:
    """Requests that are refused, with words of people where none belong."""
    words: list[tuple[str, str, Any, dict[str, str]]] = [
        ("POST", f"/v1/rooms/{cast.room_id}/messages", {"text": ["not text", WHO, WHAT]}, {}),
        ("POST", f"/v1/rooms/{cast.room_id}/messages", {"text": WHAT, "to": f"{WHO}@example.org"}, {}),
        (
            "PUT",
            f"/v1/people/{cast.member.subject}/contact",
            {"name": WHO, "email": f"{WHO} at home", "phone": WHAT},
            {},
        ),
        (
            "POST",
            "/v1/sessions",
            cast.booking_body(await cast.start_in(timedelta(days=4)), time_zone=f"Europe/{WHO}"),
            {},
        ),
        ("POST", f"/v1/members/{cast.member.subject}/adjustments", {"amount": WHAT, "reason": WHO}, {}),
        ("GET", "/v1/deliveries", None, {"person_id": f"{WHO}@example.org"}),
        ("GET", "/v1/sessions", None, {"note": f"{WHO} {WHAT}", "cursor": WHAT}),
    ]
    for method, path, body, query in words:
        answer = await cast.member.send(method, path, body, key=WHAT if body else None, params=query)
        assert 400 <= answer.status_code < 500
    headers = {"Authorization": f"Bearer {WHO}", "X-Access-Reason": WHAT, "User-Agent": WHO, "X-Request-Id": WHO}
    answer = await cast.platform.gateway.http.get("/v1/sessions", headers=headers)
    assert answer.status_code == 401


async def test_an_event_that_fails_is_kept_without_anybodys_data(cast: Cast) -> None:
    """A session in a zone that does not exist, confirmed: whoever writes a message about it fails while it has all of it."""
    session = await cast.session(await cast.confirmed(timedelta(days=5)))
    fields = {name: session[name] for name in ("room_id", "member_id", "provider_id", "length_minutes", "modality")}
    start = await cast.start_in(timedelta(days=6))
    event = SessionConfirmed(
        **fields, session_id=new_id(), starts_at=start, ends_at=start + timedelta(minutes=30), session_version=3,
        time_zone="Nowhere/At-All", confirmed_by="provider",
    )  # fmt: skip
    record = encode(event, sequence=1, cause=Cause("canary", "canary"))
    platform = cast.platform
    await write(platform, record, signed_by="booking")
    # And one that is no event at all, which every reader of the topic gives up.
    await write(platform, Record(record.topic, record.key, record.headers[:3], b"{}"), signed_by="booking")

    letters = [dead_letters(service).name for service in SERVICES]

    async def given_up() -> int:
        return len([record async for record in _records(platform, letters)])

    await cast.eventually(given_up, lambda count: count >= 3, seconds=30)


async def _records(platform: Platform, names: list[str]) -> Any:
    """Every record of the topics, from the first to the last."""
    topics = [platform.topic_prefix + name for name in names]
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=platform.stack.bootstrap,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=10,
    )
    await consumer.start()
    try:
        partitions = list(consumer.assignment())
        assert len({partition.topic for partition in partitions}) == len(topics)
        ends = await consumer.end_offsets(partitions)
        unread = {partition for partition in partitions if ends[partition] > 0}
        while unread:
            for records in (await consumer.getmany(*unread, timeout_ms=200, max_records=5000)).values():
                for record in records:
                    yield record
            unread = {partition for partition in unread if await consumer.position(partition) < ends[partition]}
    finally:
        await consumer.stop()


async def test_no_topic_and_no_dead_letter_has_any_of_it(platform: Platform) -> None:
    found: list[str] = []
    count = 0
    async for record in _records(platform, [topic.name for topic in TOPICS]):
        count += 1
        where = f"{record.topic} {record.partition}/{record.offset}"
        for raw in (record.key, record.value, *(value for _, value in record.headers)):
            found += _found(where, raw)
    assert count > 20
    assert not found[:5]


async def test_no_log_has_any_of_it(platform: Platform) -> None:
    logs: list[Path] = sorted(platform.home.logs.glob("*.log*"))
    assert {f"{name}.log" for name in (*SERVICES, "gateway")} <= {path.name for path in logs}
    found = [each for path in logs for each in _found(path.name, path.read_bytes())]
    assert not found[:5]


async def test_no_metric_has_any_of_it_or_an_id_of_anybody(cast: Cast) -> None:
    found: list[str] = []
    for service in SERVICES:
        port = cast.platform.stack.ports.of(service) + PROBES_ABOVE
        served = (await cast.platform.gateway.http.get(f"http://{LISTEN}:{port}/metrics")).raise_for_status().text
        found += _found(service, served.encode())
        samples = [sample for family in text_string_to_metric_families(served) for sample in family.samples]
        assert len(samples) > 500
        values = {(name, value) for sample in samples for name, value in sample.labels.items()}
        assert {name for name, _ in values} <= {*LABELS, "le", "service_name", "makegood_role"}
        found += [f"{service}: {name}={value}" for name, value in values if _IDS.search(value)]
    assert not found[:5]


async def test_no_trace_has_any_of_it(cast: Cast, traces: Collector) -> None:
    wanted = {f"makegood-{service}" for service in SERVICES} | {"process SessionConfirmed"}

    async def missing() -> set[str]:
        return {name for name in wanted if name.encode() not in traces.received}

    await cast.eventually(missing, lambda names: not names, seconds=20)
    assert not list(_found("traces", traces.received))[:5]


@pytest.mark.parametrize("service", ["booking", "availability", "credits"])
async def test_no_database_but_that_of_notifications_knows_who_anybody_is(platform: Platform, service: str) -> None:
    connection = await asyncpg.connect(platform.stack.database_url(service, "owner"))
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        found = []
        for (table,) in tables:
            rows = await connection.fetch(
                f'SELECT t::text AS row FROM "{table}" AS t WHERE t::text ~* $1 LIMIT 3', _PEOPLE.pattern
            )
            found += [f"{table}: {row['row'][:300]}" for row in rows]
        assert not found
    finally:
        await connection.close()

"""Calendars: one session as a file, and the feed behind a secret address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from icalendar import Calendar
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id
from makegood_notifications.store import feeds

from .conftest import START, NotificationsHarness
from .test_messages import invitation


def read(answer: httpx.Response) -> list[Any]:
    """The events, as another program's library reads them; whatever breaks RFC 5545 fails here."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    assert b"\n" not in answer.content.replace(b"\r\n", b"")
    calendar: Any = Calendar.from_ical(answer.content)
    assert not calendar.errors
    assert (str(calendar["VERSION"]), "PRODID" in calendar, "METHOD" in calendar) == ("2.0", True, False)
    for event in calendar.events:
        assert not event.errors
        assert {"UID", "DTSTAMP", "DTSTART", "DTEND", "SEQUENCE", "STATUS", "SUMMARY"} <= set(event)
        assert "ATTENDEE" not in event
    return list(calendar.events)


async def feed(harness: NotificationsHarness, person: str, role: str) -> str:
    client = harness.client(role, person)
    answer = await client.post(f"/v1/people/{person}/calendar-feed")
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    assert url.startswith("https://app.example.org/v1/calendar/")
    return url.removeprefix("https://app.example.org")


@pytest.mark.rule("RESC-4")
async def test_a_sessions_file_agrees_with_its_invitation_through_its_life(harness: NotificationsHarness) -> None:
    await harness.everybody(locale="de")
    path = f"/v1/sessions/{harness.session_id}/calendar.ics"
    member = harness.client("member", harness.member)
    other = harness.client("provider", harness.provider)
    async with (
        harness.sending(),
    ):
        await harness.reserved()
        (event,) = read(await member.get(path))
        assert (str(event["STATUS"]), event["SEQUENCE"]) == ("TENTATIVE", 0)
        steps: list[tuple[Any, str]] = [
            (harness.session(facts.SessionConfirmed, confirmed_by="provider"), "CONFIRMED"),
            (harness.moved("member", confirm_by=START), "TENTATIVE"),
            (
                harness.session(facts.SessionConfirmed, confirmed_by="provider", starts_at=START + timedelta(hours=1)),
                "CONFIRMED",
            ),
            (harness.cancelled("provider"), "CANCELLED"),
        ]
        for count, (step, status) in enumerate(steps, start=1):
            await harness.happen(step)
            mail = (await harness.inbox.wait_for(harness.ada, count))[-1]
            (event,) = read(await member.get(path))
            (theirs,) = read(await other.get(path))
            _, sent = invitation(mail)
            for name in ("UID", "SEQUENCE", "STATUS", "DTSTART", "DTEND"):
                assert event[name] == sent[name] == theirs[name], name
            assert str(event["STATUS"]) == status
    assert str(event["SUMMARY"]) == "Sitzung mit Dr. Grace Canary"
    assert str(theirs["SUMMARY"]) == "Session with Ada Canary"
    assert str(event["URL"]) == f"https://app.example.org/sessions/{harness.session_id}"


@pytest.mark.rule("SEC-1")
async def test_a_sessions_file_is_its_parties_alone(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    path = f"/v1/sessions/{harness.session_id}/calendar.ics"
    for subject, role, status in (
        ("member-eve", "member", 404), ("provider-eve", "provider", 404), ("support-1", "support", 403), ("ops-1", "ops", 403),
    ):  # fmt: skip
        client = harness.client(role, subject)
        assert (await client.get(path)).status_code == status
    client = harness.client("member", harness.member)
    assert (await client.get("/v1/sessions/no-id/calendar.ics")).status_code == 404


@pytest.mark.rule("NOSH-1", "RESC-4")
async def test_a_feed_shows_every_session_as_it_stands(harness: NotificationsHarness) -> None:
    await harness.everybody()
    path = await feed(harness, harness.member, "member")
    first = harness.session_id
    await harness.confirmed()
    await harness.happen(harness.session(facts.MemberNoShow, marked_by="system"))
    second = harness.session_id = new_id()
    await harness.happen(
        harness.session(
            facts.SessionReserved,
            confirm_by=START,
            starts_at=START + timedelta(days=7),
            ends_at=START + timedelta(days=7, hours=1),
        )
    )
    third = harness.session_id = new_id()
    await harness.happen(
        harness.session(
            facts.SessionReserved,
            confirm_by=START,
            starts_at=START + timedelta(days=8),
            ends_at=START + timedelta(days=8, hours=1),
        ),
        harness.cancelled("member", was_confirmed=False),
    )
    anybody = harness.client()
    events = read(await anybody.get(path))
    shown = [(str(event["UID"]), str(event["STATUS"]), str(event["SUMMARY"])) for event in events]
    assert shown == [
        (f"{first}@makegood", "CONFIRMED", "No-show: session with Dr. Grace Canary"),
        (f"{third}@makegood", "CANCELLED", "Session with Dr. Grace Canary"),
        (f"{second}@makegood", "TENTATIVE", "Session with Dr. Grace Canary"),
    ]


async def test_a_feed_forgets_what_is_long_over_and_shows_nobody_elses(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    mine, theirs = await feed(harness, harness.member, "member"), await feed(harness, harness.provider, "provider")
    stranger = await feed(harness, "member-eve", "member")
    anybody = harness.client()
    assert [len(read(await anybody.get(path))) for path in (mine, theirs, stranger)] == [1, 1, 0]
    harness.clock.moment = START + timedelta(days=91)
    assert [len(read(await anybody.get(path))) for path in (mine, theirs)] == [0, 0]


@pytest.mark.rule("SEC-1")
async def test_the_address_is_secret_replaced_and_revoked(harness: NotificationsHarness) -> None:
    await harness.everybody()
    await harness.confirmed()
    old = await feed(harness, harness.member, "member")
    new = await feed(harness, harness.member, "member")
    assert len(new.rpartition("/")[2]) >= len(".ics") + 43  # 256 random bits
    assert [tuple(row) for row in await harness.rows("SELECT person_id FROM calendar_feeds")] == [(harness.member,)]
    held = await harness.rows("SELECT * FROM calendar_feeds")
    assert new.rpartition("/")[2].removesuffix(".ics") not in str(held)
    anybody = harness.client()
    member = harness.client("member", harness.member)
    assert (await anybody.get(old)).status_code == 404
    assert (await anybody.get(new)).status_code == 200
    assert (await anybody.get("/v1/calendar/guess.ics")).status_code == 404
    assert (await anybody.get(f"/v1/calendar/{'x' * 200}.ics")).status_code in (404, 422)
    for subject, role in (("member-eve", "member"), ("support-1", "support")):
        client = harness.client(role, subject)
        for call in (client.post, client.delete):
            assert (await call(f"/v1/people/{harness.member}/calendar-feed")).status_code in (403, 404)
    assert (await member.delete(f"/v1/people/{harness.member}/calendar-feed")).status_code == 204
    assert (await anybody.get(new)).status_code == 404
    assert (await member.delete(f"/v1/people/{harness.member}/calendar-feed")).status_code == 204


async def test_a_secret_address_is_kept_nowhere_and_a_repeated_request_gets_one_that_works(
    harness: NotificationsHarness,
) -> None:
    path = f"/v1/people/{harness.member}/calendar-feed"
    member = harness.client("member", harness.member)
    urls = [(await member.post(path, headers={"Idempotency-Key": "once"})).json()["url"] for _ in range(2)]
    first, second = (url.removeprefix("https://app.example.org") for url in urls)
    assert (await member.get(first)).status_code == 404
    assert (await member.get(second)).status_code == 200
    assert await harness.rows("SELECT key FROM idempotency_keys WHERE key = 'once'") == []


async def test_a_secret_is_found_by_its_hash_alone(harness: NotificationsHarness) -> None:
    """Two secrets that begin alike have nothing in common in the index, so the time that a guess takes tells nothing."""
    assert feeds._hash("a" * 43)[:4] != feeds._hash("a" * 42 + "b")[:4]
    plan = await harness.rows("EXPLAIN SELECT person_id FROM calendar_feeds WHERE secret_hash = $1", b"x")
    assert "secret_hash" in str(plan)

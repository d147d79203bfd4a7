"""Disputes and corrections (MISS-5), reconfirmation (CONF-3), time off (CANC-2), erasure: over HTTP and topics."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_contracts.events import (
    OutcomeCorrected,
    OutcomeDisputed,
    PersonErased,
    SessionCancelled,
    SessionMoveRequested,
    TimeOffAdded,
)
from makegood_contracts.ids import new_id
from makegood_testkit.service import names, slug

from .examples import HOUR, MINUTE, NOW, START
from .harness import Answers, BookingHarness
from .test_api_moving import moved

NOTE = "my neighbour's name is a canary"
REASON = "a canary in the media server's log"


async def missed(harness: BookingHarness) -> Any:
    session = await harness.confirmed()
    await harness.advance(START + 10 * MINUTE)
    await harness.handle(Answers.credit_returned(session, "provider_missed"))
    await harness.outbox()
    return await harness.read(session)


async def details(harness: BookingHarness, session: Any, role: str, subject: str) -> list[tuple[str, str, str | None]]:
    answer = await harness.client(role, subject).get(f"/v1/sessions/{session['id']}/history")
    wanted = ("OutcomeDisputed", "OutcomeCorrected", "SessionCancelled")
    return [(i["type"], i["by"], i["detail"]) for i in answer.json()["items"] if i["type"] in wanted]


@pytest.mark.rule("MISS-5", "SEC-3")
async def test_the_provider_disputes_and_support_corrects_and_each_reads_what_is_meant_for_them(
    harness: BookingHarness,
) -> None:
    session = await missed(harness)
    path = f"/v1/sessions/{session['id']}"
    disputed = await harness.provider.post(f"{path}/dispute", json={"claim": "i_was_there", "note": NOTE})
    assert (disputed.status_code, disputed.json()["status"]) == (200, "provider_missed")
    corrected = await harness.support.post(f"{path}/correct", json={"outcome": "completed", "reason": REASON})
    assert (corrected.status_code, corrected.json()["status"], corrected.json()["absent_party"]) == (
        200,
        "completed",
        None,
    )
    events = await harness.outbox()
    assert [type(event) for event in events] == [OutcomeDisputed, OutcomeCorrected]
    assert isinstance(events[1], OutcomeCorrected)
    assert (events[1].old_outcome, events[1].outcome, events[1].corrected_by) == ("provider_missed", "completed", "sam")
    assert "canary" not in repr(events)
    changed = "completed instead of provider_missed"
    assert await details(harness, session, "provider", "dr-lee") == [
        ("OutcomeDisputed", "provider", f"i_was_there: {NOTE}"),
        ("OutcomeCorrected", "support", f"{changed}: {REASON}"),
    ]
    assert await details(harness, session, "member", "anna") == [
        ("OutcomeDisputed", "provider", "i_was_there"),
        ("OutcomeCorrected", "support", f"{changed}: {REASON}"),
    ]
    assert await details(harness, session, "support", "sam") == [
        ("OutcomeDisputed", "provider", f"i_was_there: {NOTE}"),
        ("OutcomeCorrected", "support", f"{changed} (sam): {REASON}"),
    ]
    async with harness.service.database.connections.loan() as connection:
        stored = await connection.fetch("SELECT headers, body FROM idempotency_keys")
        told = await connection.fetch("SELECT detail FROM session_history")
    assert "canary" not in repr(stored) + repr(told)


@pytest.mark.rule("MISS-5")
async def test_the_credit_follows_what_credits_enter(harness: BookingHarness) -> None:
    session = await missed(harness)
    path = f"/v1/sessions/{session['id']}/correct"
    await harness.support.post(path, json={"outcome": "completed", "reason": "They were there."})
    assert (await harness.read(session))["credit"] == {"state": "returned"}
    await harness.handle(Answers.credit_corrected(session, "spent"))
    assert (await harness.read(session))["credit"] == {"state": "spent"}
    again = await harness.support.post(path, json={"outcome": "completed", "reason": "Still."})
    assert (again.status_code, again.json()["status"]) == (200, "completed")
    assert names(await harness.outbox()) == ["OutcomeCorrected"]


@pytest.mark.rule("MISS-5")
async def test_where_there_is_no_outcome_nothing_is_disputed_or_corrected(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    for person, action, body in (
        (harness.member, "dispute", {"claim": "they_were_not"}),
        (harness.support, "correct", {"outcome": "completed", "reason": "x"}),
    ):
        answer = await person.post(f"{path}/{action}", json=body)
        assert (answer.status_code, slug(answer)) == (409, "no-outcome")
        assert [reason["code"] for reason in answer.json()["reasons"]] == ["no-outcome"]
    assert await harness.outbox() == []


@pytest.mark.rule("MISS-5", "SEC-1")
async def test_only_the_parties_dispute_and_only_support_corrects(harness: BookingHarness) -> None:
    session = await missed(harness)
    path = f"/v1/sessions/{session['id']}"
    claim, right = {"claim": "i_was_there"}, {"outcome": "completed", "reason": "x"}
    assert (await harness.support.post(f"{path}/dispute", json=claim)).status_code == 403
    for person in (harness.member, harness.provider, harness.client("ops", "olga")):
        assert (await person.post(f"{path}/correct", json=right)).status_code == 403
    assert (await harness.client("member", "bea").post(f"{path}/dispute", json=claim)).status_code == 404
    assert (await harness.support.post(f"/v1/sessions/{new_id()}/correct", json=right)).status_code == 404
    for action, person, body in (
        ("dispute", harness.member, {"claim": "it_rained"}),
        ("dispute", harness.member, {"claim": "i_was_there", "note": "x" * 2001}),
        ("correct", harness.support, {"outcome": "cancelled", "reason": "x"}),
        ("correct", harness.support, {"outcome": "completed", "reason": ""}),
        ("correct", harness.support, {"outcome": "completed"}),
    ):
        answer = await person.post(f"{path}/{action}", json=body)
        assert (answer.status_code, slug(answer)) == (422, "validation")


@pytest.mark.rule("CONF-3")
async def test_the_provider_is_asked_again_and_answers_by_confirming(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    assert await harness.advance(START - 48 * HOUR - MINUTE) == []
    assert names(await harness.advance(START - 48 * HOUR)) == ["ReconfirmationAsked"]
    path = f"/v1/sessions/{session['id']}"
    for expected in (["SessionReconfirmed"], []):
        answer = await harness.provider.post(f"{path}/confirm")
        assert (answer.status_code, answer.json()["status"]) == (200, "confirmed")
        assert names(await harness.outbox()) == expected
    assert await harness.advance(START) == []
    items = (await harness.provider.get(f"{path}/history")).json()["items"]
    assert [(item["type"], item["by"]) for item in items[3:]] == [
        ("ReconfirmationAsked", "system"),
        ("SessionReconfirmed", "provider"),
    ]


@pytest.mark.rule("CONF-3")
async def test_a_session_nobody_asked_about_in_time_waits_for_its_own_moment(harness: BookingHarness) -> None:
    await harness.confirmed()
    harness.clock.moment = START + MINUTE
    assert await harness.advance(START + MINUTE) == []
    async with harness.service.database.connections.loan() as connection:
        assert await connection.fetchval("SELECT due_at FROM deadlines") == START + 10 * MINUTE


@pytest.mark.rule("CANC-2")
async def test_time_off_cancels_the_sessions_that_the_provider_gave_up_without_loss(harness: BookingHarness) -> None:
    inside, kept, over = [await harness.confirmed(START + n * HOUR) for n in range(3)]
    await harness.member.post(f"/v1/sessions/{over['id']}/cancel")
    other = await harness.room("bea", "dr-may")
    theirs = (
        await harness.client("member", "bea").post(
            "/v1/sessions", json=harness.booking_body(other), headers={"Idempotency-Key": new_id()}
        )
    ).json()
    await harness.outbox()
    harness.clock.moment = START - HOUR
    ids = (inside["id"], over["id"], theirs["id"])
    event = TimeOffAdded(
        provider_id="dr-lee",
        schedule_version=2,
        time_off_id=new_id(),
        starts_at=START,
        ends_at=START + 3 * HOUR,
        cancels=ids,
    )
    await harness.handle(event)
    await harness.handle(event)
    cancelled = [one for one in await harness.outbox() if isinstance(one, SessionCancelled)]
    assert [(one.session_id, one.cancelled_by, one.cause, one.forfeits) for one in cancelled] == [
        (inside["id"], "provider", "time_off", False)
    ]
    assert (await harness.read(kept))["status"] == "confirmed"
    assert (await harness.read(theirs))["status"] == "requested"
    assert (await details(harness, inside, "member", "anna")) == [
        ("SessionCancelled", "provider", "credit returned (time off)")
    ]


@pytest.mark.rule("CANC-2", "RESC-1")
async def test_time_off_does_not_cancel_a_session_that_was_moved_out_of_it_meanwhile(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    there = await moved(harness, harness.provider, session, START + 24 * HOUR)
    await harness.outbox()
    off = TimeOffAdded(
        provider_id="dr-lee",
        schedule_version=2,
        time_off_id=new_id(),
        starts_at=START,
        ends_at=START + HOUR,
        cancels=(session["id"],),
    )
    await harness.handle(off)
    assert await harness.outbox() == []
    assert await harness.read(session) == there


@pytest.mark.rule("CANC-2", "RESC-1")
async def test_time_off_cancels_a_session_that_is_being_moved_into_it(harness: BookingHarness) -> None:
    """Availability had moved the slot already when the provider took time off; that word is still on its way."""
    session = await harness.confirmed()
    body = {"starts_at": (START + 24 * HOUR).isoformat()}
    await harness.member.post(f"/v1/sessions/{session['id']}/reschedule", json=body, headers={"If-Match": "*"})
    (asked,) = [event for event in await harness.outbox() if isinstance(event, SessionMoveRequested)]
    await harness.handle(Answers.move_held(session, asked.move_id))
    off = TimeOffAdded(
        provider_id="dr-lee",
        schedule_version=2,
        time_off_id=new_id(),
        starts_at=asked.new_starts_at,
        ends_at=asked.new_ends_at,
        cancels=(session["id"],),
    )
    await harness.handle(off)
    await harness.handle(Answers.slot_moved(session, asked.move_id, asked.new_starts_at, asked.new_ends_at))
    after = await harness.read(session)
    assert (after["status"], after["move"]) == ("cancelled", None)


async def test_what_an_erased_person_wrote_is_gone_and_nobody_elses(harness: BookingHarness) -> None:
    first = await missed(harness)
    second = await harness.confirmed(START + 96 * HOUR)
    third = await harness.confirmed(START + 97 * HOUR)
    await harness.member.post(f"/v1/sessions/{first['id']}/dispute", json={"claim": "i_was_there", "note": "anna's"})
    await harness.provider.post(f"/v1/sessions/{first['id']}/dispute", json={"claim": "i_was_there", "note": "lee's"})
    await harness.member.post(f"/v1/sessions/{second['id']}/cancel", json={"remark": "anna's"})
    await harness.provider.post(f"/v1/sessions/{third['id']}/cancel", json={"remark": "lee's"})
    await harness.handle(PersonErased(person_id="anna", erased_at=NOW))
    seen = [await details(harness, session, "member", "anna") for session in (first, second, third)]
    assert "anna's" not in repr(seen)
    assert [detail for _, _, detail in seen[0]] == ["i_was_there", "i_was_there"]
    assert [detail for _, _, detail in seen[2]] == ["credit returned: lee's"]
    assert "lee's" in repr(await details(harness, first, "provider", "dr-lee"))

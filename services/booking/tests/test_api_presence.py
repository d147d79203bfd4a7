"""Who comes and goes, over the API and through the database: presence decides, and the history keeps each step (JOIN-2)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_contracts.check_in import digest, new_code
from makegood_contracts.events import VenueCodeChanged
from makegood_testkit.service import names, slug

from .examples import HOUR, MINUTE, START
from .harness import BookingHarness

VENUE = "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a99"
END = START + 30 * MINUTE


@pytest.mark.rule("JOIN-2", "MISS-1")
async def test_a_provider_who_came_and_went_before_the_start_missed_it(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    for minute, person, step in (
        (-9, harness.provider, "join"),
        (-5, harness.provider, "leave"),
        (-4, harness.member, "join"),
    ):
        harness.clock.moment = START + minute * MINUTE
        assert (await person.post(f"{path}/{step}")).status_code == 200
    assert names(await harness.advance(START + 10 * MINUTE - timedelta(seconds=1))) == []
    assert names(await harness.advance(START + 10 * MINUTE)) == ["ProviderMissed"]
    after = await harness.read(session)
    assert (after["status"], after["absent_party"]) == ("provider_missed", "provider")


@pytest.mark.rule("JOIN-2")
async def test_a_member_who_comes_when_the_provider_has_left_never_met_them(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    for minute, person, step in (
        (0, harness.provider, "join"),
        (5, harness.provider, "leave"),
        (6, harness.member, "join"),
    ):
        harness.clock.moment = START + minute * MINUTE
        assert (await person.post(f"{path}/{step}")).json().get("status", "confirmed") == "confirmed"
    assert names(await harness.advance(START + 15 * MINUTE)) == ["ProviderMissed"]
    assert (await harness.read(session))["absent_party"] == "provider"


@pytest.mark.rule("JOIN-2")
async def test_time_together_is_kept_from_step_to_step_and_the_history_names_each(harness: BookingHarness) -> None:
    session = await harness.confirmed()
    path = f"/v1/sessions/{session['id']}"
    harness.clock.moment = START - MINUTE
    for person in (harness.provider, harness.member):
        assert (await person.post(f"{path}/join")).status_code == 200
    assert names(await harness.advance(START)) == ["SessionStarted"]
    for minute, step in ((2, "leave"), (3, "join"), (4, "leave"), (10, "join"), (11, "leave")):
        harness.clock.moment = START + minute * MINUTE
        assert (await harness.provider.post(f"{path}/{step}")).status_code == 200
    assert names(await harness.advance(END - timedelta(seconds=1))) == []
    assert names(await harness.advance(END)) == ["ProviderMissed"]
    after = await harness.read(session)
    assert (after["status"], after["absent_party"]) == ("provider_missed", "provider")
    items = (await harness.member.get(f"{path}/history")).json()["items"]
    steps = [(item["by"], item["type"]) for item in items if item["type"] in ("SessionJoined", "SessionLeft")]
    joined, left = ("provider", "SessionJoined"), ("provider", "SessionLeft")
    assert steps == [joined, ("member", "SessionJoined"), left, joined, left, joined, left]


@pytest.mark.rule("JOIN-3")
async def test_in_person_both_check_in_with_the_venues_latest_code(harness: BookingHarness) -> None:
    session = await harness.confirmed(modality="in_person", venue_id=VENUE)
    path = f"/v1/sessions/{session['id']}"
    harness.clock.moment = START - 5 * MINUTE
    code = new_code()
    assert slug(await harness.member.post(f"{path}/join", json={"venue_code": code})) == "check-in-code-wrong"
    told = [
        VenueCodeChanged(venue_id=VENUE, venue_version=version, code_digest=digest(text, VENUE))
        for version, text in ((3, code), (2, new_code()))
    ]
    for event in told:  # the older one comes late
        await harness.handle(event)
    joined = await harness.member.post(f"{path}/join", json={"venue_code": code.lower().replace("-", " ")})
    assert (joined.status_code, joined.json()["join_url"]) == (200, None)
    assert slug(await harness.provider.post(f"{path}/join")) == "validation"
    assert (await harness.provider.post(f"{path}/join", json={"venue_code": code})).status_code == 200
    assert names(await harness.advance(END))[-2:] == ["SessionStarted", "SessionCompleted"]
    items = (await harness.member.get(f"{path}/history")).json()["items"]
    joins = [(item["by"], item["detail"]) for item in items if item["type"] == "SessionJoined"]
    assert joins == [("member", "checked in at the venue"), ("provider", "checked in at the venue")]


@pytest.mark.rule("JOIN-3")
async def test_in_person_the_provider_checks_in_for_both(harness: BookingHarness) -> None:
    session = await harness.confirmed(modality="in_person", venue_id=VENUE)
    path = f"/v1/sessions/{session['id']}"
    harness.clock.moment = START + MINUTE
    assert slug(await harness.member.post(f"{path}/join", json={"both": True})) == "validation"
    joined = await harness.provider.post(f"{path}/join", json={"both": True})
    assert joined.json()["session"]["status"] == "in_session"
    items = (await harness.member.get(f"{path}/history")).json()["items"]
    joins = [(item["by"], item["detail"]) for item in items if item["type"] == "SessionJoined"]
    assert joins == [("provider", None), ("provider", "the member was checked in by the provider")]


@pytest.mark.rule("JOIN-3")
async def test_in_person_the_provider_is_asked_and_says_how_it_went(harness: BookingHarness) -> None:
    session = await harness.confirmed(modality="in_person", venue_id=VENUE)
    path = f"/v1/sessions/{session['id']}"
    early = await harness.provider.post(f"{path}/outcome", json={"outcome": "completed"})
    assert slug(early) == "outcome-not-asked"
    assert names(await harness.advance(END))[-1] == "OutcomeAsked"
    assert (await harness.member.post(f"{path}/outcome", json={"outcome": "completed"})).status_code == 403
    said = await harness.provider.post(f"{path}/outcome", json={"outcome": "completed"})
    assert (said.status_code, said.json()["status"]) == (200, "completed")
    last = (await harness.member.get(f"{path}/history")).json()["items"][-1]
    assert (last["type"], last["by"]) == ("SessionCompleted", "provider")


@pytest.mark.rule("JOIN-3", "MISS-1")
async def test_in_person_without_an_answer_it_is_the_providers_miss(harness: BookingHarness) -> None:
    session = await harness.confirmed(modality="in_person", venue_id=VENUE)
    assert names(await harness.advance(END + 24 * HOUR - MINUTE))[-1] == "OutcomeAsked"
    assert names(await harness.advance(END + 24 * HOUR)) == ["ProviderMissed"]
    after = await harness.read(session)
    assert (after["status"], after["absent_party"]) == ("provider_missed", "both")

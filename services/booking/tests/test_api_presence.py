"""Who comes and goes, over the API and through the database: presence decides, and the history keeps each step (JOIN-2)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from makegood_contracts.check_in import digest, new_code
from makegood_contracts.events import VenueCodeChanged

from .examples import HOUR, MINUTE, START
from .world import World, names, slug

VENUE = "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a99"
END = START + 30 * MINUTE


@pytest.mark.rule("JOIN-2", "MISS-1")
async def test_a_provider_who_came_and_went_before_the_start_missed_it(world: World) -> None:
    session = await world.confirmed()
    path = f"/v1/sessions/{session['id']}"
    for minute, person, step in (
        (-9, world.provider, "join"),
        (-5, world.provider, "leave"),
        (-4, world.member, "join"),
    ):
        world.clock.moment = START + minute * MINUTE
        assert (await person.post(f"{path}/{step}")).status_code == 200
    assert names(await world.pass_time(START + 10 * MINUTE - timedelta(seconds=1))) == []
    assert names(await world.pass_time(START + 10 * MINUTE)) == ["ProviderMissed"]
    after = await world.read(session)
    assert (after["status"], after["absent_party"]) == ("provider_missed", "provider")


@pytest.mark.rule("JOIN-2")
async def test_a_member_who_comes_when_the_provider_has_left_never_met_them(world: World) -> None:
    session = await world.confirmed()
    path = f"/v1/sessions/{session['id']}"
    for minute, person, step in ((0, world.provider, "join"), (5, world.provider, "leave"), (6, world.member, "join")):
        world.clock.moment = START + minute * MINUTE
        assert (await person.post(f"{path}/{step}")).json().get("status", "confirmed") == "confirmed"
    assert names(await world.pass_time(START + 15 * MINUTE)) == ["ProviderMissed"]
    assert (await world.read(session))["absent_party"] == "provider"


@pytest.mark.rule("JOIN-2")
async def test_time_together_is_kept_from_step_to_step_and_the_history_names_each(world: World) -> None:
    session = await world.confirmed()
    path = f"/v1/sessions/{session['id']}"
    world.clock.moment = START - MINUTE
    for person in (world.provider, world.member):
        assert (await person.post(f"{path}/join")).status_code == 200
    assert names(await world.pass_time(START)) == ["SessionStarted"]
    for minute, step in ((2, "leave"), (3, "join"), (4, "leave"), (10, "join"), (11, "leave")):
        world.clock.moment = START + minute * MINUTE
        assert (await world.provider.post(f"{path}/{step}")).status_code == 200
    assert names(await world.pass_time(END - timedelta(seconds=1))) == []
    assert names(await world.pass_time(END)) == ["ProviderMissed"]
    after = await world.read(session)
    assert (after["status"], after["absent_party"]) == ("provider_missed", "provider")
    items = (await world.member.get(f"{path}/history")).json()["items"]
    steps = [(item["by"], item["type"]) for item in items if item["type"] in ("SessionJoined", "SessionLeft")]
    joined, left = ("provider", "SessionJoined"), ("provider", "SessionLeft")
    assert steps == [joined, ("member", "SessionJoined"), left, joined, left, joined, left]


@pytest.mark.rule("JOIN-3")
async def test_in_person_both_check_in_with_the_venues_latest_code(world: World) -> None:
    session = await world.confirmed(modality="in_person", venue_id=VENUE)
    path = f"/v1/sessions/{session['id']}"
    world.clock.moment = START - 5 * MINUTE
    code = new_code()
    assert slug(await world.member.post(f"{path}/join", json={"venue_code": code})) == "check-in-code-wrong"
    told = [
        VenueCodeChanged(venue_id=VENUE, venue_version=version, code_digest=digest(text, VENUE))
        for version, text in ((3, code), (2, new_code()))
    ]
    for event in told:  # the older one comes late
        await world.handle(event)
    joined = await world.member.post(f"{path}/join", json={"venue_code": code.lower().replace("-", " ")})
    assert (joined.status_code, joined.json()["join_url"]) == (200, None)
    assert slug(await world.provider.post(f"{path}/join")) == "validation"
    assert (await world.provider.post(f"{path}/join", json={"venue_code": code})).status_code == 200
    assert names(await world.pass_time(END))[-2:] == ["SessionStarted", "SessionCompleted"]
    items = (await world.member.get(f"{path}/history")).json()["items"]
    joins = [(item["by"], item["detail"]) for item in items if item["type"] == "SessionJoined"]
    assert joins == [("member", "checked in at the venue"), ("provider", "checked in at the venue")]


@pytest.mark.rule("JOIN-3")
async def test_in_person_the_provider_checks_in_for_both(world: World) -> None:
    session = await world.confirmed(modality="in_person", venue_id=VENUE)
    path = f"/v1/sessions/{session['id']}"
    world.clock.moment = START + MINUTE
    assert slug(await world.member.post(f"{path}/join", json={"both": True})) == "validation"
    joined = await world.provider.post(f"{path}/join", json={"both": True})
    assert joined.json()["session"]["status"] == "in_session"
    items = (await world.member.get(f"{path}/history")).json()["items"]
    joins = [(item["by"], item["detail"]) for item in items if item["type"] == "SessionJoined"]
    assert joins == [("provider", None), ("provider", "the member was checked in by the provider")]


@pytest.mark.rule("JOIN-3")
async def test_in_person_the_provider_is_asked_and_says_how_it_went(world: World) -> None:
    session = await world.confirmed(modality="in_person", venue_id=VENUE)
    path = f"/v1/sessions/{session['id']}"
    early = await world.provider.post(f"{path}/outcome", json={"outcome": "completed"})
    assert slug(early) == "outcome-not-asked"
    assert names(await world.pass_time(END))[-1] == "OutcomeAsked"
    assert (await world.member.post(f"{path}/outcome", json={"outcome": "completed"})).status_code == 403
    said = await world.provider.post(f"{path}/outcome", json={"outcome": "completed"})
    assert (said.status_code, said.json()["status"]) == (200, "completed")
    last = (await world.member.get(f"{path}/history")).json()["items"][-1]
    assert (last["type"], last["by"]) == ("SessionCompleted", "provider")


@pytest.mark.rule("JOIN-3", "MISS-1")
async def test_in_person_without_an_answer_it_is_the_providers_miss(world: World) -> None:
    session = await world.confirmed(modality="in_person", venue_id=VENUE)
    assert names(await world.pass_time(END + 24 * HOUR - MINUTE))[-1] == "OutcomeAsked"
    assert names(await world.pass_time(END + 24 * HOUR)) == ["ProviderMissed"]
    after = await world.read(session)
    assert (after["status"], after["absent_party"]) == ("provider_missed", "both")

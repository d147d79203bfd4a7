"""Who comes and goes, over the API and through the database: presence decides, and the history keeps each step (JOIN-2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from .examples import MINUTE, START
from .world import World, names

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

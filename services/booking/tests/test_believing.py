"""SEC-7: what booking does not believe of others' answers, however well they are signed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import Event
from makegood_contracts.ids import new_id

from .examples import NOW
from .world import Answers, Json, World

pytestmark = pytest.mark.rule("SEC-7")


async def refused(world: World, event: Event) -> str | None:
    """Why the event is not believed; None where it is."""
    received: Received[Any] = Received(event, new_id(), event.key, 900, NOW, "story", "test")
    async with world.service.database.transaction(Cause("story", "test")) as unit:
        await world.service.events[type(event)]([received], unit)
    return unit.refused.get(received.id)


async def reserved(world: World) -> Json:
    session = await world.ask()
    await world.handle(Answers.slot_held(session))
    await world.handle(Answers.credit_held(session))
    await world.outbox()
    return await world.read(session)


async def test_answers_for_other_parties_are_refused(world: World) -> None:
    session = await world.ask()
    await world.outbox()
    for event in (Answers.slot_held(session), Answers.slot_refused(session), Answers.credit_held(session)):
        assert await refused(world, msgspec.structs.replace(event, member_id="other")) == "not-its-parties"
    assert (
        await refused(world, msgspec.structs.replace(Answers.slot_held(session), provider_id="other"))
        == "not-its-parties"
    )
    assert await world.outbox() == []


async def test_a_slot_at_another_time_is_not_the_sessions(world: World) -> None:
    session = await world.ask()
    held = Answers.slot_held(session)
    elsewhere = msgspec.structs.replace(
        held, starts_at=held.starts_at + timedelta(hours=1), ends_at=held.ends_at + timedelta(hours=1)
    )
    assert await refused(world, elsewhere) == "not-its-terms"
    assert await refused(world, held) is None


async def test_no_credit_is_settled_before_the_session_is_over(world: World) -> None:
    session = await reserved(world)
    for event in (
        Answers.credit_returned(session, "provider_missed"),
        Answers.credit_forfeited(session, "member_no_show"),
        Answers.credit_returned(session, "cancelled"),
    ):
        assert await refused(world, event) == "not-its-terms"
    assert (await world.read(session))["credit"] == {"state": "held"}
    assert await world.outbox() == []


async def test_nothing_lapses_before_it_can(world: World) -> None:
    session = await reserved(world)
    for event in (
        Answers.slot_lapsed(session),
        Answers.credit_returned(session, "lapsed"),
        Answers.co_pay_void(session),
    ):
        assert await refused(world, event) == "before-its-time"
    assert await world.outbox() == []


async def test_a_session_that_never_was_is_refused(world: World) -> None:
    session = await reserved(world)
    assert await refused(world, Answers.slot_held({**session, "id": new_id()})) == "unknown-session"

"""SEC-7: booking refuses other services' events that cannot be true, even if their signatures are valid."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import Event
from makegood_contracts.ids import new_id

from .examples import NOW
from .harness import Answers, BookingHarness, Json

pytestmark = pytest.mark.rule("SEC-7")


async def refused(harness: BookingHarness, event: Event) -> str | None:
    """Why the event is refused; None if it is not."""
    received: Received[Any] = Received(event, new_id(), event.key, 900, NOW, "story", "test")
    async with harness.service.database.transaction(Cause("story", "test")) as unit:
        await harness.service.events[type(event)]([received], unit)
    return unit.refused.get(received.id)


async def reserved(harness: BookingHarness) -> Json:
    session = await harness.ask()
    await harness.handle(Answers.slot_held(session))
    await harness.handle(Answers.credit_held(session))
    await harness.outbox()
    return await harness.read(session)


async def test_answers_for_other_parties_are_refused(harness: BookingHarness) -> None:
    session = await harness.ask()
    await harness.outbox()
    for event in (Answers.slot_held(session), Answers.slot_refused(session), Answers.credit_held(session)):
        assert await refused(harness, msgspec.structs.replace(event, member_id="other")) == "not-its-parties"
    assert (
        await refused(harness, msgspec.structs.replace(Answers.slot_held(session), provider_id="other"))
        == "not-its-parties"
    )
    assert await harness.outbox() == []


async def test_a_slot_at_another_time_is_not_the_sessions(harness: BookingHarness) -> None:
    session = await harness.ask()
    held = Answers.slot_held(session)
    elsewhere = msgspec.structs.replace(
        held, starts_at=held.starts_at + timedelta(hours=1), ends_at=held.ends_at + timedelta(hours=1)
    )
    assert await refused(harness, elsewhere) == "not-its-terms"
    assert await refused(harness, held) is None


async def test_no_credit_is_settled_before_the_session_is_over(harness: BookingHarness) -> None:
    session = await reserved(harness)
    for event in (
        Answers.credit_returned(session, "provider_missed"),
        Answers.credit_forfeited(session, "member_no_show"),
        Answers.credit_returned(session, "cancelled"),
    ):
        assert await refused(harness, event) == "not-its-terms"
    assert (await harness.read(session))["credit"] == {"state": "held"}
    assert await harness.outbox() == []


async def test_nothing_lapses_before_it_can(harness: BookingHarness) -> None:
    session = await reserved(harness)
    for event in (
        Answers.slot_lapsed(session),
        Answers.credit_returned(session, "lapsed"),
        Answers.co_pay_void(session),
    ):
        assert await refused(harness, event) == "before-its-time"
    assert await harness.outbox() == []


async def test_a_session_that_never_was_is_refused(harness: BookingHarness) -> None:
    session = await reserved(harness)
    assert await refused(harness, Answers.slot_held({**session, "id": new_id()})) == "unknown-session"

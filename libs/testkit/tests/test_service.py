"""The harness drives a service as its consumer and its deadline worker do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from makegood_availability.bootstrap import bootstrap
from makegood_availability.settings import AvailabilitySettings
from makegood_contracts.events import Event, ProviderMissed, SessionRequested, SessionReserved, SlotHeld, SlotReleased
from makegood_contracts.ids import new_id
from makegood_testkit.schedules import schedule_body
from makegood_testkit.service import MakeHarness, ServiceHarness, names, slug

NOW = datetime(2027, 1, 4, 8, 0, tzinfo=UTC)
"""A Monday."""
MINUTE = timedelta(minutes=1)
E = TypeVar("E", bound=Event)


def request(starts_at: datetime) -> SessionRequested:
    return SessionRequested(
        session_id=new_id(),
        room_id=new_id(),
        member_id="anna",
        provider_id="doc",
        starts_at=starts_at,
        ends_at=starts_at + 30 * MINUTE,
        length_minutes=30,
        modality="video",
        time_zone="UTC",
        session_version=1,
        booked_by="member",
        hold_until=NOW + 15 * MINUTE,
        policy_version=1,
    )


def session_event(kind: type[E], of: SessionRequested, **values: Any) -> E:
    shared = {name: getattr(of, name) for name in kind.__struct_fields__ if hasattr(of, name)}
    return kind(**{**shared, "session_version": 2, **values})


async def test_events_time_and_people_reach_the_service(make_harness: MakeHarness) -> None:
    harness: ServiceHarness[object] = await make_harness(
        "availability", bootstrap, AvailabilitySettings, NOW, ServiceHarness
    )
    provider = harness.client("provider", "doc")
    assert (await provider.put("/v1/providers/doc/schedule", json=schedule_body())).status_code == 201
    assert slug(await harness.client().get("/v1/providers/doc/schedule")) == "unauthenticated"
    assert names(await harness.outbox()) == ["SchedulePublished"]

    wanted = request(NOW + timedelta(hours=26))
    assert await harness.handle(wanted, request(NOW + timedelta(days=700))) == {}
    assert names(await harness.outbox()) == ["SlotHeld", "SlotRefused"]
    assert [event.session_id for event in await harness.published(SlotHeld)] == [wanted.session_id]
    assert await harness.value("SELECT count(*) FROM slot_holds") == 1

    assert await harness.advance(NOW + 14 * MINUTE) == []
    (released,) = await harness.advance(NOW + 15 * MINUTE)
    assert isinstance(released, SlotReleased)
    assert released.cause == "lapsed"


async def test_an_event_is_handled_when_it_can_be_or_now_and_refused(make_harness: MakeHarness) -> None:
    harness: ServiceHarness[object] = await make_harness(
        "availability", bootstrap, AvailabilitySettings, NOW, ServiceHarness
    )
    await harness.client("provider", "doc").put("/v1/providers/doc/schedule", json=schedule_body())
    wanted = request(NOW + timedelta(hours=26))
    await harness.handle(wanted)
    assert await harness.wait_for(SlotHeld) in await harness.outbox()
    await harness.handle(session_event(SessionReserved, wanted, confirm_by=wanted.starts_at))
    missed = session_event(
        ProviderMissed,
        wanted,
        absent_party="provider",
        missed_at=wanted.starts_at + 10 * MINUTE,
        grace_minutes=10,
    )
    assert await harness.handle_now(missed) == {wanted.session_id: "before-its-time"}
    assert await harness.handle(missed) == {}
    assert harness.clock.moment == NOW

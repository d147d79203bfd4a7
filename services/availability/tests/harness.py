"""The availability service under test, and examples of what it receives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from makegood_availability.dependencies import Dependencies
from makegood_availability.store import schedules
from makegood_chassis.service import Service
from makegood_contracts.envelope import Received
from makegood_contracts.events import (
    Event,
    SessionMoveFunded,
    SessionRequested,
    SessionReserved,
    SlotHeld,
    SlotMoveRefused,
    SlotRefused,
    SlotReleased,
    WaitlistCandidateJudged,
    WaitlistCandidateProposed,
)
from makegood_contracts.ids import new_id
from makegood_contracts.reasons import Obstacle, ReasonCode
from makegood_testkit.identity import Identity
from makegood_testkit.service import CAUSE, ServiceHarness

NOW = datetime(2027, 1, 4, 8, 0, tzinfo=UTC)
"""A Monday."""
MINUTE = timedelta(minutes=1)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
E = TypeVar("E", bound=Event)


def body(**changes: Any) -> dict[str, Any]:
    """A schedule: every day from 09:00 to 17:00 UTC, 30 and 60 minutes, by video or in person."""
    return {
        "time_zone": "UTC",
        "weekly": [{"day": day, "from": "09:00", "to": "17:00"} for day in DAYS],
        "exceptions": [],
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        "minimum_notice_minutes": 0,
        "horizon_days": 365,
        "slot_step_minutes": 15,
        "specialty": "therapy",
        "session_types": [{"length_minutes": length, "modalities": ["video", "in_person"]} for length in (30, 60)],
        **changes,
    }


def at(hour: int, minute: int = 0, *, day: int = 5) -> datetime:
    return datetime(2027, 1, day, hour, minute, tzinfo=UTC)


def request(
    starts_at: datetime,
    length: int = 30,
    *,
    provider: str = "doc",
    member: str = "anna",
    session_id: str | None = None,
    venue_id: str | None = None,
    hold_until: datetime | None = None,
) -> SessionRequested:
    return SessionRequested(
        session_id=session_id or new_id(),
        room_id="00000000-0000-7000-8000-000000000001",
        member_id=member,
        provider_id=provider,
        starts_at=starts_at,
        ends_at=starts_at + length * MINUTE,
        length_minutes=length,
        modality="in_person" if venue_id else "video",
        time_zone="UTC",
        venue_id=venue_id,
        session_version=1,
        booked_by="member",
        hold_until=hold_until or NOW + 15 * MINUTE,
        policy_version=1,
    )


def later(kind: type[E], of: SessionRequested, **values: Any) -> E:
    """Another event of the session that was requested."""
    names = kind.__struct_fields__
    kept = {name: getattr(of, name) for name in of.__struct_fields__ if name in names}
    return kind(**{**kept, "session_version": 2, **values})


def move(of: SessionRequested, starts_at: datetime, length: int | None = None, **values: Any) -> SessionMoveFunded:
    """A funded move of the session that was requested, by its member if nothing else is said."""
    length = length or of.length_minutes
    return later(
        SessionMoveFunded,
        of,
        **{
            "move_id": new_id(),
            "moved_by": "member",
            "new_starts_at": starts_at,
            "new_ends_at": starts_at + length * MINUTE,
            "new_length_minutes": length,
            "new_time_zone": "UTC",
            "new_venue_id": of.venue_id,
            "forfeits": False,
            "decide_by": NOW + 5 * MINUTE,
            **values,
        },
    )


def judgement(
    proposal: WaitlistCandidateProposed, *codes: ReasonCode, next_starts_at: datetime | None = None
) -> WaitlistCandidateJudged:
    return WaitlistCandidateJudged(
        proposal_id=proposal.proposal_id,
        entry_id=proposal.entry_id,
        room_id=proposal.room_id,
        member_id=proposal.member_id,
        provider_id=proposal.provider_id,
        starts_at=proposal.starts_at,
        reasons=tuple(Obstacle(code=code, detail=f"Because of {code}.", action="try_again_later") for code in codes),
        next_starts_at=next_starts_at,
    )


class AvailabilityHarness(ServiceHarness[Dependencies]):
    """The service, and booking, which judges the waitlist's candidates."""

    def __init__(self, service: Service[Dependencies], identity: Identity) -> None:
        super().__init__(service, identity)
        self.booking_judges = True
        self.obstacles: dict[str, Sequence[ReasonCode]] = {}
        """By member: why they could not book, as booking judges."""

    async def publish(self, provider: str = "doc", **changes: Any) -> None:
        """Publishes the provider's schedule."""
        async with self.database.transaction(CAUSE) as unit:
            await schedules.publish(unit, provider, body(**changes))

    async def receive(self, *events: Event) -> list[Event]:
        """Hands the events, all of one type, to their handler as one batch. Returns what that published."""
        await self.handle_now(*events)
        return await self.outbox()

    async def refusal_of(self, event: Event) -> str:
        """Why the event is refused; empty if it is not."""
        return (await self.handle_now(event)).get(event.key, "")

    async def ask(self, *wanted: SessionRequested) -> list[SlotHeld | SlotRefused]:
        """Asks for slots in one batch. The answers come in the batch's order."""
        published = await self.receive(*wanted)
        answers = {event.session_id: event for event in published if isinstance(event, SlotHeld | SlotRefused)}
        return [answers[request.session_id] for request in wanted]

    async def judge(
        self, proposal: WaitlistCandidateProposed, *codes: ReasonCode, next_starts_at: datetime | None = None
    ) -> str:
        """Booking's answer to a proposal; without codes the member could book. Answers why it is refused, if it is."""
        return await self.refusal_of(judgement(proposal, *codes, next_starts_at=next_starts_at))

    async def records(self) -> list[Received[Any]]:
        """As a harness has them. If booking judges, it has answered every proposal, and what followed is there too."""
        records = await super().records()
        asked = [record.event for record in records if isinstance(record.event, WaitlistCandidateProposed)]
        for proposal in asked if self.booking_judges else ():
            await self.judge(proposal, *self.obstacles.get(proposal.member_id, ()))
            records += await self.records()
        return records

    async def advance(self, to: datetime | None = None) -> list[Event]:
        """Moves the clock and handles what is due, before booking answers anything. Answers the published events."""
        self.clock.moment = to or self.clock.moment
        await self.handle_due()
        return await self.outbox()

    async def pass_time(self, to: datetime) -> list[SlotReleased]:
        """Moves the clock and handles what is due. Returns what was released."""
        return [event for event in await self.advance(to) if isinstance(event, SlotReleased)]


def codes(answer: Event) -> list[str]:
    """The refusal's codes; none for a slot that is held or has moved."""
    return [reason.code for reason in answer.reasons] if isinstance(answer, SlotRefused | SlotMoveRefused) else []


def all_codes(answers: Sequence[SlotHeld | SlotRefused]) -> list[list[str]]:
    return [codes(answer) for answer in answers]


async def booked(harness: AvailabilityHarness, *wanted: SessionRequested) -> None:
    """The sessions, held and reserved."""
    assert all_codes(await harness.ask(*wanted)) == [[]] * len(wanted)
    await harness.receive(*(later(SessionReserved, wanted, confirm_by=wanted.starts_at) for wanted in wanted))


async def place(harness: AvailabilityHarness, session_id: str) -> tuple[Any, ...]:
    """Where the session's live hold is."""
    async with harness.database.reading() as queries:
        row = await queries.fetch_one(
            "SELECT starts_at, ends_at, venue_id, lower(blocked), upper(blocked) FROM slot_holds"
            " WHERE live AND session_id = $1",
            session_id,
        )
    assert row is not None
    return tuple(row)

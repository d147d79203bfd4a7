"""What this service learns of plans, specialties and the waitlist's offers, from the topics of credits and availability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import Queries
from makegood_contracts.events import EnrolmentEnded, MemberEnrolled, SchedulePublished, WaitlistOffered

from makegood_notifications.domain.plans import Enrolment

_ENROL: Final = """
INSERT INTO enrolments (id, member_id, plan_kind, starts_on, ends_on, time_zone, lengths, psychiatry_lengths, reminder_channels)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET
    plan_kind = excluded.plan_kind, starts_on = excluded.starts_on, ends_on = excluded.ends_on,
    time_zone = excluded.time_zone, lengths = excluded.lengths, psychiatry_lengths = excluded.psychiatry_lengths,
    reminder_channels = excluded.reminder_channels
"""
_END: Final = "UPDATE enrolments SET ends_on = least(ends_on, $2) WHERE id = $1"
_SPECIALTY: Final = """
INSERT INTO specialties (provider_id, specialty, version) VALUES ($1, $2, $3)
ON CONFLICT (provider_id) DO UPDATE SET specialty = excluded.specialty, version = excluded.version
WHERE specialties.version < excluded.version
"""
_OFFER: Final = """
INSERT INTO offers (entry_id, member_id, starts_at, lapses_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (entry_id) DO UPDATE SET starts_at = excluded.starts_at, lapses_at = excluded.lapses_at
"""
_CLOSE: Final = "DELETE FROM offers WHERE entry_id = ANY($1::text[])"
_PLANS: Final = """
SELECT starts_on, ends_on, time_zone, plan_kind, lengths, psychiatry_lengths, reminder_channels FROM enrolments
WHERE member_id = $1 ORDER BY starts_on DESC, id DESC
"""
_SPECIALTY_OF: Final = "SELECT specialty FROM specialties WHERE provider_id = $1"


# Rare events, so a statement each; enrolments and schedules of one key come in order.


async def follow_enrolments(queries: Queries, events: Sequence[MemberEnrolled]) -> None:
    """Saves the enrolments as they were said last."""
    for event in events:
        await queries.execute(
            _ENROL,
            event.enrolment_id,
            event.member_id,
            event.plan_kind,
            event.starts_on,
            event.ends_on,
            event.time_zone,
            event.lengths,
            event.psychiatry_lengths,
            list(event.reminder_channels),
        )


async def end_enrolments(queries: Queries, events: Sequence[EnrolmentEnded]) -> None:
    """Later enrolments took their place."""
    for event in events:
        await queries.execute(_END, event.enrolment_id, event.ended_on)


async def follow_specialties(queries: Queries, events: Sequence[SchedulePublished]) -> None:
    """Saves the providers' specialties."""
    for event in events:
        await queries.execute(_SPECIALTY, event.provider_id, event.specialty, event.schedule_version)


async def open_offers(queries: Queries, events: Sequence[WaitlistOffered]) -> None:
    """Saves offers of the waitlist; an entry has one at a time."""
    for event in events:
        await queries.execute(_OFFER, event.entry_id, event.member_id, event.starts_at, event.lapses_at)


async def close_offers(queries: Queries, entry_ids: Sequence[str]) -> None:
    """These offers are over."""
    await queries.execute(_CLOSE, list(entry_ids))


async def enrolments_of(queries: Queries, member_id: str) -> list[Enrolment]:
    """The member's enrolments, the latest first."""
    return [Enrolment(*row) for row in await queries.fetch(_PLANS, member_id)]


async def specialty_of(queries: Queries, provider_id: str) -> str:
    """The provider's specialty, as far as it was published."""
    return await queries.fetch_value(_SPECIALTY_OF, provider_id) or "therapy"

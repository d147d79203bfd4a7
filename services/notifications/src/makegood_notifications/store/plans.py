"""What this service learns about plans, specialties and offers of the waitlist from the topics of credits and
availability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

from makegood_chassis.database import Queries
from makegood_chassis.statements import Statement
from makegood_contracts.events import EnrolmentEnded, MemberEnrolled, SchedulePublished, WaitlistOffered
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from makegood_notifications.domain.plans import Enrolment
from makegood_notifications.store.tables import enrolments

_INSERT: Final = insert(enrolments).values({each.name: bindparam(each.name, type_=each.type) for each in enrolments.c})
_ENROL: Final = Statement(
    _INSERT.on_conflict_do_update(
        index_elements=[enrolments.c.id],
        set_={each.name: _INSERT.excluded[each.name] for each in enrolments.c if each.name not in ("id", "member_id")},
    )
)
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
_PLANS: Final = Statement(
    select(*(enrolments.c[one.name] for one in fields(Enrolment)))
    .where(enrolments.c.member_id == bindparam("member_id"))
    .order_by(enrolments.c.starts_on.desc(), enrolments.c.id.desc())
)
_SPECIALTY_OF: Final = "SELECT specialty FROM specialties WHERE provider_id = $1"


# These events are rare, so each has its own statement. Events of one enrolment or schedule arrive in order.


async def follow_enrolments(queries: Queries, events: Sequence[MemberEnrolled]) -> None:
    """Saves the enrolments. The latest event of an enrolment counts."""
    for event in events:
        await queries.execute(
            _ENROL(
                id=event.enrolment_id,
                member_id=event.member_id,
                plan_kind=event.plan_kind,
                starts_on=event.starts_on,
                ends_on=event.ends_on,
                time_zone=event.time_zone,
                lengths=event.lengths,
                psychiatry_lengths=event.psychiatry_lengths,
                reminder_channels=list(event.reminder_channels),
            )
        )


async def end_enrolments(queries: Queries, events: Sequence[EnrolmentEnded]) -> None:
    """Ends the enrolments, because later ones replace them."""
    for event in events:
        await queries.execute(_END, event.enrolment_id, event.ended_on)


async def follow_specialties(queries: Queries, events: Sequence[SchedulePublished]) -> None:
    """Saves the providers' specialties."""
    for event in events:
        await queries.execute(_SPECIALTY, event.provider_id, event.specialty, event.schedule_version)


async def open_offers(queries: Queries, events: Sequence[WaitlistOffered]) -> None:
    """Saves offers of the waitlist. An entry has one at a time."""
    for event in events:
        await queries.execute(_OFFER, event.entry_id, event.member_id, event.starts_at, event.lapses_at)


async def close_offers(queries: Queries, entry_ids: Sequence[str]) -> None:
    """Deletes the offers of these entries."""
    await queries.execute(_CLOSE, list(entry_ids))


async def enrolments_of(queries: Queries, member_id: str) -> list[Enrolment]:
    """The member's enrolments, latest first."""
    return [Enrolment(*row) for row in await queries.fetch(_PLANS(member_id=member_id))]


async def specialty_of(queries: Queries, provider_id: str) -> str:
    """The provider's specialty, `therapy` if none was published."""
    return await queries.fetch_value(_SPECIALTY_OF, provider_id) or "therapy"

"""All that booking knows about a member and a provider, read with one statement: coverage, lots, debts, schedule and active room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

import msgspec
from makegood_calendar.published import schedule_of
from makegood_calendar.slot_rules import Schedule
from makegood_chassis.database import Queries
from makegood_chassis.statements import Statement
from makegood_contracts.events import Modality, PlanKind, SchedulePublished
from makegood_plans.coverage import CoveragePeriod
from makegood_plans.plans import Money, Plan
from makegood_plans.published import PublishedEnrolment, PublishedLot, coverage_periods

# A session's first hold is on its own row. Everything that happened to a credit since then is a movement.
_DATA: Final = Statement("""
SELECT
    (SELECT json_agg(e)::text FROM enrolments AS e WHERE member_id = :member_id),
    (SELECT json_agg(l)::text FROM (
        SELECT moved.lot_id AS id, moved.amount - coalesce(begun.holds, 0) AS available, moved.length_minutes, moved.expires_at,
               moved.made_for_minutes
        FROM (SELECT lot_id, sum(amount)::int AS amount, max(length_minutes) AS length_minutes,
                     max(made_for_minutes) AS made_for_minutes,
                     (array_agg(expires_at ORDER BY sequence DESC) FILTER (WHERE tells))[1] AS expires_at
              FROM credit_movements WHERE member_id = :member_id GROUP BY lot_id) AS moved
        LEFT JOIN (SELECT lot_id, count(*)::int AS holds FROM sessions
                   WHERE member_id = :member_id AND lot_id IS NOT NULL GROUP BY lot_id) AS begun USING (lot_id)
        WHERE moved.amount > coalesce(begun.holds, 0)) AS l),
    EXISTS (SELECT FROM overdue_invoices WHERE member_id = :member_id AND owed),
    (SELECT body::text FROM provider_schedules WHERE provider_id = :provider_id),
    (SELECT id::text FROM rooms WHERE member_id = :member_id AND provider_id = :provider_id AND status = 'active')
""")


class _Enrolment(msgspec.Struct):
    """A row of `enrolments`."""

    plan_id: str
    plan_kind: PlanKind
    lengths: tuple[int, ...]
    modalities: tuple[Modality, ...]
    live_credits: int | None
    months: int | None
    psychiatry_lengths: tuple[int, ...]
    purchasable: bool
    co_pay: Money | None
    starts_on: date
    ends_on: date | None
    time_zone: str
    sequence: int

    @property
    def published(self) -> PublishedEnrolment:
        plan = Plan(
            id=self.plan_id,
            kind=self.plan_kind,
            lengths=self.lengths,
            modalities=self.modalities,
            live_credits=self.live_credits,
            months=self.months,
            psychiatry_lengths=self.psychiatry_lengths,
            purchasable=self.purchasable,
            co_pay=self.co_pay,
        )
        return PublishedEnrolment(plan, self.starts_on, self.ends_on, self.time_zone, self.sequence)


_enrolments: Final = msgspec.json.Decoder(list[_Enrolment]).decode
_lots: Final = msgspec.json.Decoder(list[PublishedLot]).decode
_published: Final = msgspec.json.Decoder(SchedulePublished).decode


@dataclass(frozen=True, slots=True)
class BookabilityData:
    """What booking knows about a member and a provider."""

    coverage: list[CoveragePeriod]
    """Which plan covers the member when, in the order of time. Includes what is over."""
    lots: list[PublishedLot]
    """The member's lots with credits left. Includes lots that have lapsed without an event saying so yet."""
    owes: bool
    """Whether an invoice of the member is overdue (BOOK-7)."""
    schedule: Schedule | None
    """The provider's, as it was last published."""
    active_room_id: str | None
    """The active room that the two share."""


async def read_bookability_data(queries: Queries, member_id: str, provider_id: str) -> BookabilityData:
    row = await queries.fetch_one(_DATA(member_id=member_id, provider_id=provider_id))
    assert row is not None
    enrolments, lots, owes, schedule, active_room_id = row
    return BookabilityData(
        coverage_periods([each.published for each in _enrolments(enrolments)]) if enrolments else [],
        _lots(lots) if lots else [],
        owes,
        None if schedule is None else _schedule(schedule),
        active_room_id,
    )


@lru_cache(maxsize=1024)
def _schedule(body: str) -> Schedule:
    """The schedule in a stored text. What it works out of its days, which takes time, stays with it."""
    return schedule_of(_published(body))

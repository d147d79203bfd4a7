"""All that booking knows about a room's member and provider, read with one statement: coverage, lots, debts, schedule, active
room, and what is taken of their time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Final

import asyncpg
import msgspec
from makegood_calendar.hours import Span
from makegood_calendar.published import schedule_of
from makegood_calendar.slot_rules import Schedule
from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.statements import Statement
from makegood_contracts.events import Modality, PlanKind, SchedulePublished
from makegood_plans.coverage import CoveragePeriod
from makegood_plans.plans import Money, Plan
from makegood_plans.published import PublishedEnrolment, PublishedLot, coverage_periods

from makegood_booking.domain.bookability import TakenTime
from makegood_booking.domain.rooms import Room
from makegood_booking.store.calendars import TAKEN, taken_time
from makegood_booking.store.rooms import ROOM_COLUMNS, read_rooms, room_of

# A session's first hold is on its own row. Everything that happened to a credit since then is a movement.
_DATA: Final = Statement(f"""
SELECT {", ".join(f"rooms.{each.name}" for each in ROOM_COLUMNS)},
    (SELECT max(last_activity_at) FROM rooms AS other WHERE member_id = rooms.member_id) AS active_at,
    (SELECT json_agg(e)::text FROM enrolments AS e WHERE member_id = rooms.member_id) AS enrolments,
    (SELECT json_agg(l)::text FROM (
        SELECT lot_id AS id, sum(amount)::int AS available, max(length_minutes) AS length_minutes,
               (array_agg(expires_at ORDER BY sequence DESC) FILTER (WHERE tells))[1] AS expires_at,
               max(made_for_minutes) AS made_for_minutes
        FROM (SELECT lot_id, amount, sequence, tells, length_minutes, expires_at, made_for_minutes
              FROM credit_movements WHERE member_id = rooms.member_id
              UNION ALL
              SELECT lot_id, -1, 0, false, NULL, NULL, NULL
              FROM sessions WHERE member_id = rooms.member_id AND lot_id IS NOT NULL) AS moved
        GROUP BY lot_id HAVING sum(amount) > 0) AS l) AS lots,
    EXISTS (SELECT FROM overdue_invoices WHERE member_id = rooms.member_id AND owed) AS owes,
    (SELECT body::text FROM provider_schedules WHERE provider_id = rooms.provider_id) AS schedule,
    (SELECT id::text FROM rooms AS shared
     WHERE member_id = rooms.member_id AND provider_id = rooms.provider_id AND status = 'active') AS active_room_id,
    taken.*
FROM rooms CROSS JOIN LATERAL (
    SELECT array_agg(whose) AS whose, array_agg(opens) AS opens, array_agg(closes) AS closes
    FROM ({TAKEN.format(provider="rooms.provider_id", member="rooms.member_id")}) AS taken) AS taken
WHERE rooms.id = :room_id
""")  # noqa: S608 (constants)


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
    """What booking knows about a room's member and provider."""

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
    taken: TakenTime
    """What touches the time that was asked about."""


class StoredData:
    """A room, and what is stored about its two people, which need not be valid."""

    __slots__ = ("_row", "active_at", "room", "within")

    def __init__(self, room: Room, active_at: datetime, row: Row | Exception, within: Span) -> None:
        """`row`: of `_DATA`, or why it could not be read."""
        self.room = room
        self.active_at = active_at
        """When its member was last active, in any room."""
        self._row = row
        self.within = within
        """The time for which it includes what is taken."""

    def understood(self) -> BookabilityData:
        """Raises an error for data that is not valid, or could not be read."""
        row = self._row
        if isinstance(row, Exception):
            raise row
        enrolments, lots, schedule = row["enrolments"], row["lots"], row["schedule"]
        return BookabilityData(
            coverage_periods([each.published for each in _enrolments(enrolments)]) if enrolments else [],
            _lots(lots) if lots else [],
            row["owes"],
            None if schedule is None else _schedule(schedule),
            row["active_room_id"],
            TakenTime()
            if row["whose"] is None
            else taken_time(zip(row["whose"], row["opens"], row["closes"], strict=True)),
        )


async def read_bookability_data(
    queries: Queries, room_id: str, now: datetime, within: Span | None = None
) -> StoredData | None:
    """What is stored about a room and its two people. None if there is no such room. `within`: the time for which it
    includes what is taken.
    """
    start, end = within or (None, None)
    try:
        row = await queries.fetch_one(_DATA(room_id=room_id, start=start, end=end, now=now))
    except asyncpg.PostgresError as error:
        if isinstance(queries, UnitOfWork):  # nothing more can be read in its transaction
            raise
        place = (await read_rooms(queries, [room_id])).get(room_id)
        return None if place is None else StoredData(place.room, place.active_at, error, (now, now))
    return None if row is None else StoredData(room_of(row), row["active_at"], row, within or (now, now))


@lru_cache(maxsize=1024)
def _schedule(body: str) -> Schedule:
    """The schedule in a stored text. What it works out of its days, which takes time, stays with it."""
    return schedule_of(_published(body))

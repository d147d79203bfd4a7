"""A copy of credits' enrolments, movements and overdue invoices. Each event counts once, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from makegood_chassis.database import Queries, UnitOfWork, column
from makegood_contracts.envelope import Received
from makegood_contracts.events import MemberEnrolled, Modality, PlanKind
from makegood_contracts.events.ledger import InvoiceFact
from makegood_plans.coverage import CoveragePeriod
from makegood_plans.plans import Money, Plan
from makegood_plans.published import PublishedEnrolment, PublishedLot, coverage_periods
from msgspec import convert, to_builtins

_ENROL = """
INSERT INTO enrolments AS known (id, member_id, plan_id, plan_kind, starts_on, ends_on, time_zone, lengths,
    psychiatry_lengths, modalities, live_credits, purchasable, sequence, months, co_pay)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (id) DO UPDATE SET ends_on = excluded.ends_on, lengths = excluded.lengths,
    psychiatry_lengths = excluded.psychiatry_lengths, modalities = excluded.modalities,
    live_credits = excluded.live_credits, purchasable = excluded.purchasable, sequence = excluded.sequence,
    months = excluded.months, co_pay = excluded.co_pay
WHERE known.sequence < excluded.sequence
"""
_ENROLMENTS = """
SELECT plan_id, plan_kind, lengths, modalities, live_credits, months, psychiatry_lengths, purchasable, co_pay, starts_on,
    ends_on, time_zone, sequence
FROM enrolments WHERE member_id = $1
"""
_MOVE = """
INSERT INTO credit_movements (id, member_id, lot_id, amount, sequence, tells, length_minutes, expires_at, made_for_minutes)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::bigint[], $6::bool[], $7::int[], $8::timestamptz[],
                     $9::int[])
ON CONFLICT (id) DO NOTHING
"""
# The hold that each session began with is on its row; whatever happened to a credit since is a movement.
_LOTS = """
SELECT moved.lot_id::text, moved.amount - coalesce(begun.holds, 0) AS available, moved.length_minutes, moved.expires_at,
       moved.made_for_minutes
FROM (SELECT lot_id, sum(amount)::int AS amount, max(length_minutes) AS length_minutes,
             max(made_for_minutes) AS made_for_minutes,
             (array_agg(expires_at ORDER BY sequence DESC) FILTER (WHERE tells))[1] AS expires_at
      FROM credit_movements WHERE member_id = $1 GROUP BY lot_id) AS moved
LEFT JOIN (SELECT lot_id, count(*)::int AS holds FROM sessions
           WHERE member_id = $1 AND lot_id IS NOT NULL GROUP BY lot_id) AS begun USING (lot_id)
WHERE moved.amount > coalesce(begun.holds, 0)
"""
_OVERDUE = """
INSERT INTO overdue_invoices AS known (id, member_id, owed, sequence)
SELECT DISTINCT ON (id) id, member_id, $4, sequence FROM unnest($1::uuid[], $2::text[], $3::bigint[])
    AS told (id, member_id, sequence) ORDER BY id, sequence DESC
ON CONFLICT (id) DO UPDATE SET owed = excluded.owed, sequence = excluded.sequence WHERE known.sequence < excluded.sequence
"""


@dataclass(frozen=True, slots=True)
class Movement:
    """What an event does to a lot: `amount` credits more, or fewer. `tells`: it says when the lot lapses."""

    id: str
    member_id: str
    lot_id: str
    amount: int
    sequence: int
    tells: bool = False
    length_minutes: int | None = None
    expires_at: datetime | None = None
    made_for_minutes: int | None = None


async def enrol(unit: UnitOfWork, received: Received[MemberEnrolled]) -> None:
    """Keeps the enrolment as it stands after the event, unless a later one was heard of before."""
    event = received.event
    await unit.execute(
        _ENROL,
        event.enrolment_id,
        event.member_id,
        event.plan_id,
        event.plan_kind,
        event.starts_on,
        event.ends_on,
        event.time_zone,
        event.lengths,
        event.psychiatry_lengths,
        event.modalities,
        event.live_credits,
        event.purchasable,
        received.sequence,
        event.period_months,
        None if event.co_pay is None else to_builtins(event.co_pay),
    )


async def read_coverage(queries: Queries, member_id: str) -> list[CoveragePeriod]:
    """When which plan covers the member, in the order of time; also what is over."""
    return coverage_periods([_enrolment(*row) for row in await queries.fetch(_ENROLMENTS, member_id)])


def _enrolment(
    plan_id: str,
    plan_kind: PlanKind,
    lengths: list[int],
    modalities: list[Modality],
    live_credits: int | None,
    months: int | None,
    psychiatry_lengths: list[int],
    purchasable: bool,
    co_pay: object,
    *published: Any,
) -> PublishedEnrolment:
    plan = Plan(
        plan_id,
        plan_kind,
        tuple(lengths),
        tuple(modalities),
        live_credits,
        months,
        tuple(psychiatry_lengths),
        purchasable,
        None if co_pay is None else convert(co_pay, Money),
    )
    return PublishedEnrolment(plan, *published)


async def move_credits(unit: UnitOfWork, movements: Sequence[Movement]) -> None:
    """Keeps the movements; one that is known already is left as it is."""
    await unit.execute(
        _MOVE,
        *(
            column(movements, name)
            for name in (
                "id", "member_id", "lot_id", "amount", "sequence", "tells", "length_minutes", "expires_at",
                "made_for_minutes",
            )
        ),
    )  # fmt: skip


async def read_lots(queries: Queries, member_id: str) -> list[PublishedLot]:
    """The member's lots with credits left, also those that have lapsed without being told so yet."""
    return [PublishedLot(*row) for row in await queries.fetch(_LOTS, member_id)]


async def mark_invoices(unit: UnitOfWork, told: Sequence[Received[InvoiceFact]], owed: bool) -> None:
    """These invoices are overdue, or not any more, unless a later word on them was heard before."""
    await unit.execute(
        _OVERDUE,
        [received.event.invoice_id for received in told],
        [received.event.member_id for received in told],
        [received.sequence for received in told],
        owed,
    )


async def owes(queries: Queries, member_id: str) -> bool:
    """Whether an invoice of the member is overdue (BOOK-7)."""
    return bool(
        await queries.fetch_value(
            "SELECT EXISTS (SELECT FROM overdue_invoices WHERE member_id = $1 AND owed)", member_id
        )
    )

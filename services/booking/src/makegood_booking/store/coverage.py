"""A copy of credits' enrolments, movements and overdue invoices. Each event counts once, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.statements import Statement, arrays, batch
from makegood_contracts.envelope import Received
from makegood_contracts.events import MemberEnrolled
from makegood_contracts.events.ledger import InvoiceFact
from makegood_plans.coverage import CoveragePeriod
from makegood_plans.plans import Money, Plan
from makegood_plans.published import PublishedEnrolment, coverage_periods
from msgspec import convert, structs, to_builtins
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from makegood_booking.store.tables import credit_movements, enrolments, overdue_invoices, upsert

_ENROL: Final = upsert(
    enrolments, "sequence", never_changed=("member_id", "plan_id", "plan_kind", "starts_on", "time_zone")
)
_ENROLMENTS: Final = Statement(
    select(*(each for each in enrolments.c if each.name not in ("id", "member_id"))).where(
        enrolments.c.member_id == bindparam("member_id")
    )
)
_MOVE: Final = Statement(
    insert(credit_movements)
    .from_select(credit_movements.c.keys(), select(batch("new", credit_movements.c)))
    .on_conflict_do_nothing(index_elements=[credit_movements.c.id])
)
_I: Final = overdue_invoices.c
_TOLD: Final = batch("told", (_I.id, _I.member_id, _I.sequence))
_LATEST: Final = (
    select(_TOLD.c.id, _TOLD.c.member_id, bindparam("owed", type_=_I.owed.type), _TOLD.c.sequence)
    .ext(distinct_on(_TOLD.c.id))
    .order_by(_TOLD.c.id, _TOLD.c.sequence.desc())
)
_OVERDUE: Final = upsert(overdue_invoices, "sequence", never_changed=("member_id",), rows=_LATEST)


@dataclass(frozen=True, slots=True)
class Movement:
    """What an event does to a lot: `amount` credits more, or fewer. `tells`: the event says when the lot lapses."""

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
    """Saves the enrolment after the event, unless a later event arrived before."""
    event = received.event
    values = structs.asdict(event) | {
        "id": event.enrolment_id,
        "months": event.period_months,
        "co_pay": to_builtins(event.co_pay),
        "sequence": received.sequence,
    }
    await unit.execute(_ENROL(**{each.name: values[each.name] for each in enrolments.c}))


async def read_coverage(queries: Queries, member_id: str) -> list[CoveragePeriod]:
    """Which plan covers the member when, ordered by time. Includes the past."""
    return coverage_periods([_enrolment(row) for row in await queries.fetch(_ENROLMENTS(member_id=member_id))])


def _enrolment(row: Row) -> PublishedEnrolment:
    plan = Plan(
        id=row["plan_id"],
        kind=row["plan_kind"],
        lengths=tuple(row["lengths"]),
        modalities=tuple(row["modalities"]),
        live_credits=row["live_credits"],
        months=row["months"],
        psychiatry_lengths=tuple(row["psychiatry_lengths"]),
        purchasable=row["purchasable"],
        co_pay=convert(row["co_pay"], Money | None),
    )
    return PublishedEnrolment(plan, row["starts_on"], row["ends_on"], row["time_zone"], row["sequence"])


def move_credits(unit: UnitOfWork, movements: Sequence[Movement]) -> None:
    """Saves the movements. One that is already known stays unchanged."""
    unit.defer(_MOVE(**arrays(credit_movements.c, movements)))


async def mark_invoices(unit: UnitOfWork, told: Sequence[Received[InvoiceFact]], owed: bool) -> None:
    """Marks these invoices as overdue, or as no longer overdue, unless a later event about them arrived before."""
    await unit.execute(
        _OVERDUE(
            id=[received.event.invoice_id for received in told],
            member_id=[received.event.member_id for received in told],
            sequence=[received.sequence for received in told],
            owed=owed,
        )
    )

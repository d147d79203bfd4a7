"""CRED-7, EXT-1, MISS-3: charges from pending to paid, void or overdue, on a real database."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from makegood_contracts.events import (
    CreditHeld,
    CreditRefused,
    InvoiceIssued,
    InvoiceOverdue,
    InvoiceVoided,
    InvoiceWish,
    SessionRequested,
)

from .credit_building import NOW
from .credit_world import World, cancelled, completed, extended, missed, no_show, requested, reserved

WISH = InvoiceWish(amount_minor=1200, currency="EUR", due_on=date(2026, 11, 30))
LATER = datetime(2026, 12, 20, 9, tzinfo=UTC)


async def booked(world: World, plan_id: str = "insurance-copay") -> SessionRequested:
    await world.enrol(plan_id=plan_id)
    asked = requested()
    await world.send(asked)
    await world.send(reserved(asked))
    return asked


@pytest.mark.rule("EXT-1", "CRED-7")
async def test_an_extension_is_charged_once_and_told(world: World) -> None:
    asked = await booked(world, "eap-6")
    event = extended(asked, WISH)
    await world.send(event, extended(asked, None))
    await world.send(event)
    (told,) = await world.heard(InvoiceIssued)
    assert (told.about, told.amount_minor, told.currency, told.due_on) == ("extension", 1200, "EUR", WISH.due_on)
    assert await world.invoices(asked.session_id) == ["issued"]


@pytest.mark.rule("CRED-7", "BOOK-7")
async def test_a_charge_that_is_not_paid_in_time_is_overdue_and_blocks_booking(world: World) -> None:
    asked = await booked(world, "eap-6")
    await world.send(extended(asked, WISH))
    await world.move_to(datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))
    assert await world.invoices(asked.session_id) == ["issued"]
    await world.send(requested(starts_at=LATER, hold_until=LATER))
    assert len(await world.heard(CreditHeld)) == 2
    await world.move_to(datetime(2026, 12, 1, tzinfo=UTC))
    (late,) = await world.heard(InvoiceOverdue)
    assert (late.amount_minor, late.due_on) == (1200, WISH.due_on)
    await world.send(requested(starts_at=LATER, hold_until=LATER, length=60))
    (refused,) = await world.heard(CreditRefused)
    assert [each.code for each in refused.reasons] == ["length-not-in-plan", "outstanding-charges"]
    assert await world.imbalances() == []


@pytest.mark.rule("CRED-7", "BOOK-7")
async def test_the_day_a_co_pay_is_due_ends_in_the_members_own_zone(world: World) -> None:
    await world.enrol(plan_id="insurance-copay", time_zone="America/Los_Angeles")
    asked = requested(starts_at=datetime(2026, 11, 26, 5, tzinfo=UTC))
    await world.send(asked)
    await world.send(completed(asked))
    await world.move_to(datetime(2026, 12, 10, 7, 59, tzinfo=UTC))
    assert await world.invoice(asked.session_id) == "issued"
    await world.move_to(datetime(2026, 12, 10, 8, tzinfo=UTC))
    assert await world.invoice(asked.session_id) == "overdue"


@pytest.mark.rule("NOSH-1", "CRED-7")
async def test_after_a_no_show_everything_stays_due(world: World) -> None:
    asked = await booked(world)
    await world.send(extended(asked, WISH))
    await world.send(no_show(asked))
    assert await world.invoices(asked.session_id) == ["issued", "issued"]
    assert await world.heard(InvoiceVoided) == []


@pytest.mark.rule("MISS-3", "CRED-7")
async def test_a_missed_session_voids_what_is_not_paid_of_it_also_what_is_overdue(world: World) -> None:
    asked = await booked(world)
    early = InvoiceWish(amount_minor=500, currency="USD", due_on=date(2026, 11, 23))
    await world.send(extended(asked, WISH), extended(asked, early))
    await world.move_to(datetime(2026, 11, 24, tzinfo=UTC))
    assert await world.invoices(asked.session_id) == ["pending", "issued", "overdue"]
    await world.send(missed(asked), missed(asked))
    assert await world.invoices(asked.session_id) == ["void", "void", "void"]
    voided = await world.heard(InvoiceVoided)
    assert sorted((each.amount_minor, each.was_due) for each in voided) == [(500, True), (1200, True), (2500, False)]
    assert {each.cause for each in voided} == {"provider_missed"}
    await world.send(requested(starts_at=LATER, hold_until=LATER))
    assert await world.heard(CreditRefused) == [], "nothing is owed any more"
    assert await world.imbalances() == []


@pytest.mark.rule("CANC-1", "CRED-7")
@pytest.mark.parametrize(("forfeits", "status"), [(False, "void"), (True, "issued")])
async def test_an_extension_of_a_cancelled_session_is_due_only_where_the_credit_is_lost(
    world: World, forfeits: bool, status: str
) -> None:
    asked = await booked(world, "eap-6")
    await world.send(extended(asked, WISH))
    await world.send(cancelled(asked, forfeits=forfeits))
    assert await world.invoices(asked.session_id) == [status]


@pytest.mark.rule("CRED-7")
async def test_an_overdue_charge_does_not_fall_overdue_twice(world: World) -> None:
    asked = await booked(world, "eap-6")
    await world.send(extended(asked, WISH))
    await world.move_to(LATER)
    async with world.database.reading() as queries:
        await queries.execute(
            "INSERT INTO deadlines (kind, entity_id, due_at) SELECT 'invoice-overdue', id::text, $1 FROM invoices", NOW
        )
    await world.move_to(LATER)
    assert len(await world.heard(InvoiceOverdue)) == 1
    assert await world.imbalances() == []

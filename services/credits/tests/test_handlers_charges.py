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
from .credits_harness import CreditsHarness, cancelled, completed, extended, missed, no_show, requested, reserved

WISH = InvoiceWish(amount_minor=1200, currency="EUR", due_on=date(2026, 11, 30))
LATER = datetime(2026, 12, 20, 9, tzinfo=UTC)


async def booked(harness: CreditsHarness, plan_id: str = "insurance-copay") -> SessionRequested:
    await harness.enrol(plan_id=plan_id)
    asked = requested()
    await harness.handle(asked)
    await harness.handle(reserved(asked))
    return asked


@pytest.mark.rule("EXT-1", "CRED-7")
async def test_an_extension_is_charged_once_and_told(harness: CreditsHarness) -> None:
    asked = await booked(harness, "eap-6")
    event = extended(asked, WISH)
    await harness.handle(event, extended(asked, None))
    await harness.handle(event)
    (told,) = await harness.published(InvoiceIssued)
    assert (told.about, told.amount_minor, told.currency, told.due_on) == ("extension", 1200, "EUR", WISH.due_on)
    assert await harness.invoices(asked.session_id) == ["issued"]


@pytest.mark.rule("CRED-7", "BOOK-7")
async def test_a_charge_that_is_not_paid_in_time_is_overdue_and_blocks_booking(harness: CreditsHarness) -> None:
    asked = await booked(harness, "eap-6")
    await harness.handle(extended(asked, WISH))
    await harness.move_to(datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))
    assert await harness.invoices(asked.session_id) == ["issued"]
    await harness.handle(requested(starts_at=LATER, hold_until=LATER))
    assert len(await harness.published(CreditHeld)) == 2
    await harness.move_to(datetime(2026, 12, 1, tzinfo=UTC))
    (late,) = await harness.published(InvoiceOverdue)
    assert (late.amount_minor, late.due_on) == (1200, WISH.due_on)
    await harness.handle(requested(starts_at=LATER, hold_until=LATER, length=60))
    (refused,) = await harness.published(CreditRefused)
    assert [each.code for each in refused.reasons] == ["length-not-in-plan", "outstanding-charges"]
    assert await harness.imbalances() == []


@pytest.mark.rule("CRED-7", "BOOK-7")
async def test_the_day_a_co_pay_is_due_ends_in_the_members_own_zone(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="insurance-copay", time_zone="America/Los_Angeles")
    asked = requested(starts_at=datetime(2026, 11, 26, 5, tzinfo=UTC))
    await harness.handle(asked)
    await harness.handle(completed(asked))
    await harness.move_to(datetime(2026, 12, 10, 7, 59, tzinfo=UTC))
    assert await harness.invoice(asked.session_id) == "issued"
    await harness.move_to(datetime(2026, 12, 10, 8, tzinfo=UTC))
    assert await harness.invoice(asked.session_id) == "overdue"


@pytest.mark.rule("NOSH-1", "CRED-7")
async def test_after_a_no_show_everything_stays_due(harness: CreditsHarness) -> None:
    asked = await booked(harness)
    await harness.handle(extended(asked, WISH))
    await harness.handle(no_show(asked))
    assert await harness.invoices(asked.session_id) == ["issued", "issued"]
    assert await harness.published(InvoiceVoided) == []


@pytest.mark.rule("MISS-3", "CRED-7")
async def test_a_missed_session_voids_what_is_not_paid_of_it_also_what_is_overdue(harness: CreditsHarness) -> None:
    asked = await booked(harness)
    early = InvoiceWish(amount_minor=500, currency="USD", due_on=date(2026, 11, 23))
    await harness.handle(extended(asked, WISH), extended(asked, early))
    await harness.move_to(datetime(2026, 11, 24, tzinfo=UTC))
    assert await harness.invoices(asked.session_id) == ["pending", "issued", "overdue"]
    await harness.handle(missed(asked), missed(asked))
    assert await harness.invoices(asked.session_id) == ["void", "void", "void"]
    voided = await harness.published(InvoiceVoided)
    assert sorted((each.amount_minor, each.was_due) for each in voided) == [(500, True), (1200, True), (2500, False)]
    assert {each.cause for each in voided} == {"provider_missed"}
    await harness.handle(requested(starts_at=LATER, hold_until=LATER))
    assert await harness.published(CreditRefused) == [], "nothing is owed any more"
    assert await harness.imbalances() == []


@pytest.mark.rule("CANC-1", "CRED-7")
@pytest.mark.parametrize(("forfeits", "status"), [(False, "void"), (True, "issued")])
async def test_an_extension_of_a_cancelled_session_is_due_only_where_the_credit_is_lost(
    harness: CreditsHarness, forfeits: bool, status: str
) -> None:
    asked = await booked(harness, "eap-6")
    await harness.handle(extended(asked, WISH))
    await harness.handle(cancelled(asked, forfeits=forfeits))
    assert await harness.invoices(asked.session_id) == [status]


@pytest.mark.rule("CRED-7")
async def test_an_overdue_charge_does_not_fall_overdue_twice(harness: CreditsHarness) -> None:
    asked = await booked(harness, "eap-6")
    await harness.handle(extended(asked, WISH))
    await harness.move_to(LATER)
    async with harness.database.reading() as queries:
        await queries.execute(
            "INSERT INTO deadlines (kind, entity_id, due_at) SELECT 'invoice-overdue', id::text, $1 FROM invoices", NOW
        )
    await harness.move_to(LATER)
    assert len(await harness.published(InvoiceOverdue)) == 1
    assert await harness.imbalances() == []

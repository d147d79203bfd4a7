"""MISS-5: corrected outcomes, every old with every new one, credit and co-pay; by new entries, never below zero."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, permutations
from typing import Any, get_args

import asyncpg
import pytest
from makegood_chassis.refusals import RuleRefused
from makegood_contracts.events import (
    CreditCorrected,
    CreditReturned,
    InvoiceIssued,
    InvoiceVoided,
    InvoiceWish,
    SessionOutcome,
    SessionRequested,
)
from makegood_credits.domain.correcting import IMPLIED
from makegood_credits.handlers.commands import Adjustment, return_to_member
from makegood_testkit.service import CAUSE

from .credit_building import NOW
from .credits_harness import CreditsHarness, completed, corrected, extended, missed, no_show, requested, reserved

OUTCOMES: tuple[SessionOutcome, ...] = get_args(SessionOutcome)
EVENTS: dict[SessionOutcome, Any] = {"completed": completed, "provider_missed": missed, "member_no_show": no_show}
PAIRS = list(permutations(OUTCOMES, 2))
LEFT = {"spent": 5, "forfeited": 5, "returned": 6}


async def ended(harness: CreditsHarness, outcome: SessionOutcome, plan_id: str = "eap-6") -> SessionRequested:
    await harness.enrol(plan_id=plan_id)
    asked = requested()
    await harness.handle(asked)
    await harness.handle(reserved(asked))
    await harness.handle(EVENTS[outcome](asked))
    return asked


async def by_hand(harness: CreditsHarness, asked: SessionRequested) -> Any:
    async with harness.database.transaction(CAUSE) as unit:
        return await return_to_member(unit, asked.member_id, asked.session_id, reason="Our fault", made_by="support-1")


@pytest.mark.rule("MISS-5", "CRED-1")
@pytest.mark.parametrize(("old", "new"), PAIRS)
async def test_a_credit_follows_the_corrected_outcome(
    harness: CreditsHarness, old: SessionOutcome, new: SessionOutcome
) -> None:
    asked = await ended(harness, old)
    entries = await harness.ledger()
    await harness.handle(corrected(asked, old, new), corrected(asked, old, new))
    state = IMPLIED[new]
    assert await harness.state(asked.session_id) == state
    assert await harness.balance() == (LEFT[state], 0)
    grown = await harness.ledger()
    assert (grown[: len(entries)], len(grown)) == (entries, len(entries) + 1)
    if state == "returned":
        (*_, told) = await harness.published(CreditReturned)
        assert (told.cause, grown[-1][0]) == ("corrected", "return")
    else:
        (fixed,) = await harness.published(CreditCorrected)
        assert (fixed.state, fixed.session_id, grown[-1][0]) == (state, asked.session_id, "adjust")
        assert fixed.amount == (-1 if IMPLIED[old] == "returned" else 0)
        assert fixed.available_after == LEFT[state]
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-3", "MISS-5")
async def test_a_no_show_that_costs_nothing_is_corrected_like_a_miss(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="eap-6")
    asked = requested()
    await harness.handle(asked)
    await harness.handle(reserved(asked))
    await harness.handle(no_show(asked, forfeits=False))
    assert (await harness.state(asked.session_id), await harness.balance()) == ("returned", (6, 0))
    steps: list[tuple[SessionOutcome, str]] = [
        ("completed", "spent"), ("member_no_show", "returned"), ("provider_missed", "returned"), ("completed", "spent")
    ]  # fmt: skip
    current: SessionOutcome = "member_no_show"
    for outcome, state in steps:
        await harness.handle(corrected(asked, current, outcome, no_show_forfeits=False))
        current = outcome
        assert (await harness.state(asked.session_id), await harness.balance()) == (state, (LEFT[state], 0))
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-5", "CRED-1")
async def test_corrections_that_go_to_and_fro_leave_one_return_and_the_right_balance(harness: CreditsHarness) -> None:
    asked = await ended(harness, "provider_missed")
    current: SessionOutcome = "provider_missed"
    for new in ("completed", "provider_missed", "member_no_show", "provider_missed", "completed", "member_no_show"):
        await harness.handle(corrected(asked, current, new))
        current = new
        assert await harness.balance() == (LEFT[IMPLIED[current]], 0)
        assert await harness.imbalances() == []
    assert [kind for kind, _ in await harness.ledger()].count("return") == 1
    assert [each.state for each in await harness.published(CreditCorrected)] == [
        "spent", "returned", "forfeited", "returned", "spent", "forfeited",
    ]  # fmt: skip
    with pytest.raises(RuleRefused, match="credit-already-returned"):  # once for a session, whoever returns it
        await by_hand(harness, asked)


@pytest.mark.rule("MISS-5", "CRED-1")
async def test_a_returned_credit_that_was_used_meanwhile_stays_returned(harness: CreditsHarness) -> None:
    asked = await ended(harness, "provider_missed")
    await harness.handle(*(requested() for _ in range(6)))
    assert await harness.balance() == (0, 6)
    await harness.handle(corrected(asked, "provider_missed", "completed"))
    assert await harness.balance() == (0, 6)
    assert await harness.state(asked.session_id) == "returned"
    assert await harness.published(CreditCorrected) == []


@pytest.mark.rule("MISS-5", "MISS-2")
async def test_a_make_good_credit_is_the_one_that_is_taken_back(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    asked = requested(length=30)
    await harness.handle(asked)
    await harness.handle(reserved(asked))
    harness.clock.moment = missed(asked).missed_at
    await harness.handle(missed(asked))
    (told,) = await harness.published(CreditReturned)
    await harness.handle(corrected(asked, "provider_missed", "member_no_show"))
    (taken,) = await harness.published(CreditCorrected)
    assert (taken.lot_id, taken.source, taken.amount) == (told.lot_id, "make_good", -1)
    assert await harness.balance() == (3, 0)
    await harness.move_to(datetime(2026, 12, 2, tzinfo=UTC))
    await harness.handle(corrected(asked, "member_no_show", "provider_missed"))
    (*_, given) = await harness.published(CreditCorrected)
    assert (given.amount, given.state) == (1, "returned")
    assert given.expires_at == harness.clock.moment + timedelta(days=30), "the lot had lapsed: thirty days anew"
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-5")
async def test_what_support_gave_back_by_hand_stays_whatever_the_outcome(harness: CreditsHarness) -> None:
    asked = await ended(harness, "member_no_show")
    assert isinstance(await by_hand(harness, asked), Adjustment)
    outcomes: list[SessionOutcome] = ["member_no_show", "completed", "provider_missed", "completed", "provider_missed"]
    for old, new in pairwise([*outcomes, "member_no_show"]):
        await harness.handle(corrected(asked, old, new))
        assert await harness.balance() == (6, 0)
    assert await harness.published(CreditCorrected) == []
    assert len(await harness.published(CreditReturned)) == 1


@pytest.mark.rule("MISS-5", "PLAN-1", "MISS-2")
@pytest.mark.parametrize("how", ["by hand", "corrected"])
async def test_what_comes_back_of_a_used_up_lot_whose_coverage_ended_is_good_for_thirty_days(
    harness: CreditsHarness, how: str
) -> None:
    await harness.enrol()
    asked = [requested() for _ in range(6)]
    await harness.handle(*asked)
    await harness.handle(*(reserved(each) for each in asked))
    await harness.handle(*(no_show(each) for each in asked))
    await harness.enrol(plan_id="insurance-copay", starts_on=NOW.date())
    if how == "by hand":
        assert isinstance(await by_hand(harness, asked[0]), Adjustment)
    else:
        await harness.handle(corrected(asked[0], "member_no_show", "provider_missed"))
    (told,) = await harness.published(CreditReturned)
    assert (told.source, told.expires_at) == ("make_good", harness.clock.moment + timedelta(days=30))
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-5", "PLAN-1")
async def test_what_comes_back_of_a_used_up_lot_whose_coverage_was_prolonged_stands_as_long(
    harness: CreditsHarness,
) -> None:
    await harness.enrol(ends_on=date(2026, 12, 10))
    asked = [requested() for _ in range(6)]
    await harness.handle(*asked)
    await harness.handle(*(reserved(each) for each in asked))
    await harness.handle(*(no_show(each) for each in asked))
    await harness.enrol(ends_on=date(2027, 12, 31))
    assert isinstance(await by_hand(harness, asked[0]), Adjustment)
    (told,) = await harness.published(CreditReturned)
    assert (told.source, told.expires_at) == ("plan", datetime(2028, 1, 1, tzinfo=UTC))


@pytest.mark.rule("MISS-5", "MISS-3", "NOSH-1")
@pytest.mark.parametrize(("old", "new"), PAIRS)
async def test_a_co_pay_follows_the_corrected_outcome(
    harness: CreditsHarness, old: SessionOutcome, new: SessionOutcome
) -> None:
    asked = await ended(harness, old, "insurance-copay")
    voided, issued = len(await harness.published(InvoiceVoided)), len(await harness.published(InvoiceIssued))
    await harness.handle(corrected(asked, old, new), corrected(asked, old, new))
    status = "void" if new == "provider_missed" else "issued"
    assert await harness.invoice(asked.session_id) == status
    assert len(await harness.published(InvoiceVoided)) - voided == (new == "provider_missed")
    assert len(await harness.published(InvoiceIssued)) - issued == (old == "provider_missed")
    if old == "provider_missed":
        assert (await harness.published(InvoiceIssued))[-1].due_on == date(2026, 12, 10), "two weeks after the session"
    if new == "provider_missed":
        assert (await harness.published(InvoiceVoided))[-1].was_due
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-5", "CRED-7")
async def test_an_overdue_charge_of_a_session_that_the_provider_missed_after_all_is_void(
    harness: CreditsHarness,
) -> None:
    asked = await ended(harness, "completed", "insurance-copay")
    invoice = InvoiceWish(amount_minor=900, currency="USD", due_on=date(2026, 11, 25))
    await harness.handle(extended(asked, invoice))
    await harness.move_to(NOW + timedelta(days=19))
    assert await harness.invoices(asked.session_id) == ["overdue", "overdue"]
    await harness.handle(corrected(asked, "completed", "provider_missed"))
    assert await harness.invoices(asked.session_id) == ["void", "void"]
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-5", "EXT-1", "MISS-3")
@pytest.mark.parametrize("plan_id", ["insurance-copay", "eap-6"])
@pytest.mark.parametrize("outcome", ["completed", "member_no_show"])
async def test_an_extension_of_a_session_that_was_not_missed_after_all_is_due_again(
    harness: CreditsHarness, plan_id: str, outcome: SessionOutcome
) -> None:
    await harness.enrol(plan_id=plan_id)
    asked = requested()
    await harness.handle(asked, reserved(asked))
    invoice = InvoiceWish(amount_minor=900, currency="USD", due_on=date(2026, 11, 25))
    await harness.handle(extended(asked, invoice))
    await harness.handle(missed(asked))
    assert set(await harness.invoices(asked.session_id)) == {"void"}
    await harness.handle(corrected(asked, "provider_missed", outcome), corrected(asked, "provider_missed", outcome))
    assert set(await harness.invoices(asked.session_id)) == {"issued"}
    told = [each for each in await harness.published(InvoiceIssued) if each.about == "extension"]
    assert [each.due_on for each in told] == [date(2026, 11, 25), date(2026, 12, 7)], "two weeks to pay"
    await harness.handle(corrected(asked, outcome, "provider_missed"))
    assert set(await harness.invoices(asked.session_id)) == {"void"}
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-5", "EXT-1")
async def test_a_charge_that_is_due_again_is_never_due_sooner_than_was_said(harness: CreditsHarness) -> None:
    asked = requested()
    await harness.enrol()
    await harness.handle(asked)
    await harness.handle(extended(asked, InvoiceWish(amount_minor=900, currency="USD", due_on=date(2027, 1, 31))))
    await harness.handle(missed(asked))
    await harness.handle(corrected(asked, "provider_missed", "completed"))
    assert [each.due_on for each in await harness.published(InvoiceIssued)] == [date(2027, 1, 31)] * 2


@pytest.mark.rule("MISS-5", "EXT-1")
@pytest.mark.parametrize(("new", "status"), [("member_no_show", "issued"), ("provider_missed", "void")])
async def test_a_credit_that_came_back_by_hand_does_not_void_an_extension(
    harness: CreditsHarness, new: SessionOutcome, status: str
) -> None:
    asked = await ended(harness, "completed")
    await harness.handle(extended(asked, InvoiceWish(amount_minor=900, currency="USD", due_on=date(2026, 11, 25))))
    assert isinstance(await by_hand(harness, asked), Adjustment)
    await harness.handle(corrected(asked, "completed", new))
    assert await harness.invoices(asked.session_id) == [status]
    assert await harness.balance() == (6, 0)


@pytest.mark.rule("MISS-5")
async def test_a_correction_settles_what_was_never_settled_and_leaves_what_was_never_held(
    harness: CreditsHarness,
) -> None:
    await harness.enrol()
    asked = requested()
    await harness.handle(asked)
    await harness.handle(
        corrected(asked, "completed", "provider_missed"), corrected(requested(), "completed", "completed")
    )
    assert await harness.state(asked.session_id) == "returned"
    assert await harness.balance() == (6, 0)


@pytest.mark.rule("MISS-5", "CRED-1")
@pytest.mark.parametrize(
    "columns",
    [
        "'return', 'platform:spent', NULL, 'member:available', credit_lot, hold_id",
        "'adjust', 'platform:spent', NULL, 'member:available', credit_lot, NULL",
        "'adjust', 'member:available', NULL, 'platform:spent', credit_lot, hold_id",
        "'adjust', 'platform:spent', NULL, 'platform:forfeited', NULL, hold_id",
        "'adjust', 'member:held', credit_lot, 'platform:spent', NULL, hold_id",
    ],
)
async def test_the_database_refuses_a_second_return_and_corrections_that_name_nothing(
    harness: CreditsHarness, columns: str
) -> None:
    await ended(harness, "provider_missed")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        async with harness.database.transaction(CAUSE) as unit:
            await unit.execute(
                "INSERT INTO ledger_entries (member_id, number, id, amount, session_id, reason, made_by, made_at, "
                "available_after, held_after, kind, debit_account, debit_lot, credit_account, credit_lot, hold_id) "
                f"SELECT member_id, 99, gen_random_uuid(), 1, session_id, 'r', 'm', made_at, 0, 0, {columns} "
                "FROM ledger_entries WHERE kind = 'return'"
            )

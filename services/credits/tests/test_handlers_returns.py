"""Returns, made-good credits and resumed plans on a real database: what the ledger enters is what people are told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from makegood_contracts.events import (
    CreditAdjusted,
    CreditExpired,
    CreditHeld,
    CreditRefused,
    CreditReturned,
    InvoiceIssued,
    MemberEnrolled,
)
from makegood_credits.domain.settling import MAKE_GOOD
from makegood_credits.handlers.commands import Adjustment, adjust_or_propose
from makegood_testkit.service import CAUSE

from .credit_building import NOW
from .credits_harness import (
    CreditsHarness,
    cancelled,
    completed,
    corrected,
    declined,
    expired,
    funded,
    missed,
    move,
    move_refused,
    moved,
    no_show,
    rejected,
    requested,
    reserved,
)

CANCELS: list[Any] = [
    pytest.param(declined, id="declined"),
    pytest.param(expired, id="expired"),
    pytest.param(missed, id="missed"),
    pytest.param(lambda asked: cancelled(asked, by="provider", at=NOW), id="the provider cancels"),
    pytest.param(lambda asked: cancelled(asked, cause="change_of_provider"), id="change of provider"),
    pytest.param(rejected, id="rejected after all"),
]


async def booked(harness: CreditsHarness, length: int = 30, **other: Any) -> Any:
    asked = requested(length=length, **other)
    await harness.handle(asked)
    await harness.handle(reserved(asked))
    return asked


@pytest.mark.rule("MISS-2")
@pytest.mark.parametrize("ending", CANCELS)
async def test_a_credit_that_comes_back_after_its_plan_was_replaced_stands_for_thirty_days(
    harness: CreditsHarness, ending: Any
) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    asked = await booked(harness)
    await harness.enrol(plan_id="eap-6", starts_on=date(2026, 11, 23))
    await harness.handle(ending(asked))
    assert (await harness.ledger())[-1] == ("return", 1), "and nothing lapses after it"
    (returned,) = await harness.published(CreditReturned)
    assert (returned.source, returned.length_minutes, returned.made_for_minutes) == ("make_good", 30, 30)
    assert returned.expires_at is not None
    assert returned.expires_at >= NOW + MAKE_GOOD
    assert (await harness.balance(), await harness.state(asked.session_id)) == ((7, 0), "returned")
    again = requested(length=30)
    await harness.handle(again)
    held = (await harness.published(CreditHeld))[-1]
    assert (held.session_id, held.lot_id, held.plan_id) == (again.session_id, returned.lot_id, "out-of-pocket-4")
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-4", "CANC-1", "MISS-5")
async def test_a_credit_that_came_back_before_its_plan_was_replaced_stands_for_thirty_days(
    harness: CreditsHarness,
) -> None:
    await harness.enrol(plan_id="eap-6")
    asked = await booked(harness, length=45)
    await harness.handle_now(cancelled(asked, by="provider", at=NOW))
    (returned,) = await harness.published(CreditReturned)
    assert (returned.source, returned.expires_at) == ("plan", None)
    rebooked = await booked(harness, length=45)
    await harness.enrol(plan_id="messaging-only", starts_on=date(2026, 11, 23))
    assert await harness.balance() == (0, 1)
    await harness.handle(cancelled(rebooked, at=NOW))
    made_good = (await harness.published(CreditReturned))[-1]
    assert (made_good.source, made_good.made_for_minutes, made_good.expires_at) == ("make_good", 45, NOW + MAKE_GOOD)
    await harness.enrol(plan_id="eap-6")
    assert await harness.balance() == (6, 0)
    left, arrived = [each for each in await harness.published(CreditAdjusted) if each.session_id == asked.session_id]
    assert (left.lot_id, left.amount, left.made_by) == (made_good.lot_id, -1, "system")
    assert (arrived.lot_id, arrived.amount, arrived.made_for_minutes) == (returned.lot_id, 1, None)
    await harness.enrol(plan_id="messaging-only", starts_on=date(2026, 11, 23))
    set_apart = (await harness.published(CreditAdjusted))[-1]
    assert (set_apart.source, set_apart.made_for_minutes, set_apart.expires_at) == ("make_good", 45, NOW + MAKE_GOOD)
    late = await booked(harness, length=45, starts_at=NOW + timedelta(days=29))
    held = (await harness.published(CreditHeld))[-1]
    assert (held.session_id, held.lot_id, held.plan_id) == (late.session_id, set_apart.lot_id, "eap-6")
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-4", "MISS-5")
async def test_a_miss_that_was_none_takes_the_credit_from_the_lot_that_it_lies_in_by_then(
    harness: CreditsHarness,
) -> None:
    await harness.enrol(plan_id="eap-6")
    asked = await booked(harness, length=45)
    await harness.handle(missed(asked))
    await harness.enrol(plan_id="messaging-only", starts_on=date(2026, 11, 23))
    assert await harness.balance() == (1, 0)
    await harness.handle(corrected(asked, "provider_missed", "completed"))
    assert await harness.balance() == (0, 0)
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-4", "RESC-1")
async def test_a_move_that_did_not_happen_leaves_a_credit_as_good_as_it_was(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="eap-6")
    first, second = await booked(harness, length=45), await booked(harness, length=45)
    await harness.handle_now(cancelled(first, by="provider", at=NOW))
    request = move(second, forfeits=True)
    await harness.handle(request)
    await harness.handle(move_refused(request))
    await harness.enrol(plan_id="messaging-only", starts_on=date(2026, 11, 23))
    assert await harness.balance() == (1, 1)
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-2", "MISS-4")
async def test_a_credit_of_no_plan_is_made_good_once_the_plan_takes_it_no_more(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    for amount, length in ((2, 30), (-4, None)):  # the plan's go first
        async with harness.database.transaction(CAUSE) as unit:
            given = await adjust_or_propose(
                unit, "member-1", amount, length_minutes=length, reason="r", made_by="support"
            )
            assert isinstance(given, Adjustment)
    first, second = await booked(harness), await booked(harness)
    await harness.handle(missed(first))
    assert (await harness.published(CreditReturned))[-1].source == "adjustment", "the plan takes it"
    await harness.enrol(plan_id="eap-6", starts_on=date(2026, 11, 23))
    await harness.handle(missed(second))
    assert (await harness.published(CreditReturned))[-1].source == "make_good"
    await harness.handle(corrected(second, "provider_missed", "completed"))
    await harness.handle(corrected(second, "completed", "provider_missed"))
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-4")
async def test_a_made_good_credit_is_held_after_coverage_has_ended_and_can_be_moved(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="insurance-credits", ends_on=date(2026, 11, 26))
    asked = await booked(harness, length=60)
    await harness.handle(missed(asked))
    await harness.move_to(NOW + timedelta(days=8))
    again = requested(length=60, starts_at=NOW + timedelta(days=10), hold_until=NOW + timedelta(days=9))
    await harness.handle(again)
    await harness.handle(reserved(again))
    held = (await harness.published(CreditHeld))[-1]
    assert (held.session_id, held.funding, held.plan_id) == (again.session_id, "credit", "insurance-credits")
    request = move(again, decide_by=NOW + timedelta(days=9), moved_by="provider")
    await harness.handle(request)
    await harness.handle(moved(request))
    await harness.handle(missed(again))
    assert (await harness.published(CreditReturned))[-1].made_for_minutes == 60, "as often as it takes"
    other = requested(length=45, starts_at=NOW + timedelta(days=10), hold_until=NOW + timedelta(days=9))
    await harness.handle(other)
    assert [reason.code for reason in (await harness.published(CreditRefused))[-1].reasons] == ["coverage-ended"]
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-4", "RESC-1")
async def test_a_credit_is_made_good_for_the_length_that_the_session_was_moved_to(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="insurance-credits")
    for new_starts_at, forfeits in ((NOW + timedelta(days=4), False), (NOW + timedelta(days=4), True)):
        asked = await booked(harness, length=45)
        request = move(asked, new_length_minutes=60, new_starts_at=new_starts_at, forfeits=forfeits)
        await harness.handle(request)
        await harness.handle(funded(request))
        await harness.handle(moved(request))
        await harness.handle(missed(asked))
        assert (await harness.published(CreditReturned))[-1].made_for_minutes == 60
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-2", "RESC-1")
@pytest.mark.parametrize(("by", "source"), [("member", "plan"), ("provider", "make_good")])
async def test_a_move_after_a_change_of_plan_gives_the_credit_back_as_whoever_moved_decides(
    harness: CreditsHarness, by: str, source: str
) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    asked = await booked(harness)
    await harness.enrol(plan_id="eap-6", starts_on=date(2026, 11, 23))
    request = move(asked, new_length_minutes=45, moved_by=by)
    await harness.handle(request)
    await harness.handle(funded(request))
    await harness.handle(moved(request))
    (returned,) = await harness.published(CreditReturned)
    assert (returned.cause, returned.source) == ("moved", source)
    assert await harness.imbalances() == []


@pytest.mark.rule("PLAN-1", "CRED-1")
async def test_a_plan_resumed_on_the_day_it_was_replaced_has_its_credits_and_everybody_is_told(
    harness: CreditsHarness,
) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    await booked(harness)
    for _ in range(2):
        await harness.enrol(plan_id="eap-6", starts_on=date(2026, 11, 23))
        await harness.enrol(plan_id="out-of-pocket-4")
    assert await harness.balance() == (3, 1)
    back = [each for each in await harness.published(CreditAdjusted) if each.made_by == "system"]
    assert [(each.amount, each.source) for each in back] == [(3, "plan"), (6, "plan"), (3, "plan")]
    assert sum(each.amount for each in await harness.published(CreditExpired)) == 3 + 6 + 3 + 6
    assert (await harness.published(MemberEnrolled))[-1].period_months == 1
    await harness.enrol(plan_id="eap-6", starts_on=date(2026, 11, 23))
    harness.clock.moment = NOW + timedelta(days=1)
    await harness.enrol(plan_id="out-of-pocket-4")
    assert await harness.balance() == (0, 1), "a day later it is too late"
    assert await harness.imbalances() == []


@pytest.mark.rule("CRED-7")
@pytest.mark.parametrize("days", [3, 14])
async def test_a_co_pay_is_due_as_the_policy_says_under_which_its_session_was_booked(
    harness: CreditsHarness, days: int
) -> None:
    await harness.enrol(plan_id="insurance-copay")
    asked = await booked(harness, length=45, co_pay_due_days=days)
    late = move(asked, forfeits=True)
    await harness.handle(late)
    await harness.handle(funded(late))
    await harness.handle(moved(late))
    await harness.handle(completed(asked))
    issued = await harness.published(InvoiceIssued)
    due = [asked.ends_at.date() + timedelta(days=days), late.new_ends_at.date() + timedelta(days=days)]
    assert [each.due_on for each in issued] == due


@pytest.mark.rule("CRED-7")
@pytest.mark.parametrize("ending", [completed, no_show])
async def test_news_that_comes_late_leaves_all_the_time_to_pay(harness: CreditsHarness, ending: Any) -> None:
    await harness.enrol(plan_id="insurance-copay")
    asked = await booked(harness, length=45)
    harness.clock.moment = asked.ends_at + timedelta(days=40)
    await harness.handle_now(ending(asked))
    (issued,) = await harness.published(InvoiceIssued)
    assert issued.due_on >= asked.ends_at.date() + timedelta(days=40 + 13)


@pytest.mark.rule("BOOK-4", "CRED-2")
async def test_the_refusal_says_when_the_next_credits_come(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    await harness.handle(requested(length=30, starts_at=datetime(2026, 12, 3, 9, tzinfo=UTC)))
    (refused,) = await harness.published(CreditRefused)
    (reason,) = refused.reasons
    assert (reason.available_from, reason.credits) == (datetime(2026, 12, 1, tzinfo=UTC), 4)

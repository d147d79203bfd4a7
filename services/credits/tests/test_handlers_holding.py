"""Requests for credits, on a real database: in batches, beside each other, again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from makegood_chassis.messaging.handlers import Due, bind
from makegood_contracts.events import CreditHeld, CreditRefused, CreditReturned, InvoiceVoided
from makegood_credits.handlers.deadlines import HOLD_LAPSE
from makegood_credits.handlers.routing import DEADLINES
from makegood_testkit.service import CAUSE, names

from .credit_building import NOW
from .credits_harness import CreditsHarness, expired, missed, rejected, requested, reserved


@pytest.mark.rule("BOOK-1", "CRED-2")
async def test_a_request_is_answered_with_a_hold(harness: CreditsHarness) -> None:
    await harness.enrol()
    asked = requested()
    await harness.handle(asked)
    (held,) = await harness.published(CreditHeld)
    assert (held.session_id, held.funding, held.plan_id, held.available_after) == (
        asked.session_id,
        "credit",
        "eap-6",
        5,
    )
    assert held.lot_id is not None
    assert await harness.balance() == (5, 1)
    assert await harness.state(asked.session_id) == "held"
    (answer,) = [each for each in await harness.records() if isinstance(each.event, CreditHeld)]
    assert (answer.key, answer.sequence, answer.correlation_id) == (asked.session_id, 1, "story")


@pytest.mark.rule("CRED-2")
async def test_a_lot_is_announced_before_a_hold_names_it(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    harness.clock.moment = NOW + timedelta(days=40)  # nobody has granted the next period's credits yet
    await harness.handle(
        requested(starts_at=NOW + timedelta(days=41), length=30, hold_until=NOW + timedelta(days=40, minutes=15))
    )
    kinds = names(await harness.outbox())
    assert kinds[-2:] == ["CreditGranted", "CreditHeld"]


@pytest.mark.rule("BOOK-4")
async def test_sessions_of_one_batch_see_what_those_before_took(harness: CreditsHarness) -> None:
    await harness.enrol()
    asked = [requested(starts_at=NOW + timedelta(days=1, hours=hour)) for hour in range(8)]
    await harness.handle(*asked)
    held = await harness.published(CreditHeld)
    assert [each.session_id for each in held] == [each.session_id for each in asked[:6]]
    assert [each.available_after for each in held] == [5, 4, 3, 2, 1, 0]
    refused = await harness.published(CreditRefused)
    assert [each.session_id for each in refused] == [each.session_id for each in asked[6:]]
    assert {reason.code for each in refused for reason in each.reasons} == {"no-session-credits"}
    assert await harness.balance() == (0, 6)
    assert await harness.imbalances() == []


@pytest.mark.rule("CRED-1", "BOOK-1")
async def test_processes_beside_each_other_never_give_more_than_there_is(harness: CreditsHarness) -> None:
    members = [f"member-{number}" for number in range(5)]
    for member in members:
        await harness.enrol(member)
    batches = [[requested(member) for member in (members if one % 2 else reversed(members))] for one in range(8)]
    await harness.together(*batches)
    assert len(await harness.published(CreditHeld)) == 30
    assert len(await harness.published(CreditRefused)) == 10
    for member in members:
        assert await harness.balance(member) == (0, 6)
    assert await harness.imbalances() == []


@pytest.mark.rule("BOOK-9", "CRED-3")
async def test_a_request_that_comes_again_is_not_answered_again(harness: CreditsHarness) -> None:
    await harness.enrol()
    asked = requested()
    await harness.handle(asked, asked)
    await harness.handle(asked)
    assert len(await harness.published(CreditHeld)) == 1
    assert await harness.balance() == (5, 1)


@pytest.mark.rule("BOOK-4")
async def test_a_refusal_keeps_nothing_and_names_every_reason(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    asked = requested(length=60, modality="in_person")
    await harness.handle(asked)
    (refused,) = await harness.published(CreditRefused)
    assert [reason.code for reason in refused.reasons] == ["length-not-in-plan", "modality-not-in-plan"]
    assert refused.purchasable
    assert await harness.balance() == (4, 0)
    await harness.handle(rejected(asked))
    assert await harness.ledger() == [("grant", 4)]


@pytest.mark.rule("BOOK-4")
async def test_somebody_who_was_never_enrolled_is_refused(harness: CreditsHarness) -> None:
    await harness.handle(requested("stranger"))
    (refused,) = await harness.published(CreditRefused)
    assert [reason.code for reason in refused.reasons] == ["coverage-ended"]
    assert not refused.purchasable


@pytest.mark.rule("AVAIL-4", "CRED-3")
async def test_a_hold_that_nobody_reserves_lapses_by_itself(harness: CreditsHarness) -> None:
    await harness.enrol()
    lapses, stays = requested(), requested(starts_at=NOW + timedelta(days=4))
    await harness.handle(lapses, stays)
    await harness.handle(reserved(stays))
    assert await harness.move_to(NOW + timedelta(minutes=14, seconds=59)) == []
    assert await harness.balance() == (4, 2)
    assert await harness.move_to(NOW + timedelta(minutes=16)) == ["hold-lapse"]
    (returned,) = await harness.published(CreditReturned)
    assert (returned.session_id, returned.cause) == (lapses.session_id, "lapsed")
    assert await harness.balance() == (5, 1)
    assert await harness.state(stays.session_id) == "held"
    await harness.handle(rejected(lapses))
    assert len(await harness.published(CreditReturned)) == 1


@pytest.mark.rule("AVAIL-4")
async def test_many_holds_lapse_over_several_transactions(harness: CreditsHarness) -> None:
    harness.service.deadlines = bind(DEADLINES, replace(harness.dependencies, lapses_at_once=3))
    for number in range(7):
        await harness.enrol(f"m-{number}")
    await harness.handle(*(requested(f"m-{number}") for number in range(7)))
    assert await harness.move_to(NOW + timedelta(minutes=16)) == ["hold-lapse"] * 3
    assert len(await harness.published(CreditReturned)) == 7


@pytest.mark.rule("AVAIL-4", "MISS-3")
async def test_a_co_pay_of_a_booking_that_was_never_finished_is_void(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="insurance-copay")
    asked = requested()
    await harness.handle(asked)
    assert await harness.invoice(asked.session_id) == "pending"
    await harness.move_to(NOW + timedelta(minutes=16))
    (voided,) = await harness.published(InvoiceVoided)
    assert (voided.cause, voided.amount_minor, voided.currency) == ("lapsed", 2500, "USD")
    assert await harness.invoice(asked.session_id) == "void"


@pytest.mark.rule("CRED-3")
@pytest.mark.parametrize("ending", [rejected, expired, missed])
async def test_a_request_that_comes_after_its_sessions_end_holds_nothing(
    harness: CreditsHarness, ending: object
) -> None:
    await harness.enrol()
    asked = requested()
    await harness.handle(ending(asked))  # type: ignore[operator]
    await harness.handle(asked)
    assert await harness.published(CreditHeld) == []
    assert await harness.balance() == (6, 0)


@pytest.mark.rule("PLAN-1", "CRED-2")
async def test_the_next_periods_credits_arrive_and_the_old_ones_lapse_by_themselves(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    await harness.handle(requested(length=30))
    await harness.move_to(NOW + timedelta(minutes=15))
    assert await harness.move_to(NOW + timedelta(days=8)) == ["member"]
    assert await harness.ledger() == [("grant", 4), ("hold", 1), ("return", 1), ("expire", 4), ("grant", 4)]
    await harness.move_to(NOW + timedelta(days=100))
    assert (await harness.ledger())[5:] == [("expire", 4), ("grant", 4)] * 3
    sequences = [
        each.sequence
        for each in await harness.records()
        if each.key == "member-1" and "Credit" in type(each.event).__name__
    ]
    assert sequences == list(range(1, len(sequences) + 1)), "a member's ledger events are numbered without a gap"
    assert await harness.imbalances() == []


@pytest.mark.rule("PLAN-1")
async def test_coverage_ahead_is_granted_at_its_start(harness: CreditsHarness) -> None:
    await harness.enrol(starts_on=date(2026, 12, 24), time_zone="America/New_York")
    assert await harness.balance() == (0, 0)
    assert await harness.move_to(NOW + timedelta(days=30)) == []
    assert await harness.move_to(NOW + timedelta(days=31)) == ["member"]
    assert await harness.balance() == (6, 0)


@pytest.mark.rule("AVAIL-4")
async def test_holds_of_different_minutes_lapse_each_in_its_own(harness: CreditsHarness) -> None:
    await harness.enrol()
    seconds = [0, 1, 59, 60, 61]
    for second in seconds:
        await harness.handle(requested(hold_until=NOW + timedelta(minutes=15, seconds=second)))
    assert await harness.move_to(NOW + timedelta(minutes=15)) == ["hold-lapse"]
    assert await harness.balance() == (2, 4)
    assert await harness.move_to(NOW + timedelta(minutes=16)) == ["hold-lapse"]
    assert await harness.balance() == (5, 1)
    assert await harness.move_to(NOW + timedelta(minutes=17)) == ["hold-lapse"]
    assert await harness.balance() == (6, 0)


@pytest.mark.rule("AVAIL-4")
async def test_a_deadline_that_was_put_off_still_looks_at_its_own_minute(
    harness: CreditsHarness,
) -> None:
    """A failed try moves the moment of a deadline, never its name; and what is left over keeps that name."""
    harness.service.deadlines = bind(DEADLINES, replace(harness.dependencies, lapses_at_once=2))
    await harness.enrol()
    for _ in range(3):
        await harness.handle(requested())
    minute = NOW + timedelta(minutes=15)
    harness.clock.moment = minute + timedelta(minutes=7)
    put_off = Due(minute.isoformat(), harness.clock.moment)
    async with harness.database.transaction(CAUSE) as unit:
        await unit.execute("DELETE FROM deadlines WHERE kind = 'hold-lapse'")
        await harness.service.deadlines[HOLD_LAPSE]([put_off], unit)
    assert await harness.balance() == (5, 1)
    async with harness.database.reading() as queries:
        left = await queries.fetch("SELECT entity_id, due_at FROM deadlines WHERE kind = 'hold-lapse'")
    assert [tuple(row) for row in left] == [(minute.isoformat(), minute)]
    assert await harness.move_to(harness.clock.moment) == ["hold-lapse"]
    assert await harness.balance() == (6, 0)


@pytest.mark.rule("PLAN-1")
async def test_a_plan_that_is_taken_up_again_keeps_what_was_used_of_it(harness: CreditsHarness) -> None:
    """Over the database, where a lot that is used up is not loaded any more."""
    await harness.enrol()
    for day in range(6):
        await harness.handle(requested(starts_at=NOW + timedelta(days=3 + day)))
    assert await harness.balance() == (0, 6)
    await harness.enrol(plan_id="sponsored-12", starts_on=date(2026, 12, 20))
    await harness.enrol()
    assert await harness.balance() == (0, 6)
    assert [kind for kind, _ in await harness.ledger()] == ["grant", *["hold"] * 6]
    assert await harness.imbalances() == []

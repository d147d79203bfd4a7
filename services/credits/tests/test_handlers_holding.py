"""Requests for credits, on a real database: in batches, beside each other, again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.events import CreditHeld, CreditRefused, CreditReturned, InvoiceVoided
from makegood_credits.handlers.endings import on_hold_lapse_due

from .credit_building import NOW
from .credit_world import CAUSE, World, expired, missed, rejected, requested, reserved


@pytest.mark.rule("BOOK-1", "CRED-2")
async def test_a_request_is_answered_with_a_hold(world: World) -> None:
    await world.enrol()
    asked = requested()
    await world.send(asked)
    (held,) = await world.heard(CreditHeld)
    assert (held.session_id, held.funding, held.plan_id, held.available_after) == (
        asked.session_id,
        "credit",
        "eap-6",
        5,
    )
    assert held.lot_id is not None
    assert await world.balance() == (5, 1)
    assert await world.state(asked.session_id) == "held"
    (answer,) = [each for each in await world.outbox() if isinstance(each.event, CreditHeld)]
    assert (answer.key, answer.sequence, answer.correlation_id) == (asked.session_id, 1, "story")


@pytest.mark.rule("BOOK-4")
async def test_sessions_of_one_batch_see_what_those_before_took(world: World) -> None:
    await world.enrol()
    asked = [requested(starts_at=NOW + timedelta(days=1, hours=hour)) for hour in range(8)]
    await world.send(*asked)
    held = await world.heard(CreditHeld)
    assert [each.session_id for each in held] == [each.session_id for each in asked[:6]]
    assert [each.available_after for each in held] == [5, 4, 3, 2, 1, 0]
    refused = await world.heard(CreditRefused)
    assert [each.session_id for each in refused] == [each.session_id for each in asked[6:]]
    assert {reason.code for each in refused for reason in each.reasons} == {"no-session-credits"}
    assert await world.balance() == (0, 6)
    assert await world.imbalances() == []


@pytest.mark.rule("CRED-1", "BOOK-1")
async def test_processes_beside_each_other_never_give_more_than_there_is(world: World) -> None:
    members = [f"member-{number}" for number in range(5)]
    for member in members:
        await world.enrol(member)
    batches = [[requested(member) for member in (members if one % 2 else reversed(members))] for one in range(8)]
    await world.together(*batches)
    assert len(await world.heard(CreditHeld)) == 30
    assert len(await world.heard(CreditRefused)) == 10
    for member in members:
        assert await world.balance(member) == (0, 6)
    assert await world.imbalances() == []


@pytest.mark.rule("BOOK-9", "CRED-3")
async def test_a_request_that_comes_again_is_not_answered_again(world: World) -> None:
    await world.enrol()
    asked = requested()
    await world.send(asked, asked)
    await world.send(asked)
    assert len(await world.heard(CreditHeld)) == 1
    assert await world.balance() == (5, 1)


@pytest.mark.rule("BOOK-4")
async def test_a_refusal_keeps_nothing_and_names_every_reason(world: World) -> None:
    await world.enrol(plan_id="out-of-pocket-4")
    asked = requested(length=60, modality="in_person")
    await world.send(asked)
    (refused,) = await world.heard(CreditRefused)
    assert [reason.code for reason in refused.reasons] == ["length-not-in-plan", "modality-not-in-plan"]
    assert refused.purchasable
    assert await world.balance() == (4, 0)
    await world.send(rejected(asked))
    assert await world.ledger() == [("grant", 4)]


@pytest.mark.rule("BOOK-4")
async def test_somebody_who_was_never_enrolled_is_refused(world: World) -> None:
    await world.send(requested("stranger"))
    (refused,) = await world.heard(CreditRefused)
    assert [reason.code for reason in refused.reasons] == ["coverage-ended"]
    assert not refused.purchasable


@pytest.mark.rule("AVAIL-4", "CRED-3")
async def test_a_hold_that_nobody_reserves_lapses_by_itself(world: World) -> None:
    await world.enrol()
    lapses, stays = requested(), requested(starts_at=NOW + timedelta(days=4))
    await world.send(lapses, stays)
    await world.send(reserved(stays))
    assert await world.move_to(NOW + timedelta(minutes=14, seconds=59)) == []
    assert await world.balance() == (4, 2)
    assert await world.move_to(NOW + timedelta(minutes=16)) == ["hold-lapse"]
    (returned,) = await world.heard(CreditReturned)
    assert (returned.session_id, returned.cause) == (lapses.session_id, "lapsed")
    assert await world.balance() == (5, 1)
    assert await world.state(stays.session_id) == "held"
    await world.send(rejected(lapses))
    assert len(await world.heard(CreditReturned)) == 1


@pytest.mark.rule("AVAIL-4")
async def test_many_holds_lapse_over_several_transactions(world: World) -> None:
    world.dependencies = replace(world.dependencies, lapses_at_once=3)
    for number in range(7):
        await world.enrol(f"m-{number}")
    await world.send(*(requested(f"m-{number}") for number in range(7)))
    assert await world.move_to(NOW + timedelta(minutes=16)) == ["hold-lapse"] * 3
    assert len(await world.heard(CreditReturned)) == 7


@pytest.mark.rule("AVAIL-4", "MISS-3")
async def test_a_co_pay_of_a_booking_that_was_never_finished_is_void(world: World) -> None:
    await world.enrol(plan_id="insurance-copay")
    asked = requested()
    await world.send(asked)
    assert await world.invoice(asked.session_id) == "pending"
    await world.move_to(NOW + timedelta(minutes=16))
    (voided,) = await world.heard(InvoiceVoided)
    assert (voided.cause, voided.amount_minor, voided.currency) == ("lapsed", 2500, "USD")
    assert await world.invoice(asked.session_id) == "void"


@pytest.mark.rule("CRED-3")
@pytest.mark.parametrize("ending", [rejected, expired, missed])
async def test_a_request_that_comes_after_its_sessions_end_holds_nothing(world: World, ending: object) -> None:
    await world.enrol()
    asked = requested()
    await world.send(ending(asked))  # type: ignore[operator]
    await world.send(asked)
    assert await world.heard(CreditHeld) == []
    assert await world.balance() == (6, 0)


@pytest.mark.rule("PLAN-1", "CRED-2")
async def test_the_next_periods_credits_arrive_and_the_old_ones_lapse_by_themselves(world: World) -> None:
    await world.enrol(plan_id="out-of-pocket-4")
    await world.send(requested(length=30))
    await world.move_to(NOW + timedelta(minutes=15))
    assert await world.move_to(NOW + timedelta(days=8)) == ["member"]
    assert await world.ledger() == [("grant", 4), ("hold", 1), ("return", 1), ("expire", 4), ("grant", 4)]
    await world.move_to(NOW + timedelta(days=100))
    assert (await world.ledger())[5:] == [("expire", 4), ("grant", 4)] * 3
    sequences = [
        each.sequence
        for each in await world.outbox()
        if each.key == "member-1" and "Credit" in type(each.event).__name__
    ]
    assert sequences == list(range(1, len(sequences) + 1)), "a member's ledger events are numbered without a gap"
    assert await world.imbalances() == []


@pytest.mark.rule("PLAN-1")
async def test_coverage_ahead_is_granted_at_its_start(world: World) -> None:
    await world.enrol(starts_on=date(2026, 12, 24), time_zone="America/New_York")
    assert await world.balance() == (0, 0)
    assert await world.move_to(NOW + timedelta(days=30)) == []
    assert await world.move_to(NOW + timedelta(days=31)) == ["member"]
    assert await world.balance() == (6, 0)


@pytest.mark.rule("AVAIL-4")
async def test_holds_of_different_minutes_lapse_each_in_its_own(world: World) -> None:
    await world.enrol()
    seconds = [0, 1, 59, 60, 61]
    for second in seconds:
        await world.send(requested(hold_until=NOW + timedelta(minutes=15, seconds=second)))
    assert await world.move_to(NOW + timedelta(minutes=15)) == ["hold-lapse"]
    assert await world.balance() == (2, 4)
    assert await world.move_to(NOW + timedelta(minutes=16)) == ["hold-lapse"]
    assert await world.balance() == (5, 1)
    assert await world.move_to(NOW + timedelta(minutes=17)) == ["hold-lapse"]
    assert await world.balance() == (6, 0)


@pytest.mark.rule("AVAIL-4")
async def test_a_deadline_that_was_put_off_still_looks_at_its_own_minute(
    world: World,
) -> None:
    """A failed try moves the moment of a deadline, never its name; and what is left over keeps that name."""
    world.dependencies = replace(world.dependencies, lapses_at_once=2)
    await world.enrol()
    for _ in range(3):
        await world.send(requested())
    minute = NOW + timedelta(minutes=15)
    world.clock.moment = minute + timedelta(minutes=7)
    put_off = Due(minute.isoformat(), world.clock.moment)
    async with world.database.transaction(CAUSE) as unit:
        await unit.execute("DELETE FROM deadlines WHERE kind = 'hold-lapse'")
        await on_hold_lapse_due([put_off], unit, world.dependencies)
    assert await world.balance() == (5, 1)
    async with world.database.reading() as queries:
        left = await queries.fetch("SELECT entity_id, due_at FROM deadlines WHERE kind = 'hold-lapse'")
    assert [tuple(row) for row in left] == [(minute.isoformat(), minute)]
    assert await world.move_to(world.clock.moment) == ["hold-lapse"]
    assert await world.balance() == (6, 0)


@pytest.mark.rule("PLAN-1")
async def test_a_plan_that_is_taken_up_again_keeps_what_was_used_of_it(world: World) -> None:
    """Over the database, where a lot that is used up is not loaded any more."""
    await world.enrol()
    for day in range(6):
        await world.send(requested(starts_at=NOW + timedelta(days=3 + day)))
    assert await world.balance() == (0, 6)
    await world.enrol(plan_id="sponsored-12", starts_on=date(2026, 12, 20))
    await world.enrol()
    assert await world.balance() == (0, 6)
    assert [kind for kind, _ in await world.ledger()] == ["grant", *["hold"] * 6]
    assert await world.imbalances() == []

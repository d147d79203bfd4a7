"""RESC-1: what a late move costs, on a real database: held beside, taking the place, or back as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from makegood_contracts.events import (
    CreditForfeited,
    CreditReturned,
    CreditSpent,
    Event,
    InvoiceIssued,
    InvoiceVoided,
    MoveCreditHeld,
    MoveCreditRefused,
    SessionMoveRequested,
    SessionRequested,
)

from .credit_building import NOW
from .credits_harness import (
    CreditsHarness,
    booked,
    cancelled,
    completed,
    declined,
    expired,
    funded,
    missed,
    move,
    move_refused,
    moved,
    no_show,
    requested,
    reserved,
)


async def late_move(harness: CreditsHarness, asked: SessionRequested) -> SessionMoveRequested:
    """With less notice than the policy asks, and accepted."""
    request = move(asked, forfeits=True)
    await harness.handle(request)
    return request


@pytest.mark.rule("RESC-1", "CRED-3")
async def test_a_late_move_forfeits_what_is_held_and_needs_another_credit(harness: CreditsHarness) -> None:
    asked = await booked(harness)
    _, first, _ = await harness.hold_of(asked.session_id)
    request = await late_move(harness, asked)
    (told,) = await harness.published(MoveCreditHeld)
    assert (told.how, told.funding) == ("added", "credit")
    assert told.hold_id != first
    assert await harness.balance() == (4, 2)
    await harness.handle(funded(request))
    await harness.handle(moved(request), moved(request))
    (lost,) = await harness.published(CreditForfeited)
    assert (lost.hold_id, lost.cause, lost.session_id) == (first, "moved", asked.session_id)
    assert await harness.hold_of(asked.session_id) == ("held", told.hold_id, True)
    assert await harness.balance() == (4, 1)
    await harness.handle(completed(asked), completed(asked))
    (spent,) = await harness.published(CreditSpent)
    assert spent.hold_id == told.hold_id
    assert await harness.balance() == (4, 0)
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-1", "MISS-2")
async def test_a_session_that_was_moved_late_gives_back_the_credit_it_holds_and_no_other(
    harness: CreditsHarness,
) -> None:
    asked = await booked(harness)
    request = await late_move(harness, asked)
    await harness.handle(moved(request))
    await harness.handle(missed(asked))
    assert await harness.balance() == (5, 0)
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-1")
async def test_a_refused_move_leaves_everything_as_it_was(harness: CreditsHarness) -> None:
    asked = await booked(harness)
    before = await harness.hold_of(asked.session_id)
    request = await late_move(harness, asked)
    await harness.handle(move_refused(request), move_refused(request))
    (back,) = await harness.published(CreditReturned)
    assert back.cause == "moved"
    assert await harness.hold_of(asked.session_id) == before
    assert await harness.balance() == (5, 1)
    await harness.handle(request)
    assert len(await harness.published(MoveCreditHeld)) == 1, "a move that is over asks for nothing any more"
    again = await late_move(harness, asked)
    await harness.handle(moved(again))
    assert await harness.balance() == (4, 1)
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-1")
async def test_a_late_move_without_a_credit_left_is_refused_and_what_is_held_stays(harness: CreditsHarness) -> None:
    asked = await booked(harness)
    await harness.handle(*(requested() for _ in range(5)))
    await late_move(harness, asked)
    (refused,) = await harness.published(MoveCreditRefused)
    assert [each.code for each in refused.reasons] == ["no-session-credits"]
    assert (await harness.hold_of(asked.session_id))[0] == "held"


@pytest.mark.rule("RESC-1", "PLAN-1")
async def test_a_late_move_makes_the_old_co_pay_due_and_a_new_one_pending(harness: CreditsHarness) -> None:
    asked = await booked(harness, "insurance-copay")
    request = await late_move(harness, asked)
    assert await harness.invoices(asked.session_id) == ["pending", "pending"]
    await harness.handle(funded(request))
    await harness.handle(moved(request))
    assert await harness.invoices(asked.session_id) == ["issued", "pending"]
    await harness.handle(missed(asked))
    assert await harness.invoices(asked.session_id) == ["issued", "void"]
    assert [each.due_on for each in await harness.published(InvoiceIssued)] == [
        asked.ends_at.date() + timedelta(days=14)
    ]


ENDINGS: list[Any] = [
    pytest.param(completed, "spent", id="completed"),
    pytest.param(missed, "returned", id="missed"),
    pytest.param(no_show, "forfeited", id="no-show"),
    pytest.param(cancelled, "returned", id="cancelled"),
    pytest.param(lambda asked: cancelled(asked, forfeits=True), "forfeited", id="late"),
    pytest.param(declined, "returned", id="declined"),
    pytest.param(expired, "returned", id="expired"),
]


@pytest.mark.rule("RESC-1", "CRED-3")
@pytest.mark.parametrize("plan_id", ["eap-6", "insurance-copay"])
@pytest.mark.parametrize(("ending", "state"), ENDINGS)
async def test_an_ending_while_a_move_is_under_way_settles_the_session_and_gives_back_what_was_added(
    harness: CreditsHarness, ending: Callable[[SessionRequested], Event], state: str, plan_id: str
) -> None:
    asked = await booked(harness, plan_id)
    request = await late_move(harness, asked)
    await harness.handle(funded(request))
    await harness.handle(ending(asked))
    await harness.handle(move_refused(request))
    assert (await harness.hold_of(asked.session_id))[0] == state
    if plan_id == "eap-6":
        assert await harness.balance() == (6 if state == "returned" else 5, 0)
        causes = [each.cause for each in await harness.published(CreditReturned)]
        assert causes.count("moved") == 1
    else:
        assert await harness.invoices(asked.session_id) == ["void" if state == "returned" else "issued", "void"]
        assert [each.cause for each in await harness.published(InvoiceVoided)].count("moved") == 1
    assert await harness.imbalances() == []


@pytest.mark.rule("AVAIL-4", "RESC-1")
async def test_what_was_added_lapses_by_itself_unless_the_move_goes_on(harness: CreditsHarness) -> None:
    asked, other = await booked(harness), requested()
    await harness.handle(other)
    await harness.handle(reserved(other))
    forgotten, going_on = await late_move(harness, asked), await late_move(harness, other)
    await harness.handle(funded(going_on))
    assert await harness.balance() == (2, 4)
    await harness.move_to(NOW + timedelta(minutes=19))
    assert await harness.balance() == (2, 4)
    await harness.move_to(NOW + timedelta(hours=10))
    assert await harness.balance() == (3, 3)
    assert [each.cause for each in await harness.published(CreditReturned)] == ["moved"]
    await harness.handle(moved(going_on))
    assert len(await harness.published(CreditForfeited)) == 1
    # Late word of the one that lapsed: the session goes on with the credit it has.
    await harness.handle(moved(forgotten))
    assert (await harness.hold_of(asked.session_id))[0] == "held"
    assert await harness.balance() == (3, 2)
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-1")
async def test_nothing_is_added_for_a_session_that_is_over_or_unknown(harness: CreditsHarness) -> None:
    asked = await booked(harness)
    await harness.handle(missed(asked))
    await harness.handle(move(asked, forfeits=True), move(requested(), forfeits=True))
    assert [each.reasons[0].code for each in await harness.published(MoveCreditRefused)] == [
        "temporary-interruption"
    ] * 2
    assert await harness.balance() == (6, 0)


@pytest.mark.rule("CRED-1", "RESC-1")
async def test_answers_about_a_session_are_numbered_in_their_order(harness: CreditsHarness) -> None:
    asked = await booked(harness)
    for _ in range(3):
        request = await late_move(harness, asked)
        await harness.handle(move_refused(request))
    numbers = [each.sequence for each in await harness.records() if each.headers["ce_subject"] == asked.session_id]
    assert numbers == [1, 2, 3, 4]

"""RESC-1: a move with notice keeps what is held, where the plan allows the new time, on a real database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from makegood_contracts.events import (
    CreditForfeited,
    CreditReturned,
    InvoiceIssued,
    InvoiceVoided,
    InvoiceWish,
    MoveCreditHeld,
    MoveCreditRefused,
)
from makegood_contracts.ids import new_id
from makegood_credits.domain.settling import MAKE_GOOD
from msgspec import structs

from .credit_building import NOW
from .credits_harness import (
    CreditsHarness,
    booked,
    cancelled,
    completed,
    corrected,
    extended,
    funded,
    missed,
    move,
    moved,
    requested,
)


@pytest.mark.rule("RESC-1")
async def test_with_notice_what_is_held_will_do(harness: CreditsHarness) -> None:
    asked = await booked(harness)
    _, hold_id, _ = await harness.hold_of(asked.session_id)
    request = move(asked)
    await harness.handle(request, request)
    (told,) = await harness.published(MoveCreditHeld)
    assert (told.how, told.move_id, told.hold_id, told.funding) == ("kept", request.move_id, hold_id, "credit")
    await harness.handle(funded(request))
    await harness.handle(moved(request))
    assert await harness.hold_of(asked.session_id) == ("held", hold_id, True)
    assert await harness.ledger() == [("grant", 6), ("hold", 1)]
    await harness.handle(completed(asked))
    assert await harness.balance() == (5, 0)


@pytest.mark.rule("RESC-1", "EXT-1", "PLAN-1")
@pytest.mark.parametrize("late", [False, True])
async def test_an_extended_session_is_moved_on_what_the_plan_pays_for(harness: CreditsHarness, late: bool) -> None:
    """45 minutes are in the plan; the provider made 60 of it, and 60 it stays."""
    asked = await booked(harness)
    longer = structs.replace(move(asked, forfeits=late, new_length_minutes=60), length_minutes=60, extended_minutes=15)
    await harness.handle(longer)
    (told,) = await harness.published(MoveCreditHeld)
    assert told.how == ("added" if late else "kept")
    await harness.handle(structs.replace(longer, move_id=new_id(), new_length_minutes=75))
    (refused,) = await harness.published(MoveCreditRefused)
    assert [reason.code for reason in refused.reasons] == ["length-not-in-plan"]


@pytest.mark.rule("EXT-1", "RESC-1", "MISS-5")
async def test_a_move_to_another_length_voids_what_the_extension_would_have_cost_for_good(
    harness: CreditsHarness,
) -> None:
    asked = await booked(harness)
    invoice = InvoiceWish(amount_minor=1200, currency="EUR", due_on=date(2026, 11, 30))
    await harness.handle(extended(asked, invoice))
    end = asked.starts_at + timedelta(minutes=60)
    longer = structs.replace(
        move(asked, new_length_minutes=60), ends_at=end, length_minutes=60, extended_minutes=15, moved_by="provider"
    )
    await harness.handle(longer)
    await harness.handle(funded(longer))
    await harness.handle(moved(longer))
    assert await harness.invoices(asked.session_id) == ["issued"], "it keeps its length"
    new_start = longer.new_starts_at
    back = structs.replace(
        longer,
        move_id=new_id(),
        starts_at=new_start,
        ends_at=new_start + timedelta(minutes=60),
        new_ends_at=longer.new_starts_at + timedelta(minutes=45),
        new_length_minutes=45,
    )
    await harness.handle(back)
    await harness.handle(funded(back))
    await harness.handle(structs.replace(moved(back), extended_minutes=0))
    assert await harness.invoices(asked.session_id) == ["void"]
    (told,) = await harness.published(InvoiceVoided)
    assert (told.cause, told.was_due, told.refunds) == ("moved", True, False)
    await harness.handle(missed(asked))
    await harness.handle(corrected(asked, "provider_missed", "completed"))
    assert await harness.invoices(asked.session_id) == ["void"], "no outcome brings it back"
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-1", "CRED-2")
async def test_a_credit_that_has_lapsed_by_the_new_day_is_replaced_and_comes_back(harness: CreditsHarness) -> None:
    asked = await booked(harness, "out-of-pocket-4")
    await harness.handle(move(asked, new_starts_at=datetime(2026, 12, 3, 10, tzinfo=UTC)))
    (refused,) = await harness.published(MoveCreditRefused)
    assert ([reason.code for reason in refused.reasons], refused.purchasable) == (["no-session-credits"], True)
    await harness.move_to(datetime(2026, 11, 25, tzinfo=UTC))
    await harness.enrol(plan_id="out-of-pocket-4", starts_on=date(2026, 11, 20))  # another agreement: until 20 December
    request = move(
        asked,
        new_starts_at=datetime(2026, 12, 3, 10, tzinfo=UTC),
        moved_by="provider",
        decide_by=harness.clock.moment + timedelta(minutes=5),
    )
    await harness.handle(request)
    (told,) = await harness.published(MoveCreditHeld)
    assert told.how == "added"
    await harness.handle(moved(request))
    (back,) = await harness.published(CreditReturned)
    assert (back.cause, await harness.published(CreditForfeited)) == ("moved", [])
    state, hold_id, firm = await harness.hold_of(asked.session_id)
    assert (state, hold_id, firm) == ("held", told.hold_id, True)
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-3", "MISS-2")
@pytest.mark.parametrize("caused_by_provider", [True, False])
async def test_a_credit_that_another_one_takes_the_place_of_is_made_good_if_the_provider_brought_it_about(
    harness: CreditsHarness, caused_by_provider: bool
) -> None:
    """The provider moved a session to the last day of the plan's lot, and the member moves it on, past that."""
    asked = await booked(harness, "out-of-pocket-4", starts_at=datetime(2026, 11, 29, 10, tzinfo=UTC))
    by_provider = move(asked, moved_by="provider")
    await harness.handle(by_provider)
    await harness.handle(moved(by_provider))
    await harness.give(30)
    own = move(asked, new_starts_at=datetime(2026, 12, 2, 10, tzinfo=UTC), caused_by_provider=caused_by_provider)
    await harness.handle(own)
    assert [each.how for each in await harness.published(MoveCreditHeld)] == ["kept", "added"]
    await harness.handle(moved(own))
    (back,) = await harness.published(CreditReturned)
    made_good = ("make_good", NOW + MAKE_GOOD)
    assert (back.source, back.expires_at) == (
        made_good if caused_by_provider else ("plan", datetime(2026, 12, 1, tzinfo=UTC))
    )
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-3", "MISS-2", "MISS-4")
async def test_a_credit_that_is_kept_for_what_the_provider_did_is_as_good_as_one_that_came_back(
    harness: CreditsHarness,
) -> None:
    """The member moves the session past the end of the plan's lot, and gives it up later on their own request."""
    asked = await booked(harness, "out-of-pocket-4", starts_at=datetime(2026, 11, 30, 10, tzinfo=UTC))
    for day, caused_by_provider, how in ((2, True, "kept"), (20, False, "kept"), (24, False, "refused")):
        starts_at = datetime(2026, 12, day, 10, tzinfo=UTC)
        own = move(asked, new_starts_at=starts_at, caused_by_provider=caused_by_provider)
        await harness.handle(own)
        if how == "kept":
            await harness.handle(moved(own))
    assert [each.how for each in await harness.published(MoveCreditHeld)] == ["kept", "kept"]
    (refused,) = await harness.published(MoveCreditRefused)
    assert [reason.code for reason in refused.reasons] == ["no-session-credits"]
    await harness.handle(cancelled(asked))
    (back,) = await harness.published(CreditReturned)
    assert (back.source, back.expires_at, back.made_for_minutes) == ("make_good", NOW + MAKE_GOOD, 30)
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-1", "PLAN-1")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"new_length_minutes": 60}, "length-not-in-plan"),
        ({"new_starts_at": datetime(2027, 6, 1, tzinfo=UTC)}, "coverage-ended"),
        ({"decide_by": NOW}, "temporary-interruption"),
        ({"specialty": "psychiatry"}, "length-not-in-plan"),
    ],
)
async def test_a_move_that_the_plan_does_not_pay_for_is_refused(
    harness: CreditsHarness, change: dict[str, Any], reason: str
) -> None:
    await harness.enrol(ends_on=date(2027, 5, 31))
    asked = requested()
    await harness.handle(asked)
    await harness.handle(move(asked, **change))
    (refused,) = await harness.published(MoveCreditRefused)
    assert [each.code for each in refused.reasons] == [reason]
    assert await harness.balance() == (5, 1)


@pytest.mark.rule("RESC-2", "RESC-1")
@pytest.mark.parametrize("plan_id", ["eap-6", "insurance-copay"])
async def test_a_providers_move_is_not_refused_for_the_members_plan(harness: CreditsHarness, plan_id: str) -> None:
    asked = await booked(harness, plan_id)
    before = await harness.hold_of(asked.session_id)
    await harness.enrol(plan_id="messaging-only", starts_on=date(2026, 11, 23))
    request = move(asked, moved_by="provider")
    await harness.handle(request)
    (told,) = await harness.published(MoveCreditHeld)
    assert told.how == "kept"
    await harness.handle(moved(request))
    assert await harness.hold_of(asked.session_id) == before
    await harness.handle(completed(asked))
    assert (await harness.hold_of(asked.session_id))[0] == "spent"
    assert await harness.imbalances() == []


@pytest.mark.rule("RESC-1", "PLAN-1")
async def test_a_co_pay_that_is_kept_is_due_on_the_new_day(harness: CreditsHarness) -> None:
    asked = await booked(harness, "insurance-copay")
    request = move(asked, new_length_minutes=60)
    await harness.handle(request)
    await harness.handle(moved(request))
    assert await harness.invoices(asked.session_id) == ["pending"]
    await harness.handle(completed(asked))
    (issued,) = await harness.published(InvoiceIssued)
    assert issued.due_on == request.new_ends_at.date() + timedelta(days=14)
    midnight = datetime.combine(issued.due_on + timedelta(days=1), datetime.min.time(), UTC)
    await harness.move_to(midnight - timedelta(seconds=1))
    assert await harness.invoices(asked.session_id) == ["issued"], "the old day's end is over, the new one's is not"
    await harness.move_to(midnight)
    assert await harness.invoices(asked.session_id) == ["overdue"]

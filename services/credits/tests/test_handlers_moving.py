"""RESC-1: what a move costs, on a real database: held beside, taking the place, or back as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from makegood_contracts.events import (
    CreditForfeited,
    CreditReturned,
    CreditSpent,
    Event,
    InvoiceIssued,
    InvoiceVoided,
    InvoiceWish,
    MoveCreditHeld,
    MoveCreditRefused,
    SessionMoveRequested,
    SessionRequested,
)
from makegood_contracts.ids import new_id
from makegood_credits.domain.settling import MAKE_GOOD
from msgspec import structs

from .credit_building import NOW
from .credit_world import (
    World,
    cancelled,
    completed,
    corrected,
    declined,
    expired,
    extended,
    funded,
    missed,
    move,
    move_refused,
    moved,
    no_show,
    requested,
    reserved,
)


async def booked(world: World, plan_id: str = "eap-6", **other: Any) -> SessionRequested:
    """A member with a session that is reserved."""
    await world.enrol(plan_id=plan_id)
    length = {"out-of-pocket-4": 30}.get(plan_id, 45)
    asked = requested(**{"length": length, **other})
    await world.send(asked)
    await world.send(reserved(asked))
    return asked


async def late_move(world: World, asked: SessionRequested) -> SessionMoveRequested:
    """With less notice than the policy asks, and accepted."""
    wish = move(asked, forfeits=True)
    await world.send(wish)
    return wish


@pytest.mark.rule("RESC-1")
async def test_with_notice_what_is_held_will_do(world: World) -> None:
    asked = await booked(world)
    _, hold_id, _ = await world.hold_of(asked.session_id)
    wish = move(asked)
    await world.send(wish, wish)
    (told,) = await world.heard(MoveCreditHeld)
    assert (told.how, told.move_id, told.hold_id, told.funding) == ("kept", wish.move_id, hold_id, "credit")
    await world.send(funded(wish))
    await world.send(moved(wish))
    assert await world.hold_of(asked.session_id) == ("held", hold_id, True)
    assert await world.ledger() == [("grant", 6), ("hold", 1)]
    await world.send(completed(asked))
    assert await world.balance() == (5, 0)


@pytest.mark.rule("RESC-1", "EXT-1", "PLAN-1")
@pytest.mark.parametrize("late", [False, True])
async def test_an_extended_session_is_moved_on_what_the_plan_pays_for(world: World, late: bool) -> None:
    """45 minutes are in the plan; the provider made 60 of it, and 60 it stays."""
    asked = await booked(world)
    longer = structs.replace(move(asked, forfeits=late, new_length_minutes=60), length_minutes=60, extended_minutes=15)
    await world.send(longer)
    (told,) = await world.heard(MoveCreditHeld)
    assert told.how == ("added" if late else "kept")
    await world.send(structs.replace(longer, move_id=new_id(), new_length_minutes=75))
    (refused,) = await world.heard(MoveCreditRefused)
    assert [reason.code for reason in refused.reasons] == ["length-not-in-plan"]


@pytest.mark.rule("EXT-1", "RESC-1", "MISS-5")
async def test_a_move_to_another_length_voids_what_the_extension_would_have_cost_for_good(world: World) -> None:
    asked = await booked(world)
    wish = InvoiceWish(amount_minor=1200, currency="EUR", due_on=date(2026, 11, 30))
    await world.send(extended(asked, wish))
    end = asked.starts_at + timedelta(minutes=60)
    longer = structs.replace(
        move(asked, new_length_minutes=60), ends_at=end, length_minutes=60, extended_minutes=15, moved_by="provider"
    )
    await world.send(longer)
    await world.send(funded(longer))
    await world.send(moved(longer))
    assert await world.invoices(asked.session_id) == ["issued"], "it keeps its length"
    new_start = longer.new_starts_at
    back = structs.replace(
        longer,
        move_id=new_id(),
        starts_at=new_start,
        ends_at=new_start + timedelta(minutes=60),
        new_ends_at=longer.new_starts_at + timedelta(minutes=45),
        new_length_minutes=45,
    )
    await world.send(back)
    await world.send(funded(back))
    await world.send(structs.replace(moved(back), extended_minutes=0))
    assert await world.invoices(asked.session_id) == ["void"]
    (told,) = await world.heard(InvoiceVoided)
    assert (told.cause, told.was_due, told.refunds) == ("moved", True, False)
    await world.send(missed(asked))
    await world.send(corrected(asked, "provider_missed", "completed"))
    assert await world.invoices(asked.session_id) == ["void"], "no outcome brings it back"
    assert await world.imbalances() == []


@pytest.mark.rule("RESC-1", "CRED-3")
async def test_a_late_move_forfeits_what_is_held_and_needs_another_credit(world: World) -> None:
    asked = await booked(world)
    _, first, _ = await world.hold_of(asked.session_id)
    wish = await late_move(world, asked)
    (told,) = await world.heard(MoveCreditHeld)
    assert (told.how, told.funding) == ("added", "credit")
    assert told.hold_id != first
    assert await world.balance() == (4, 2)
    await world.send(funded(wish))
    await world.send(moved(wish), moved(wish))
    (lost,) = await world.heard(CreditForfeited)
    assert (lost.hold_id, lost.cause, lost.session_id) == (first, "moved", asked.session_id)
    assert await world.hold_of(asked.session_id) == ("held", told.hold_id, True)
    assert await world.balance() == (4, 1)
    await world.send(completed(asked), completed(asked))
    (spent,) = await world.heard(CreditSpent)
    assert spent.hold_id == told.hold_id
    assert await world.balance() == (4, 0)
    assert await world.imbalances() == []


@pytest.mark.rule("RESC-1", "MISS-2")
async def test_a_session_that_was_moved_late_gives_back_the_credit_it_holds_and_no_other(world: World) -> None:
    asked = await booked(world)
    wish = await late_move(world, asked)
    await world.send(moved(wish))
    await world.send(missed(asked))
    assert await world.balance() == (5, 0)
    assert await world.imbalances() == []


@pytest.mark.rule("RESC-1")
async def test_a_refused_move_leaves_everything_as_it_was(world: World) -> None:
    asked = await booked(world)
    before = await world.hold_of(asked.session_id)
    wish = await late_move(world, asked)
    await world.send(move_refused(wish), move_refused(wish))
    (back,) = await world.heard(CreditReturned)
    assert back.cause == "moved"
    assert await world.hold_of(asked.session_id) == before
    assert await world.balance() == (5, 1)
    await world.send(wish)
    assert len(await world.heard(MoveCreditHeld)) == 1, "a move that is over asks for nothing any more"
    again = await late_move(world, asked)
    await world.send(moved(again))
    assert await world.balance() == (4, 1)
    assert await world.imbalances() == []


@pytest.mark.rule("RESC-1", "CRED-2")
async def test_a_credit_that_has_lapsed_by_the_new_day_is_replaced_and_comes_back(world: World) -> None:
    asked = await booked(world, "out-of-pocket-4")
    await world.send(move(asked, new_starts_at=datetime(2026, 12, 3, 10, tzinfo=UTC)))
    (refused,) = await world.heard(MoveCreditRefused)
    assert ([reason.code for reason in refused.reasons], refused.purchasable) == (["no-session-credits"], True)
    await world.move_to(datetime(2026, 11, 25, tzinfo=UTC))
    await world.enrol(plan_id="out-of-pocket-4", starts_on=date(2026, 11, 20))  # another agreement: until 20 December
    wish = move(
        asked,
        new_starts_at=datetime(2026, 12, 3, 10, tzinfo=UTC),
        moved_by="provider",
        decide_by=world.clock.moment + timedelta(minutes=5),
    )
    await world.send(wish)
    (told,) = await world.heard(MoveCreditHeld)
    assert told.how == "added"
    await world.send(moved(wish))
    (back,) = await world.heard(CreditReturned)
    assert (back.cause, await world.heard(CreditForfeited)) == ("moved", [])
    state, hold_id, firm = await world.hold_of(asked.session_id)
    assert (state, hold_id, firm) == ("held", told.hold_id, True)
    assert await world.imbalances() == []


@pytest.mark.rule("RESC-3", "MISS-2")
@pytest.mark.parametrize("caused_by_provider", [True, False])
async def test_a_credit_that_another_one_takes_the_place_of_is_made_good_if_the_provider_brought_it_about(
    world: World, caused_by_provider: bool
) -> None:
    """The provider moved a session to the last day of the plan's lot, and the member moves it on, past that."""
    asked = await booked(world, "out-of-pocket-4", starts_at=datetime(2026, 11, 29, 10, tzinfo=UTC))
    by_provider = move(asked, moved_by="provider")
    await world.send(by_provider)
    await world.send(moved(by_provider))
    await world.give(30)
    own = move(asked, new_starts_at=datetime(2026, 12, 2, 10, tzinfo=UTC), caused_by_provider=caused_by_provider)
    await world.send(own)
    assert [each.how for each in await world.heard(MoveCreditHeld)] == ["kept", "added"]
    await world.send(moved(own))
    (back,) = await world.heard(CreditReturned)
    made_good = ("make_good", NOW + MAKE_GOOD)
    assert (back.source, back.expires_at) == (
        made_good if caused_by_provider else ("plan", datetime(2026, 12, 1, tzinfo=UTC))
    )
    assert await world.imbalances() == []


@pytest.mark.rule("RESC-3", "MISS-2", "MISS-4")
async def test_a_credit_that_is_kept_for_what_the_provider_did_is_as_good_as_one_that_came_back(world: World) -> None:
    """The member moves the session past the end of the plan's lot, and gives it up later on their own wish."""
    asked = await booked(world, "out-of-pocket-4", starts_at=datetime(2026, 11, 30, 10, tzinfo=UTC))
    for day, caused_by_provider, how in ((2, True, "kept"), (20, False, "kept"), (24, False, "refused")):
        starts_at = datetime(2026, 12, day, 10, tzinfo=UTC)
        own = move(asked, new_starts_at=starts_at, caused_by_provider=caused_by_provider)
        await world.send(own)
        if how == "kept":
            await world.send(moved(own))
    assert [each.how for each in await world.heard(MoveCreditHeld)] == ["kept", "kept"]
    (refused,) = await world.heard(MoveCreditRefused)
    assert [reason.code for reason in refused.reasons] == ["no-session-credits"]
    await world.send(cancelled(asked))
    (back,) = await world.heard(CreditReturned)
    assert (back.source, back.expires_at, back.made_for_minutes) == ("make_good", NOW + MAKE_GOOD, 30)
    assert await world.imbalances() == []


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
    world: World, change: dict[str, Any], reason: str
) -> None:
    await world.enrol(ends_on=date(2027, 5, 31))
    asked = requested()
    await world.send(asked)
    await world.send(move(asked, **change))
    (refused,) = await world.heard(MoveCreditRefused)
    assert [each.code for each in refused.reasons] == [reason]
    assert await world.balance() == (5, 1)


@pytest.mark.rule("RESC-2", "RESC-1")
@pytest.mark.parametrize("plan_id", ["eap-6", "insurance-copay"])
async def test_a_providers_move_is_not_refused_for_the_members_plan(world: World, plan_id: str) -> None:
    asked = await booked(world, plan_id)
    before = await world.hold_of(asked.session_id)
    await world.enrol(plan_id="messaging-only", starts_on=date(2026, 11, 23))
    wish = move(asked, moved_by="provider")
    await world.send(wish)
    (told,) = await world.heard(MoveCreditHeld)
    assert told.how == "kept"
    await world.send(moved(wish))
    assert await world.hold_of(asked.session_id) == before
    await world.send(completed(asked))
    assert (await world.hold_of(asked.session_id))[0] == "spent"
    assert await world.imbalances() == []


@pytest.mark.rule("RESC-1")
async def test_a_late_move_without_a_credit_left_is_refused_and_what_is_held_stays(world: World) -> None:
    asked = await booked(world)
    await world.send(*(requested() for _ in range(5)))
    await late_move(world, asked)
    (refused,) = await world.heard(MoveCreditRefused)
    assert [each.code for each in refused.reasons] == ["no-session-credits"]
    assert (await world.hold_of(asked.session_id))[0] == "held"


@pytest.mark.rule("RESC-1", "PLAN-1")
async def test_a_late_move_makes_the_old_co_pay_due_and_a_new_one_pending(world: World) -> None:
    asked = await booked(world, "insurance-copay")
    wish = await late_move(world, asked)
    assert await world.invoices(asked.session_id) == ["pending", "pending"]
    await world.send(funded(wish))
    await world.send(moved(wish))
    assert await world.invoices(asked.session_id) == ["issued", "pending"]
    await world.send(missed(asked))
    assert await world.invoices(asked.session_id) == ["issued", "void"]
    assert [each.due_on for each in await world.heard(InvoiceIssued)] == [asked.ends_at.date() + timedelta(days=14)]


@pytest.mark.rule("RESC-1", "PLAN-1")
async def test_a_co_pay_that_is_kept_is_due_on_the_new_day(world: World) -> None:
    asked = await booked(world, "insurance-copay")
    wish = move(asked, new_length_minutes=60)
    await world.send(wish)
    await world.send(moved(wish))
    assert await world.invoices(asked.session_id) == ["pending"]
    await world.send(completed(asked))
    (issued,) = await world.heard(InvoiceIssued)
    assert issued.due_on == wish.new_ends_at.date() + timedelta(days=14)
    midnight = datetime.combine(issued.due_on + timedelta(days=1), datetime.min.time(), UTC)
    await world.move_to(midnight - timedelta(seconds=1))
    assert await world.invoices(asked.session_id) == ["issued"], "the old day's end is over, the new one's is not"
    await world.move_to(midnight)
    assert await world.invoices(asked.session_id) == ["overdue"]


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
    world: World, ending: Callable[[SessionRequested], Event], state: str, plan_id: str
) -> None:
    asked = await booked(world, plan_id)
    wish = await late_move(world, asked)
    await world.send(funded(wish))
    await world.send(ending(asked))
    await world.send(move_refused(wish))
    assert (await world.hold_of(asked.session_id))[0] == state
    if plan_id == "eap-6":
        assert await world.balance() == (6 if state == "returned" else 5, 0)
        causes = [each.cause for each in await world.heard(CreditReturned)]
        assert causes.count("moved") == 1
    else:
        assert await world.invoices(asked.session_id) == ["void" if state == "returned" else "issued", "void"]
        assert [each.cause for each in await world.heard(InvoiceVoided)].count("moved") == 1
    assert await world.imbalances() == []


@pytest.mark.rule("AVAIL-4", "RESC-1")
async def test_what_was_added_lapses_by_itself_unless_the_move_goes_on(world: World) -> None:
    asked, other = await booked(world), requested()
    await world.send(other)
    await world.send(reserved(other))
    forgotten, going_on = await late_move(world, asked), await late_move(world, other)
    await world.send(funded(going_on))
    assert await world.balance() == (2, 4)
    await world.move_to(NOW + timedelta(minutes=19))
    assert await world.balance() == (2, 4)
    await world.move_to(NOW + timedelta(hours=10))
    assert await world.balance() == (3, 3)
    assert [each.cause for each in await world.heard(CreditReturned)] == ["moved"]
    await world.send(moved(going_on))
    assert len(await world.heard(CreditForfeited)) == 1
    # Late word of the one that lapsed: the session goes on with the credit it has.
    await world.send(moved(forgotten))
    assert (await world.hold_of(asked.session_id))[0] == "held"
    assert await world.balance() == (3, 2)
    assert await world.imbalances() == []


@pytest.mark.rule("RESC-1")
async def test_nothing_is_added_for_a_session_that_is_over_or_unknown(world: World) -> None:
    asked = await booked(world)
    await world.send(missed(asked))
    await world.send(move(asked, forfeits=True), move(requested(), forfeits=True))
    assert [each.reasons[0].code for each in await world.heard(MoveCreditRefused)] == ["temporary-interruption"] * 2
    assert await world.balance() == (6, 0)


@pytest.mark.rule("CRED-1", "RESC-1")
async def test_answers_about_a_session_are_numbered_in_their_order(world: World) -> None:
    asked = await booked(world)
    for _ in range(3):
        wish = await late_move(world, asked)
        await world.send(move_refused(wish))
    numbers = [each.sequence for each in await world.outbox() if each.headers["ce_subject"] == asked.session_id]
    assert numbers == [1, 2, 3, 4]

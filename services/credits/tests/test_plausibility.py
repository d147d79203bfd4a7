"""SEC-7: credits refuses booking's events that cannot be true, even if their signatures are valid."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from makegood_contracts.events import CreditForfeited, CreditReturned, CreditSpent, Event, InvoiceIssued, InvoiceWish
from makegood_contracts.events.possible import CLOCK_SKEW

from .credit_building import NOW
from .credits_harness import (
    CreditsHarness,
    cancelled,
    completed,
    corrected,
    extended,
    missed,
    move,
    move_refused,
    moved,
    no_show,
    requested,
    reserved,
)

pytestmark = pytest.mark.rule("SEC-7")
SETTLED = (CreditReturned, CreditForfeited, CreditSpent)


def other(event: Any) -> Any:
    """The same of another member."""
    return msgspec.structs.replace(event, member_id="member-2")


async def nothing_happened(harness: CreditsHarness, session: str) -> None:
    assert await harness.state(session) == "held"
    assert await harness.balance() == (5, 1)
    assert [each.event for each in await harness.records() if isinstance(each.event, SETTLED)] == []


@pytest.mark.parametrize("tell", [missed, no_show, completed])
async def test_an_outcome_before_it_can_be_is_refused(harness: CreditsHarness, tell: Any) -> None:
    await harness.enrol()
    request = requested()
    await harness.handle(request)
    await harness.handle(reserved(request))
    lying = msgspec.structs.replace(tell(request), starts_at=NOW - timedelta(days=1), ends_at=NOW - timedelta(hours=23))
    for event in (tell(request), lying):
        assert await harness.handle_now(event) == {request.session_id: "before-its-time"}
    await nothing_happened(harness, request.session_id)
    possible = {missed: request.starts_at + timedelta(minutes=10), completed: request.ends_at}
    first = possible.get(tell, request.starts_at + timedelta(minutes=1))
    harness.clock.moment = first - CLOCK_SKEW - timedelta(seconds=1)
    assert await harness.handle_now(tell(request)) == {request.session_id: "before-its-time"}
    harness.clock.moment = first - CLOCK_SKEW
    assert await harness.handle_now(tell(request)) == {}
    assert await harness.state(request.session_id) != "held"


async def test_a_grace_that_the_event_makes_up_is_at_least_the_least_that_a_policy_has(harness: CreditsHarness) -> None:
    await harness.enrol()
    request = requested()
    await harness.handle(request)
    harness.clock.moment = request.starts_at - timedelta(seconds=1)
    made_up = msgspec.structs.replace(missed(request), grace_minutes=-5000, missed_at=NOW)
    assert await harness.handle_now(made_up) == {request.session_id: "before-its-time"}


async def test_a_moved_session_is_judged_by_its_new_time(harness: CreditsHarness) -> None:
    await harness.enrol()
    request = requested()
    await harness.handle(request)
    asked = move(request)
    await harness.handle(asked)
    await harness.handle(moved(asked))
    harness.clock.moment = request.ends_at
    assert await harness.handle_now(missed(request)) == {request.session_id: "before-its-time"}
    harness.clock.moment = asked.new_ends_at
    assert await harness.handle_now(missed(request)) == {}


async def test_nobody_settles_the_hold_of_another_member(harness: CreditsHarness) -> None:
    await harness.enrol()
    await harness.enrol("member-2")
    request = requested()
    await harness.handle(request)
    asked = move(request)
    harness.clock.moment = request.ends_at
    told: list[Event] = [
        missed(request), no_show(request), completed(request), cancelled(request, forfeits=True), asked, moved(asked),
        corrected(request, "completed", "provider_missed"),
        extended(request, InvoiceWish(amount_minor=500, currency="EUR", due_on=date(2026, 12, 24))),
    ]  # fmt: skip
    for event in told:
        assert await harness.handle_now(other(event)) == {request.session_id: "not-its-parties"}, event
    await nothing_happened(harness, request.session_id)
    assert await harness.published(InvoiceIssued) == []


async def test_what_was_added_for_a_move_is_given_back_by_its_own_session_alone(harness: CreditsHarness) -> None:
    await harness.enrol()
    request, stranger = requested(), requested(starts_at=NOW + timedelta(days=5))
    await harness.handle(request)
    await harness.handle(stranger)
    asked = move(request, forfeits=True)
    await harness.handle(asked)
    assert await harness.balance() == (3, 3)
    elsewhere = msgspec.structs.replace(move_refused(asked), session_id=stranger.session_id)
    assert await harness.handle_now(elsewhere) == {stranger.session_id: "not-its-parties"}
    theirs = msgspec.structs.replace(moved(asked), session_id=stranger.session_id)
    assert await harness.handle_now(theirs) == {stranger.session_id: "not-its-parties"}
    assert await harness.balance() == (3, 3)


async def test_only_the_member_forfeits(harness: CreditsHarness) -> None:
    await harness.enrol()
    request = requested()
    await harness.handle(request)
    assert await harness.handle_now(cancelled(request, forfeits=True, by="provider")) == {
        request.session_id: "not-its-terms"
    }
    await nothing_happened(harness, request.session_id)


async def test_nobody_forfeits_for_what_the_provider_did(harness: CreditsHarness) -> None:
    await harness.enrol()
    request = requested()
    await harness.handle(request)
    for event in (
        cancelled(request, forfeits=True, caused_by_provider=True),
        moved(move(request, forfeits=True, caused_by_provider=True)),
    ):
        assert await harness.handle_now(event) == {request.session_id: "not-its-terms"}
    await nothing_happened(harness, request.session_id)


async def test_nobody_pays_for_a_session_that_credits_never_heard_of(harness: CreditsHarness) -> None:
    await harness.enrol()
    invoice = InvoiceWish(amount_minor=50_000, currency="EUR", due_on=date(2026, 12, 24))
    request = requested()
    assert await harness.handle_now(extended(request, invoice)) == {request.session_id: "unknown-session"}
    assert await harness.published(InvoiceIssued) == []


async def test_one_that_is_refused_spoils_none_of_its_batch(harness: CreditsHarness) -> None:
    await harness.enrol()
    first, second = requested(), requested(starts_at=NOW + timedelta(days=4))
    await harness.handle(first, second)
    refused = await harness.handle_now(cancelled(first), other(cancelled(second)))
    assert refused == {second.session_id: "not-its-parties"}
    assert (await harness.state(first.session_id), await harness.state(second.session_id)) == ("returned", "held")

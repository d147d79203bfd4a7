"""Adjustments over HTTP: given and taken by support, once each, with who and why; on a real database."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from makegood_contracts.events import (
    CreditAdjusted,
    CreditReturned,
)
from makegood_contracts.ids import new_id

from .credit_api import MEMBER, Api, slug
from .credit_building import NOW
from .credits_harness import cancelled, missed, requested


@pytest.mark.rule("CRED-5")
async def test_what_support_takes_away_is_what_lapses_first_of_the_length_that_is_named(api: Api) -> None:
    await api.enrol(plan_id="insurance-credits")
    await api.adjust({"amount": 3, "reason": "Goodwill"})
    await api.adjust({"amount": 2, "length_minutes": 30, "reason": "Goodwill"})
    assert (await api.adjust({"amount": -9, "reason": "Mistake"})).json()["available"] == 4

    async def left() -> list[tuple[str, int | None, int]]:
        lots = (await api.own("/credits"))["lots"]
        return [(lot["source"], lot["length_minutes"], lot["available"]) for lot in lots]

    assert await left() == [("adjustment", None, 2), ("adjustment", 30, 2)], "the plan's lapse first"
    refused = await api.adjust({"amount": -3, "length_minutes": 60, "reason": "Mistake"})
    assert slug(refused) == (409, "no-session-credits"), "two are for sessions of 30 minutes alone"
    assert (await api.adjust({"amount": -2, "length_minutes": 60, "reason": "Mistake"})).status_code == 201
    assert await left() == [("adjustment", 30, 2)]


@pytest.mark.rule("CRED-5")
async def test_support_adjusts_and_who_and_why_are_kept(api: Api) -> None:
    answer = await api.adjust({"amount": 3, "reason": "Goodwill"})
    assert answer.status_code == 201
    given = answer.json()
    assert (given["available"], given["unusable"], given["entries"][0]["amount"]) == (0, 3, 3), (
        "nothing covers the member"
    )
    taken = await api.adjust({"amount": -2, "reason": "Mistake"})
    assert (taken.status_code, taken.json()["unusable"]) == (201, 1)
    refused = await api.adjust({"amount": -2, "reason": "Mistake"})
    assert slug(refused) == (409, "no-session-credits")
    assert refused.json()["reasons"][0]["code"] == "no-session-credits"
    items = (await api.own("/ledger"))["items"]
    assert [(item["kind"], item["amount"], item["reason"], item["made_by"]) for item in items] == [
        ("adjust", -2, "Mistake", "support-1"),
        ("adjust", 3, "Goodwill", "support-1"),
    ]
    assert [each.amount for each in await api.harness.published(CreditAdjusted)] == [3, -2]
    assert await api.harness.imbalances() == []


@pytest.mark.rule("MISS-5", "CRED-5")
async def test_a_session_gives_its_credit_back_once_whoever_returns_it(api: Api) -> None:
    await api.enrol()
    lost, given, open_one = requested(), requested(starts_at=NOW + timedelta(days=4)), requested()
    await api.harness.handle(lost, given, open_one)
    await api.harness.handle(cancelled(lost, forfeits=True))
    await api.harness.handle(missed(given))
    body = {"amount": 1, "session_id": lost.session_id, "reason": "Our fault"}
    answers = await asyncio.gather(*(api.adjust(body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert slug(await api.adjust(body)) == (409, "credit-already-returned")
    assert slug(await api.adjust({**body, "session_id": given.session_id})) == (409, "credit-already-returned")
    assert slug(await api.adjust({**body, "session_id": open_one.session_id})) == (422, "validation")
    assert slug(await api.adjust({**body, "session_id": new_id()})) == (422, "validation")
    by_hand = [each for each in await api.harness.published(CreditReturned) if each.cause == "support"]
    assert [each.session_id for each in by_hand] == [lost.session_id]
    assert await api.harness.balance() == (5, 1)
    assert await api.harness.imbalances() == []


@pytest.mark.rule("MISS-5", "CRED-5")
async def test_an_adjustment_needs_a_key_and_happens_once(api: Api) -> None:
    without = await api.call("POST", f"{MEMBER}/adjustments", json={"amount": 1, "reason": "r"})
    assert slug(without) == (400, "idempotency-key-required")
    body = {"amount": 1, "reason": "Goodwill"}
    first = await api.adjust(body, "once")
    again = await api.adjust(body, "once")
    assert (again.status_code, again.json()) == (201, first.json())
    assert slug(await api.adjust({**body, "amount": 2}, "once")) == (422, "idempotency-key-reused")
    assert await api.harness.balance() == (1, 0)


@pytest.mark.rule("CRED-5")
@pytest.mark.parametrize(
    "body",
    [
        {"amount": 0, "reason": "r"},
        {"amount": "1", "reason": "r"},
        {"amount": 1.5, "reason": "r"},
        {"amount": True, "reason": "r"},
        {"amount": 10**12, "reason": "r"},
        {"amount": 1},
        {"amount": 1, "reason": "  "},
        {"amount": 1, "reason": "a\x00b"},
        {"amount": 1, "reason": "r" * 501},
        {"amount": 2, "reason": "r", "session_id": "0193f5b5-0000-7000-8000-000000000000"},
        {"amount": 1, "reason": "r", "session_id": "not-an-id"},
        {"amount": 1, "reason": "r", "session_id": "{0193f5b5-0000-7000-8000-000000000000}"},
        {"amount": 1, "reason": "r", "session_id": "urn:uuid:0193f5b5-0000-7000-8000-000000000000"},
        {"amount": 1, "reason": "r", "session_id": "0193f5b5-0000-7000-8000-\uff10\uff10\uff10000000000"},
        {"amount": 1, "reason": "r", "length_minutes": 0},
        {"amount": 1, "reason": "r", "made_by": "me"},
    ],
)
async def test_an_adjustment_that_makes_no_sense_is_refused_and_leaves_nothing(api: Api, body: dict[str, Any]) -> None:
    assert slug(await api.adjust(body)) == (422, "validation")
    assert await api.harness.ledger() == []


@pytest.mark.rule("CRED-5")
async def test_a_version_of_an_adjustment_that_is_not_there_yet_cannot_match(api: Api) -> None:
    headers = {"Idempotency-Key": new_id(), "If-Match": '"1"'}
    answer = await api.call("POST", f"{MEMBER}/adjustments", json={"amount": 1, "reason": "r"}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (412, "/problems/version-mismatch")
    assert (await api.call("GET", f"{MEMBER}/ledger")).json()["items"] == []

"""CRED-5: what support may not do alone: large adjustments, and anything for themselves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from makegood_contracts.events import CreditAdjusted, PolicyChanged
from makegood_contracts.ids import new_id

from .credit_api import MEMBER, Api, slug
from .credit_building import NOW

PROPOSALS = f"{MEMBER}/adjustment-proposals"


async def propose(api: Api, amount: int = 25) -> str:
    """The path of a proposal by support-1."""
    answer = await api.adjust({"amount": amount, "reason": "Goodwill"})
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


async def decide(api: Api, path: str, decision: str, subject: str = "support-2") -> Any:
    return await api.call("POST", f"{path}/{decision}", subject=subject)


async def told(api: Api, answer: Any) -> list[tuple[Any, ...]]:
    """What the access log says of a request."""
    async with api.harness.database.reading() as queries:
        rows = await queries.fetch(
            "SELECT caller, operation, person_id, outcome FROM access_rows WHERE request_id = $1",
            answer.headers["x-request-id"],
        )
    return [tuple(row) for row in rows]


@pytest.mark.rule("CRED-5")
async def test_more_than_the_limit_waits_for_a_second_person(api: Api) -> None:
    assert (await api.adjust({"amount": 10, "reason": "Goodwill"})).status_code == 201
    path = await propose(api, 11)
    assert await api.harness.balance() == (10, 0)
    body = (await api.call("GET", path)).json()
    assert (body["status"], body["amount"], body["proposed_by"], body["decided_by"]) == (
        "proposed",
        11,
        "support-1",
        None,
    )
    listed = (await api.call("GET", "/v1/credits/adjustment-proposals?status=proposed")).json()["items"]
    assert listed == [body]

    approved = await decide(api, path, "approve")
    assert (approved.status_code, approved.json()["status"], approved.json()["decided_by"]) == (
        200,
        "approved",
        "support-2",
    )
    assert await api.harness.balance() == (21, 0)
    items = (await api.own("/ledger"))["items"]
    assert [(item["amount"], item["reason"], item["made_by"]) for item in items] == [
        (11, "Goodwill", "support-1"),
        (10, "Goodwill", "support-1"),
    ]
    assert (await api.call("GET", "/v1/credits/adjustment-proposals?status=proposed")).json()["items"] == []
    assert (await api.call("GET", PROPOSALS)).json()["items"] == [approved.json()]


@pytest.mark.rule("CRED-5", "SEC-5")
@pytest.mark.parametrize("subject", ["support-1", "member-1"])
async def test_neither_who_proposed_it_nor_the_member_approves_it(api: Api, subject: str) -> None:
    path = await propose(api)
    answer = await decide(api, path, "approve", subject)
    assert slug(answer) == (403, "conflict-of-interest")
    assert await told(api, answer) == [(subject, "adjustment.decide", "member-1", "refused")]
    assert await api.harness.balance() == (0, 0)
    async with api.harness.database.reading() as queries:
        with pytest.raises(asyncpg.CheckViolationError):
            await queries.execute(
                "UPDATE adjustment_proposals SET status = 'approved', decided_by = $1, decided_at = now()", subject
            )


@pytest.mark.rule("CRED-5")
async def test_a_proposal_is_decided_once(api: Api) -> None:
    path = await propose(api)
    answers = await asyncio.gather(*(decide(api, path, "approve", f"support-{number}") for number in range(2, 7)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert {slug(answer)[1] for answer in answers if answer.status_code == 409} == {"already-decided"}
    assert await api.harness.balance() == (25, 0)
    (winner,) = [answer.json()["decided_by"] for answer in answers if answer.status_code == 200]
    assert (await decide(api, path, "approve", winner)).status_code == 200, "the same again changes nothing"
    late = await decide(api, path, "reject", winner)
    assert slug(late) == (409, "already-decided")
    assert await told(api, late) == [(winner, "adjustment.decide", "member-1", "shown")]
    assert [event.amount for event in await api.harness.published(CreditAdjusted)] == [25]


@pytest.mark.rule("CRED-5")
async def test_who_proposed_it_takes_it_back(api: Api) -> None:
    path = await propose(api)
    taken_back = await decide(api, path, "reject", "support-1")
    assert (taken_back.status_code, taken_back.json()["status"]) == (200, "rejected")
    assert slug(await decide(api, path, "approve")) == (409, "already-decided")
    assert await api.harness.balance() == (0, 0)


@pytest.mark.rule("CRED-5")
async def test_a_large_gift_in_small_parts_needs_a_second_person_too(api: Api) -> None:
    assert (await api.adjust({"amount": 6, "reason": "Goodwill"})).status_code == 201
    await propose(api, 5)
    by_another = await api.adjust({"amount": 5, "reason": "Goodwill"}, subject="support-2")
    assert by_another.status_code == 201
    assert (await api.adjust({"amount": -6, "reason": "Mistake"})).status_code == 201
    assert (await api.adjust({"amount": 4, "reason": "Goodwill"})).status_code == 201
    api.harness.clock.moment = NOW + timedelta(days=1, minutes=1)
    assert (await api.adjust({"amount": 10, "reason": "Goodwill"})).status_code == 201


@pytest.mark.rule("CRED-5")
async def test_what_is_taken_away_in_large_needs_a_second_person_and_never_more_than_is_there(api: Api) -> None:
    path = await propose(api, -11)
    answer = await decide(api, path, "approve")
    assert slug(answer) == (409, "no-session-credits")
    assert await told(api, answer) == [("support-2", "adjustment.decide", "member-1", "shown")]
    assert (await api.call("GET", path)).json()["status"] == "proposed"


@pytest.mark.rule("CRED-5")
async def test_the_limit_is_the_policys(api: Api) -> None:
    told: dict[str, Any] = {
        "policy_id": "standard",
        "in_force_from": NOW,
        "notice_hours": 48,
        "confirm_hours": 24,
        "join_minutes": 10,
    }
    told |= {"grace_minutes": 10, "no_show_minutes": 15, "inactivity_days": 25, "offer_minutes": 120}
    await api.harness.handle(PolicyChanged(policy_version=3, adjustment_limit=2, **told))
    await api.harness.handle(PolicyChanged(policy_version=2, adjustment_limit=50, **told))
    await propose(api, 3)
    assert (await api.adjust({"amount": 2, "reason": "Goodwill"})).status_code == 201


@pytest.mark.rule("CRED-5", "SEC-1")
async def test_support_decides_nothing_about_themselves(api: Api) -> None:
    own = "member-1"
    for subject, status in ((own, 403), ("support-1", 201)):
        answer = await api.adjust({"amount": 1, "reason": "Goodwill"}, subject=subject)
        assert answer.status_code == status
    enrolment = {"plan_id": "insurance-credits", "starts_on": "2026-11-01"}
    for role in ("support", "ops"):
        answer = await api.call("PUT", f"{MEMBER}/enrolment", role, own, json=enrolment)
        assert slug(answer) == (403, "conflict-of-interest")
    void = await api.call("POST", f"{MEMBER}/invoices/{new_id()}/void", subject=own, json={"reason": "r"})
    assert slug(void) == (403, "conflict-of-interest")
    assert await api.harness.balance() == (1, 0)


async def test_nobody_else_sees_or_decides_proposals(api: Api) -> None:
    path = await propose(api)
    for role, subject in (("member", "member-1"), ("provider", "p"), ("ops", "o")):
        for method, target in (
            ("GET", path),
            ("GET", PROPOSALS),
            ("POST", f"{path}/approve"),
            ("POST", f"{path}/reject"),
        ):
            assert (await api.call(method, target, role, subject)).status_code == 403
    elsewhere = path.replace("member-1", "member-2")
    assert (await api.call("GET", elsewhere)).status_code == 404
    assert (await decide(api, elsewhere, "approve")).status_code == 404
    assert (await decide(api, f"{PROPOSALS}/none", "approve")).status_code == 404

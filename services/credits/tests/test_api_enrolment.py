"""Before booking the member reads which plan they are on and what a session costs (BOOK-3)."""

from __future__ import annotations

from typing import Any

import pytest

from .credit_api import MEMBER, Api, slug

PATH = f"{MEMBER}/enrolment"


@pytest.mark.rule("BOOK-3")
@pytest.mark.parametrize(
    ("plan", "costs"),
    [
        ("out-of-pocket-4", {"credit": 1, "amount": None}),
        ("insurance-copay", {"credit": None, "amount": {"amount_minor": 2500, "currency": "USD"}}),
        ("messaging-only", None),
    ],
)
async def test_the_member_reads_their_plan_and_what_a_session_costs(api: Api, plan: str, costs: Any) -> None:
    put = (await api.enrol(plan_id=plan)).json()
    answer = await api.call("GET", PATH, "member", "member-1")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert {name: found[name] for name in put} == put
    assert (found["status"], found["plan"]["id"], found["costs"]) == ("current", plan, costs)
    assert (await api.call("GET", PATH, "support")).json() == found


@pytest.mark.rule("BOOK-3")
async def test_a_member_without_a_plan_has_none_to_read_and_one_to_come_is_told_as_such(api: Api) -> None:
    assert slug(await api.call("GET", PATH, "member", "member-1")) == (404, "not-found")
    await api.enrol(plan_id="eap-6", starts_on="2099-01-01")
    found = (await api.call("GET", PATH, "member", "member-1")).json()
    assert (found["status"], found["plan_id"]) == ("ahead", "eap-6")
    await api.enrol(plan_id="sponsored-12")
    found = (await api.call("GET", PATH, "member", "member-1")).json()
    assert (found["status"], found["plan_id"]) == ("current", "sponsored-12")


async def test_neither_providers_nor_ops_nor_other_members_read_it(api: Api) -> None:
    await api.enrol(plan_id="eap-6")
    assert (await api.call("GET", PATH, "provider")).status_code == 403
    assert (await api.call("GET", PATH, "ops")).status_code == 403
    assert slug(await api.call("GET", "/v1/members/somebody-else/enrolment", "member", "member-1")) == (
        404,
        "not-found",
    )

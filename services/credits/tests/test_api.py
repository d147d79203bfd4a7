"""Credits over HTTP: shapes, rights, bad input, repeats; on a real database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.routing import APIRoute
from makegood_chassis.http.access_log import access_log
from makegood_chassis.http.openapi import dependencies
from makegood_contracts.events import (
    CreditGranted,
    EnrolmentEnded,
    LotExpiryChanged,
    MemberEnrolled,
)
from makegood_contracts.ids import new_id

from .credit_api import MEMBER, Api, slug
from .credits_harness import missed, requested


@pytest.mark.rule("PLAN-1")
async def test_plans_are_listed_for_anyone_signed_in_by_cursor(api: Api) -> None:
    first = (await api.call("GET", "/v1/plans?limit=4", "member")).json()
    rest = (await api.call("GET", f"/v1/plans?limit=4&cursor={first['next_cursor']}", "provider")).json()
    plans = {plan["id"]: plan for plan in first["items"] + rest["items"]}
    assert sorted(plans) == [
        "eap-6",
        "insurance-copay",
        "insurance-credits",
        "messaging-only",
        "out-of-pocket-4",
        "sponsored-12",
    ]
    assert rest["next_cursor"] is None
    assert plans["out-of-pocket-4"] == {
        "id": "out-of-pocket-4",
        "kind": "out_of_pocket",
        "name": "Out of pocket, 4 live sessions a month",
        "live_credits": 4,
        "period": "P1M",
        "lengths": [30],
        "psychiatry_lengths": [30],
        "modalities": ["video", "audio", "chat"],
        "purchasable": True,
        "unit_price": {"amount_minor": 6500, "currency": "USD"},
        "co_pay": None,
    }
    assert plans["insurance-copay"]["co_pay"] == {"amount_minor": 2500, "currency": "USD"}


@pytest.mark.rule("PLAN-1")
async def test_an_enrolment_is_told_and_grants_credits(api: Api) -> None:
    answer = await api.enrol(plan_id="out-of-pocket-4", time_zone="Europe/Berlin", ends_on="2027-03-31")
    assert answer.status_code == 200
    body = answer.json()
    assert {name: body[name] for name in ("member_id", "plan_id", "starts_on", "ends_on", "time_zone")} == {
        "member_id": "member-1",
        "plan_id": "out-of-pocket-4",
        "starts_on": "2026-11-01",
        "ends_on": "2027-03-31",
        "time_zone": "Europe/Berlin",
    }
    again = await api.enrol(plan_id="out-of-pocket-4", time_zone="Europe/Berlin", ends_on="2027-03-31")
    assert (again.json(), again.headers["etag"]) == (body, answer.headers["etag"])
    (told,) = await api.harness.published(MemberEnrolled)
    assert (told.enrolment_id, told.plan_kind, told.live_credits, told.lengths) == (
        body["id"],
        "out_of_pocket",
        4,
        [30],
    )
    await api.enrol()
    (ended,) = await api.harness.published(EnrolmentEnded)
    assert (ended.enrolment_id, ended.ended_on.isoformat()) == (body["id"], "2026-10-31")
    assert (await api.own("/credits"))["available"] == 6
    sequences = [each.sequence for each in await api.harness.records() if "Enrol" in type(each.event).__name__]
    assert sequences == [1, 2, 3]


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize("starts_on", ["2026-11-01", "2026-11-23"])
async def test_a_plan_is_resumed_without_its_time_zone_by_its_own_start_or_the_day_it_was_replaced(
    api: Api, starts_on: str
) -> None:
    first = (await api.enrol(plan_id="eap-6", starts_on="2026-11-01", time_zone="America/New_York")).json()
    await api.enrol(plan_id="messaging-only", starts_on="2026-11-23")
    assert (await api.own("/credits"))["available"] == 0
    again = (await api.enrol(plan_id="eap-6", starts_on=starts_on)).json()
    assert again == first
    assert (await api.own("/credits"))["available"] == 6


@pytest.mark.rule("CRED-4")
async def test_lots_that_lapse_sooner_or_later_than_was_told_are_told_again(api: Api) -> None:
    await api.enrol(plan_id="eap-6", starts_on="2026-11-01", ends_on="2026-12-31")
    (granted,) = await api.harness.published(CreditGranted)
    assert granted.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    await api.enrol(plan_id="eap-6", starts_on="2026-11-01", ends_on="2026-12-31")
    assert await api.harness.published(LotExpiryChanged) == []
    await api.enrol(plan_id="eap-6", starts_on="2026-11-01", ends_on="2027-03-31")
    await api.enrol(plan_id="sponsored-12", starts_on="2026-12-01")
    told = await api.harness.published(LotExpiryChanged)
    assert {each.lot_id for each in told} == {granted.lot_id}
    assert [each.expires_at for each in told] == [datetime(2027, 4, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)]


@pytest.mark.rule("PLAN-1", "REM-1")
@pytest.mark.parametrize(
    ("plan_id", "channels"),
    [("out-of-pocket-4", ("email", "whatsapp")), ("eap-6", ("email",)), ("insurance-copay", ("email",))],
)
async def test_a_plan_says_how_the_provider_may_remind(api: Api, plan_id: str, channels: tuple[str, ...]) -> None:
    await api.enrol(plan_id=plan_id)
    (told,) = await api.harness.published(MemberEnrolled)
    assert told.reminder_channels == channels


@pytest.mark.rule("CRED-4")
async def test_the_member_sees_what_is_left_what_is_held_when_it_lapses_and_why(api: Api) -> None:
    assert await api.own("/credits") == {"available": 0, "held": 0, "lots": [], "unusable": 0, "next_credits": None}
    await api.enrol(plan_id="out-of-pocket-4")
    asked = requested(length=30)
    await api.harness.handle(asked)
    credits = await api.own("/credits")
    (lot,) = credits["lots"]
    assert (credits["available"], credits["held"]) == (3, 1)
    assert lot == {
        "id": lot["id"],
        "source": "plan",
        "length_minutes": 30,
        "granted": 4,
        "available": 3,
        "held": 1,
        "expires_at": "2026-12-01T00:00:00Z",
        "made_for_minutes": None,
        "unusable": None,
    }
    assert credits["next_credits"] == {"available_from": "2026-12-01T00:00:00Z", "credits": 4}
    ledger = await api.own("/ledger")
    assert [
        (item["kind"], item["amount"], item["available_after"], item["held_after"]) for item in ledger["items"]
    ] == [
        ("hold", 1, 3, 1),
        ("grant", 4, 4, 0),
    ]
    newest = ledger["items"][0]
    assert (newest["session_id"], newest["lot_id"], newest["made_by"]) == (asked.session_id, lot["id"], "member-1")
    assert newest["reason"]
    assert newest["made_at"] == "2026-11-23T09:00:00Z"


@pytest.mark.rule("CRED-4")
async def test_pages_of_the_ledger_neither_skip_nor_repeat_while_it_grows(api: Api) -> None:
    await api.enrol()
    for number in range(5):
        await api.adjust({"amount": 1, "reason": f"number {number}"})
    seen, cursor = [], ""
    while True:
        page = await api.own(f"/ledger?limit=2{cursor}")
        seen += [item["reason"] for item in page["items"]]
        await api.adjust({"amount": 1, "reason": "meanwhile"})
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["number 4", "number 3", "number 2", "number 1", "number 0", "Plan eap-6."]


@pytest.mark.rule("MISS-3")
async def test_invoices_show_the_co_pay_pending_and_void_after_a_miss(api: Api) -> None:
    await api.enrol(plan_id="insurance-copay")
    asked = requested()
    await api.harness.handle(asked)
    (invoice,) = (await api.own("/invoices"))["items"]
    assert invoice == {
        "id": invoice["id"],
        "member_id": "member-1",
        "session_id": asked.session_id,
        "status": "pending",
        "amount": {"amount_minor": 2500, "currency": "USD"},
        "due_on": "2026-12-10",
        "about": "co_pay",
        "refund": None,
        "void_reason": None,
    }
    await api.harness.handle(missed(asked))
    assert [each["status"] for each in (await api.own("/invoices"))["items"]] == ["void"]


@pytest.mark.rule("PLAN-1")
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"plan_id": "gold"}, "plan-unknown"),
        ({"starts_on": None}, "validation"),
        ({"starts_on": 1764000000}, "validation"),
        ({"starts_on": "2026-02-30"}, "validation"),
        ({"starts_on": "2026-11-01T00:00:00Z"}, "validation"),
        ({"starts_on": "0001-01-01"}, "validation"),
        ({"ends_on": "2026-10-31"}, "validation"),
        ({"ends_on": "9999-12-31"}, "validation"),
        ({"time_zone": "Mars/Olympus"}, "validation"),
        ({"time_zone": "localtime"}, "validation"),
        ({"time_zone": "../../etc/passwd"}, "validation"),
        ({"time_zone": ""}, "validation"),
        ({"colour": "red"}, "validation"),
        ({"plan_id": 7}, "validation"),
        ({"plan_id": "a\x00b"}, "validation"),
    ],
)
async def test_an_enrolment_that_makes_no_sense_is_refused_and_leaves_nothing(
    api: Api, body: dict[str, Any], problem: str
) -> None:
    assert slug(await api.enrol(**body)) == (422, problem)
    assert await api.harness.ledger() == []


@pytest.mark.rule("SEC-1")
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/plans", {"owner": 200, "other": 200, "provider": 200, "support": 200, "ops": 200}),
        ("GET", f"{MEMBER}/credits", {"owner": 200, "other": 404, "provider": 403, "support": 200, "ops": 403}),
        ("GET", f"{MEMBER}/ledger", {"owner": 200, "other": 404, "provider": 403, "support": 200, "ops": 403}),
        ("GET", f"{MEMBER}/invoices", {"owner": 200, "other": 404, "provider": 403, "support": 200, "ops": 403}),
        ("PUT", f"{MEMBER}/enrolment", {"owner": 403, "other": 403, "provider": 403, "support": 200, "ops": 200}),
        ("POST", f"{MEMBER}/adjustments", {"owner": 403, "other": 403, "provider": 403, "support": 201, "ops": 403}),
    ],
)
async def test_who_may_do_what(api: Api, method: str, path: str, allowed: dict[str, int]) -> None:
    bodies = {"PUT": {"plan_id": "eap-6", "starts_on": "2026-11-01"}, "POST": {"amount": 1, "reason": "r"}}
    people = {
        "owner": ("member", "member-1"),
        "other": ("member", "member-2"),
        "provider": ("provider", "member-1"),
        "support": ("support", "support-1"),
        "ops": ("ops", "ops-1"),
    }
    found = {}
    for who, (role, subject) in people.items():
        headers = {"Idempotency-Key": new_id()}
        answer = await api.call(method, path, role, subject, json=bodies.get(method), headers=headers)
        found[who] = answer.status_code
    assert found == allowed
    assert (await api.client.request(method, path)).status_code == 401


@pytest.mark.rule("SEC-1")
@pytest.mark.parametrize("member", ["a%00b", "a b", "x" * 129, "%F0%9F%98%80"])
async def test_a_member_id_that_cannot_be_one_is_not_found(api: Api, member: str) -> None:
    for answer in (
        await api.call("GET", f"/v1/members/{member}/credits"),
        await api.call("PUT", f"/v1/members/{member}/enrolment", json={"plan_id": "eap-6", "starts_on": "2026-11-01"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.rule("SEC-5")
async def test_each_read_and_change_of_credits_leaves_one_row(api: Api) -> None:
    await api.enrol()
    for path in ("/credits", "/ledger", "/invoices"):
        await api.own(path)
    await api.adjust({"amount": 1, "reason": "Goodwill"}, headers={"X-Access-Reason": "billing; ticket 4711"})
    await api.adjust({"amount": -9, "reason": "too much"})
    await api.call("GET", "/v1/plans")
    rows = (await api.call("GET", "/v1/credits/access?person_id=member-1")).json()["items"]
    assert [(row["caller"], row["operation"], row["reason"], row["remark"], row["outcome"]) for row in rows] == [
        (
            "support-1",
            "adjustment.make",
            "support_request",
            None,
            "shown",
        ),  # refused by a rule, which told of the balance
        ("support-1", "adjustment.make", "billing", "ticket 4711", "changed"),
        ("member-1", "invoices.read", None, None, "shown"),
        ("member-1", "ledger.read", None, None, "shown"),
        ("member-1", "credits.read", None, None, "shown"),
        ("support-1", "enrolment.set", "support_request", None, "changed"),
    ]


@pytest.mark.rule("SEC-5")
async def test_every_route_about_a_member_keeps_the_access_log(api: Api) -> None:
    routes = [route for route in api.app.routes if isinstance(route, APIRoute) and route.path.startswith("/v1/")]
    without = {route.path for route in routes if access_log not in dependencies(route.dependant)}
    assert {path for path in without if "/dev/" not in path} == {"/v1/plans", "/v1/webhooks/payments"}


async def test_the_openapi_document_names_every_path(api: Api) -> None:
    document = (await api.client.get("/v1/credits/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert {path for path in document["paths"] if "/dev/" not in path and path.startswith("/v1/")} == {
        "/v1/plans",
        "/v1/credits/access",
        "/v1/credits/adjustment-proposals",
        "/v1/members/{member_id}/adjustment-proposals",
        *(
            f"/v1/members/{{member_id}}/adjustment-proposals/{{proposal_id}}{what}"
            for what in ("", "/approve", "/reject")
        ),
        "/v1/members/{member_id}/invoices/{invoice_id}/void",
        "/v1/purchases",
        "/v1/purchases/{purchase_id}",
        "/v1/webhooks/payments",
        "/v1/members/{member_id}/invoices/{invoice_id}",
        "/v1/members/{member_id}/invoices/{invoice_id}/pay",
        *(
            f"/v1/members/{{member_id}}/{name}"
            for name in ("credits", "ledger", "invoices", "enrolment", "adjustments")
        ),
    }

"""Booking: one slot and one credit, or neither (BOOK)."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from makegood_devtools.client import Refused
from makegood_testkit.platform import Cast, Platform


async def free_starts(cast: Cast, around: datetime) -> list[str]:
    """The slots that the provider offers within an hour of `around`."""
    answer = await cast.member.get(
        f"/v1/providers/{cast.provider.subject}/slots",
        **{
            "from": (around - timedelta(hours=1)).isoformat(),
            "to": (around + timedelta(hours=1)).isoformat(),
            "length_minutes": cast.length,
            "modality": cast.modality,
        },
    )
    return [str(item["starts_at"]) for item in answer["items"]]


@pytest.mark.rule("BOOK-1", "AVAIL-2")
async def test_a_booking_holds_one_slot_and_one_credit(cast: Cast) -> None:
    starts_at = await cast.start_in(timedelta(days=4))
    wanted = starts_at.isoformat().replace("+00:00", "Z")
    assert wanted in await free_starts(cast, starts_at)
    session = await cast.book()
    assert (session["status"], session["credit"]["state"]) == ("reserved", "held")
    assert session["starts_at"] == wanted
    credits = await cast.credits()
    assert (credits["available"], credits["held"]) == (3, 1)
    assert wanted not in await free_starts(cast, starts_at)


@pytest.mark.rule("BOOK-1", "AVAIL-3")
async def test_a_taken_slot_is_refused_and_costs_nothing(cast: Cast) -> None:
    session = await cast.book()
    rival = await cast.platform.cast(provider=cast.provider)
    with pytest.raises(Refused) as refusal:
        await rival.member.post(
            "/v1/sessions", rival.booking_body(datetime.fromisoformat(session["starts_at"])), wait=15
        )
    assert (refusal.value.status, refusal.value.slug) == (409, "slot-taken")
    assert [reason["code"] for reason in refusal.value.problem["reasons"]] == ["slot-taken"]
    await rival.balance(available=4, held=0)


@pytest.mark.rule("BOOK-1")
async def test_every_reason_is_named_at_once(platform: Platform) -> None:
    cast = await platform.cast(plan="eap-6", length=50)
    with pytest.raises(Refused) as refusal:
        await cast.member.post(
            "/v1/sessions", cast.booking_body(await cast.start_in(timedelta(days=4)), modality="audio"), wait=15
        )
    codes = {reason["code"] for reason in refusal.value.problem["reasons"]}
    assert codes == {"slot-not-offered", "length-not-in-plan"}


@pytest.mark.rule("BOOK-1")
async def test_without_prefer_wait_the_answer_is_202_and_the_outcome_is_at_its_location(cast: Cast) -> None:
    answer = await cast.member.post("/v1/sessions", cast.booking_body(await cast.start_in(timedelta(days=4))))
    assert answer.status == 202
    assert answer.headers["location"] == f"/v1/sessions/{answer['id']}"
    await cast.settled(answer.body, "reserved", "held")


@pytest.mark.rule("BOOK-1")
async def test_without_prefer_wait_a_refused_session_ends_rejected_with_its_reason(platform: Platform) -> None:
    cast = await platform.cast(plan="messaging-only")
    answer = await cast.member.post("/v1/sessions", cast.booking_body(await cast.start_in(timedelta(days=4))))
    after = await cast.settled(answer.body, "rejected", "none")
    assert after["reason"] == "plan-excludes-live-sessions"


@pytest.mark.rule("BOOK-2")
async def test_a_session_is_always_shown_in_the_zone_it_was_booked_in(cast: Cast) -> None:
    session = await cast.book(time_zone="Asia/Kolkata")
    starts_at = datetime.fromisoformat(session["starts_at"])
    shown = starts_at.astimezone(ZoneInfo("Asia/Kolkata")).strftime("%Y-%m-%dT%H:%M")
    assert (session["time_zone"], session["local_start"]) == ("Asia/Kolkata", shown)
    seen_by_provider = await cast.provider.get(f"/v1/sessions/{session['id']}")
    assert seen_by_provider["local_start"] == shown


@pytest.mark.rule("BOOK-3")
async def test_policy_and_price_can_be_read_before_reserving(cast: Cast) -> None:
    policy = await cast.member.get("/v1/policies/current")
    assert (policy["notice_hours"], policy["grace_minutes"]) == (48, 10)
    assert "48 hours" in policy["text"]
    assert (await cast.credits())["available"] == 4
    plans = {plan["id"]: plan for plan in (await cast.member.get("/v1/plans"))["items"]}
    assert plans["out-of-pocket-4"]["unit_price"]["currency"]
    session = await cast.book()
    applied = await cast.member.get(f"/v1/sessions/{session['id']}/policy")
    assert (applied["cancellable"], applied["forfeits_now"], applied["notice_hours"]) == (True, False, 48)
    free_until = datetime.fromisoformat(session["starts_at"]) - timedelta(hours=48)
    assert datetime.fromisoformat(applied["free_until"]) == free_until


@pytest.mark.rule("BOOK-4")
@pytest.mark.parametrize(
    ("plan", "length", "credits", "purchasable"), [("out-of-pocket-4", 30, 4, True), ("eap-6", 45, 6, False)]
)
async def test_with_no_credit_left_the_answer_says_so_and_whether_one_can_be_bought(
    platform: Platform, plan: str, length: int, credits: int, purchasable: bool
) -> None:
    cast = await platform.cast(plan=plan, length=length)
    for day in range(credits):
        await cast.book(timedelta(days=3 + day))
    with pytest.raises(Refused) as refusal:
        await cast.book(timedelta(days=12))
    assert (refusal.value.status, refusal.value.slug) == (409, "no-session-credits")
    assert refusal.value.problem["purchasable"] is purchasable


@pytest.mark.rule("BOOK-9", "REL-4")
async def test_fifty_parallel_repeats_have_one_effect(cast: Cast) -> None:
    body = cast.booking_body(await cast.start_in(timedelta(days=4)))
    key = str(uuid.uuid4())
    answers = await asyncio.gather(
        *(cast.member.send("POST", "/v1/sessions", body, key=key, wait=15) for _ in range(50))
    )
    good = [answer for answer in answers if answer.status_code == 201]
    in_flight = [answer for answer in answers if answer.status_code == 409]
    assert good
    assert len(good) + len(in_flight) == 50
    assert {answer.json()["id"] for answer in good} == {good[0].json()["id"]}
    assert {answer.json()["type"] for answer in in_flight} <= {"/problems/idempotency-in-flight"}
    repeated = await cast.member.send("POST", "/v1/sessions", body, key=key, wait=15)
    assert (repeated.status_code, repeated.json()) == (201, good[0].json())
    assert (await cast.credits())["held"] == 1
    assert len((await cast.member.get("/v1/sessions", room_id=cast.room_id))["items"]) == 1


@pytest.mark.rule("BOOK-9", "REL-4")
async def test_a_key_is_bound_to_its_request_and_its_caller(cast: Cast) -> None:
    starts_at = await cast.start_in(timedelta(days=4))
    key = str(uuid.uuid4())
    await cast.member.post("/v1/sessions", cast.booking_body(starts_at), key=key, wait=15)
    changed = await cast.member.send("POST", "/v1/sessions", cast.booking_body(starts_at + timedelta(hours=2)), key=key)
    assert (changed.status_code, changed.json()["type"]) == (422, "/problems/idempotency-key-reused")
    other = await cast.platform.cast()
    answer = await other.member.post("/v1/sessions", other.booking_body(starts_at), key=key, wait=15)
    assert answer.status == 201
    without = await cast.member.send("POST", "/v1/sessions", cast.booking_body(starts_at))
    assert (without.status_code, without.json()["type"]) == (400, "/problems/idempotency-key-required")


@pytest.mark.slow
@pytest.mark.rule("REL-2", "AVAIL-3")
async def test_many_clients_for_overlapping_slots_have_one_winner_each(platform: Platform) -> None:
    """200 clients at once ask for 500 overlapping slots of one provider."""
    first = await platform.cast()
    members = [first, *[await platform.cast(provider=first.provider) for _ in range(39)]]
    base = (await first.start_in(timedelta(days=3))).astimezone(UTC)

    async def ask(number: int) -> tuple[int, str, dict[str, object]]:
        cast = members[number % len(members)]
        starts_at = base + timedelta(minutes=15 * (number * 7 % 100))
        answer = await cast.member.send(
            "POST", "/v1/sessions", cast.booking_body(starts_at), key=str(uuid.uuid4()), wait=25
        )
        body = answer.json()
        return answer.status_code, str(body.get("type", "")), body

    gate = asyncio.Semaphore(200)

    async def bounded(number: int) -> tuple[int, str, dict[str, object]]:
        async with gate:
            return await ask(number)

    answers = await asyncio.gather(*(bounded(number) for number in range(500)))
    statuses = {status for status, _, _ in answers}
    assert statuses <= {201, 409}, statuses
    refused = {slug for status, slug, _ in answers if status == 409}
    assert refused <= {f"/problems/{word}" for word in ("slot-taken", "member-busy", "no-session-credits")}
    won = sorted(
        (datetime.fromisoformat(str(body["starts_at"])), datetime.fromisoformat(str(body["ends_at"])))
        for status, _, body in answers
        if status == 201
    )
    assert won
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(won))
    # Whoever lost has everything back.
    for cast in members:
        held = sum(1 for status, _, body in answers if status == 201 and body["member_id"] == cast.member.subject)
        await cast.balance(available=4 - held, held=held)

"""Pages of sessions while sessions move: each that was there all the time is listed exactly once."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_chassis.http.pages import encode_cursor
from makegood_contracts.events import SessionMoveRequested
from makegood_testkit.service import slug

from .examples import HOUR, START
from .harness import Answers, BookingHarness, Json

DAY = timedelta(days=1)


async def move(harness: BookingHarness, session: Json, starts_at: datetime) -> None:
    """The provider moves the session, and it is moved."""
    now = await harness.read(session)
    if now["starts_at"] == starts_at.isoformat().replace("+00:00", "Z"):
        return
    await harness.outbox()
    body = {"starts_at": starts_at.isoformat()}
    path = f"/v1/sessions/{session['id']}/reschedule"
    answer = await harness.provider.post(path, json=body, headers={"If-Match": "*"})
    assert answer.status_code == 202, answer.text
    (asked,) = await harness.outbox()
    assert isinstance(asked, SessionMoveRequested)
    await harness.handle(Answers.move_held(now, asked.move_id))
    await harness.handle(Answers.slot_moved(now, asked.move_id, asked.new_starts_at, asked.new_ends_at))


async def listed(harness: BookingHarness, **params: Any) -> Json:
    answer = await harness.member.get("/v1/sessions", params=params)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def test_a_session_that_moves_to_a_page_already_read_is_listed_all_the_same(harness: BookingHarness) -> None:
    made = [await harness.confirmed(START + n * DAY) for n in range(4)]
    first = await listed(harness, limit=2)
    await move(harness, made[3], START + HOUR)
    rest = await listed(harness, limit=2, cursor=first["next_cursor"])
    shown = [item["id"] for item in first["items"] + rest["items"]]
    assert shown == [session["id"] for session in made]
    assert rest["next_cursor"] is None
    assert rest["items"][1]["starts_at"] == (START + HOUR).isoformat().replace("+00:00", "Z"), (
        "it is shown as it is now"
    )
    assert [item["id"] for item in (await listed(harness))["items"]][1] == made[3]["id"], "a new list has the new order"


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_moves_between_pages_each_session_is_listed_once_in_the_order_of_the_first(
    harness: BookingHarness, seed: int
) -> None:
    """Random moves, forth and back, several of one session, of sessions listed and not listed yet."""
    chance = random.Random(seed)
    made = [await harness.confirmed(START + n * DAY) for n in range(7)]
    shown: list[str] = []
    params: Json = {"limit": chance.randint(1, 3)}
    while True:
        found = await listed(harness, **params)
        shown += [item["id"] for item in found["items"]]
        if found["next_cursor"] is None:
            break
        params["cursor"] = found["next_cursor"]
        for n in range(chance.randint(0, 3)):
            to = START + chance.randint(-1, 8) * DAY + (n + 1) * timedelta(minutes=chance.randint(1, 600))
            await move(harness, chance.choice(made), to)
    assert shown == [session["id"] for session in made]


@pytest.mark.parametrize(
    "snapshot", ["", "1", "a:b:c", "1:2:3,", "5:4:", "0:0:", "3:9:5,4", "3:5:6", "3:5:5", f"1:{'9' * 40}:"]
)
async def test_a_cursor_that_tells_no_snapshot_is_refused(harness: BookingHarness, snapshot: str) -> None:
    session = await harness.ask()
    cursor = encode_cursor(START, session["id"], snapshot)
    answer = await harness.member.get("/v1/sessions", params={"cursor": cursor})
    assert (answer.status_code, slug(answer)) == (422, "validation")

"""Bad input gets the documented problem through the gateway, never a 500, and never a row half written."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from makegood_testkit.platform import Cast

ODD_IDS = (
    "urn:uuid:0193f5b5-0000-7000-8000-00000000abcd",
    "{0193f5b5-0000-7000-8000-0000000abcd}",
    "0193f5b5-0000-7000-8000-0000_0000_ab",
    "0193f5b5-0000-7000-8000-\uff10\uff10\uff10\uff10\uff10\uff10\uff10\uff10abcd",
)
"""Texts that some libraries take for a UUID, and PostgreSQL or others do not."""

BAD_BODIES: list[tuple[str, dict[str, Any], int, str]] = [
    ("a field is missing", {"length_minutes": None}, 422, "validation"),
    ("a wrong type", {"length_minutes": "half an hour"}, 422, "validation"),
    ("an unknown field", {"colour": "blue"}, 422, "validation"),
    ("a time without an offset", {"starts_at": "2031-05-01T10:00:00"}, 422, "validation"),
    ("a time in the past", {"starts_at": "2020-05-01T10:00:00Z"}, 422, "validation"),
    ("beyond the horizon", {"starts_at": "2099-05-01T10:00:00Z"}, 422, "validation"),
    ("a zone that does not exist", {"time_zone": "Mars/Olympus"}, 422, "validation"),
    ("an unknown modality", {"modality": "telepathy"}, 422, "validation"),
    ("in person without a venue", {"modality": "in_person"}, 422, "validation"),
    ("a room that does not exist", {"room_id": str(uuid.uuid4())}, 404, "not-found"),
    ("a room id that is none", {"room_id": "kitchen"}, 404, "not-found"),
    *[(f"a room id that is none: {text!a}", {"room_id": text}, 404, "not-found") for text in ODD_IDS],
    *[
        (f"a venue id that is none: {text!a}", {"modality": "in_person", "venue_id": text}, 422, "validation")
        for text in ("kitchen", *ODD_IDS)
    ],
    ("a NUL in a string", {"time_zone": "Europe/Ber\x00lin"}, 422, "validation"),
]


def slug(response: httpx.Response) -> str:
    assert response.headers["content-type"].startswith("application/problem+json"), response.text
    return str(response.json()["type"]).rsplit("/", 1)[-1]


@pytest.mark.parametrize(
    ("change", "status", "problem"), [case[1:] for case in BAD_BODIES], ids=[case[0] for case in BAD_BODIES]
)
async def test_a_bad_booking_is_refused_and_leaves_nothing(
    cast: Cast, change: dict[str, Any], status: int, problem: str
) -> None:
    body = cast.booking_body(await cast.start_in(timedelta(days=4)), **change)
    body = {name: value for name, value in body.items() if value is not None}
    answer = await cast.member.send("POST", "/v1/sessions", body, key=str(uuid.uuid4()), wait=15)
    assert (answer.status_code, slug(answer)) == (status, problem)
    assert (await cast.member.get("/v1/sessions"))["items"] == []
    assert (await cast.credits())["held"] == 0


async def test_a_length_that_is_not_offered_is_refused_with_its_reason(cast: Cast) -> None:
    body = cast.booking_body(await cast.start_in(timedelta(days=4)), length_minutes=60)
    answer = await cast.member.send("POST", "/v1/sessions", body, key=str(uuid.uuid4()), wait=15)
    assert answer.status_code == 409
    assert {reason["code"] for reason in answer.json()["reasons"]} == {"slot-not-offered", "length-not-in-plan"}


async def test_somebody_elses_room_is_not_found(cast: Cast) -> None:
    other = await cast.platform.cast()
    body = cast.booking_body(await cast.start_in(timedelta(days=4)), room_id=other.room_id)
    answer = await cast.member.send("POST", "/v1/sessions", body, key=str(uuid.uuid4()), wait=15)
    assert (answer.status_code, slug(answer)) == (404, "not-found")


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        (b"{not json", 400, "validation"),
        (b"\xff\xfe", 400, "validation"),
        (b"[" * 100_000, 400, "validation"),
        (b'"text"', 422, "validation"),
        (b'{"room_id": "' + b"x" * 2_000_000 + b'"}', 413, "payload-too-large"),
    ],
    ids=["no JSON", "no UTF-8", "deeply nested", "no object", "2 MB"],
)
async def test_a_body_that_is_none(cast: Cast, body: bytes, status: int, problem: str) -> None:
    headers = {
        "Authorization": f"Bearer {cast.member.token}",
        "Idempotency-Key": str(uuid.uuid4()),
        "Content-Type": "application/json",
    }
    answer = await cast.platform.gateway.http.post("/v1/sessions", content=body, headers=headers)
    assert (answer.status_code, slug(answer)) == (status, problem)


@pytest.mark.parametrize("text", ODD_IDS)
async def test_an_odd_id_is_never_more_than_not_found(cast: Cast, text: str) -> None:
    for path in (
        f"/v1/sessions/{text}",
        f"/v1/sessions/{text}/history",
        f"/v1/rooms/{text}",
        f"/v1/rooms/{text}/messages",
        f"/v1/venues/{text}",
    ):
        answer = await cast.member.send("GET", path)
        assert (answer.status_code, slug(answer)) == (404, "not-found"), path


async def test_what_does_not_exist_is_a_problem_too(cast: Cast) -> None:
    for path, status in (("/v1/nothing", 404), ("/v1/sessions/kitchen", 404), (f"/v1/sessions/{uuid.uuid4()}", 404)):
        answer = await cast.member.send("GET", path)
        assert (answer.status_code, slug(answer)) == (status, "not-found")
    answer = await cast.member.send("DELETE", "/v1/sessions")
    assert (answer.status_code, slug(answer)) == (405, "method-not-allowed")

"""Cursors: opaque, checked, exact."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_chassis.http import pages
from makegood_chassis.http.pages import decode_cursor, encode_cursor
from makegood_chassis.http.problems import Problem

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
_FIRST, _LAST = datetime(1, 1, 1, 0, 0, 1), datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001


@given(st.datetimes(_FIRST, _LAST, timezones=st.just(UTC)), _TEXT, st.integers(-(2**63), 2**63 - 1))
def test_a_cursor_gives_back_its_position(moment: datetime, text: str, number: int) -> None:
    assert decode_cursor(encode_cursor(moment, text, number), datetime, str, int) == (moment, text, number)


def test_an_instant_keeps_its_microseconds_whatever_its_offset() -> None:
    moment = datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    assert decode_cursor(encode_cursor(moment), datetime) == (moment,)


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_a_422(text: str) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(text, datetime, str)
    assert refused.value.status == 422


@given(st.data())
def test_a_cursor_that_was_tampered_with_is_a_422(data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(encode_cursor("2026", 7) + "=="))
    index = data.draw(st.integers(0, len(raw) - 1))
    raw[index] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Problem):
        decode_cursor(base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), str, int)


def test_a_cursor_of_another_list_is_a_422() -> None:
    with pytest.raises(Problem):
        decode_cursor(encode_cursor("a"), str, str)
    with pytest.raises(Problem):
        decode_cursor(encode_cursor("a", "b"), str, int)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"[null]", str),
        (b"[null]", int),
        (b"[null]", datetime),
        (b'["9999-12-31T23:59:59-14:00"]', datetime),
        (b'["0001-01-01T00:00:00+14:00"]', datetime),
        (b'["9999-12-31T23:59:59.999999Z"]', datetime),
        (b'["0001-01-01T00:00:00Z"]', datetime),
        (b'["2026-11-24T10:00:00"]', datetime),
        (b'["\\u0000"]', str),
        (b"[9223372036854775808]", int),
        (b"[true]", int),
        (b"{}", str),
    ],
)
def test_a_cursor_forged_with_its_checksum_is_a_422(content: bytes, kind: type) -> None:
    forged = base64.urlsafe_b64encode(pages._checksum(content) + content).rstrip(b"=").decode()
    with pytest.raises(Problem) as refused:
        decode_cursor(forged, kind)
    assert refused.value.status == 422


async def test_pages_neither_skip_nor_repeat_while_the_list_grows(client: httpx.AsyncClient) -> None:
    texts = ["b", "a", "c", "a", "b", "c", "a", "d"]
    for index, text in enumerate(texts):
        answer = await client.post("/v1/notes", json={"text": text}, headers={"Idempotency-Key": f"k{index}"})
        assert answer.status_code == 201
    seen: list[str] = []
    cursor = None
    while True:
        asked = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        answer = await client.get("/v1/notes", params=asked)
        seen += [item["text"] for item in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
        # A row before the cursor must not push anything to the next page.
        await client.post("/v1/notes", json={"text": "0"}, headers={"Idempotency-Key": f"new{len(seen)}"})
    assert seen == sorted(texts)
    assert (await client.get("/v1/notes", params={"cursor": "x"})).status_code == 422
    assert (await client.get("/v1/notes", params={"limit": 201})).status_code == 422

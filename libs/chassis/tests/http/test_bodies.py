"""SEC-6: a body of any shape is checked in linear time and memory, and only once its sender was let in."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from makegood_chassis.http.bodies import LIMIT, MOST_DEPTH, MOST_DIGITS, MOST_ELEMENTS, check_body, parse_body
from makegood_chassis.http.problems import Problem
from makegood_testkit.identity import Identity

from . import notes
from .conftest import service_of

pytestmark = pytest.mark.rule("SEC-6")

ALLOWED = 0.005
"""Seconds for each 100 kB that a body begins."""
QUIET = 0.0011
"""Seconds that `_reference` takes on a quiet 2-core machine; on a busy or slower one everything is allowed as much longer."""
JSON = {"Content-Type": "application/json", "Idempotency-Key": "k"}

SURROGATES = b'"\\ud83d\\ude00"'
DEEP = 200


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


SHAPES: dict[str, Callable[[int], bytes]] = {
    "zeros": lambda size: b"0" * size,
    "a long number": lambda size: b"1" * size,
    "a long fraction": lambda size: b"0." + b"1" * size,
    "a text of digits": lambda size: b'"' + b"1" * size + b'"',
    "a text of spaces": lambda size: b'"' + b" " * size + b'"',
    "a text of words": lambda size: b'"' + b"word " * (size // 5) + b'"',
    "a text of quotes": lambda size: b'"' + b'\\"' * (size // 2) + b'"',
    "a text of backslashes": lambda size: b'"' + b"\\\\" * (size // 2) + b'"',
    "a text of pairs": lambda size: b'"' + b"\\ud83d\\ude00" * (size // 12) + b'"',
    "a text of lone surrogates": lambda size: b'"' + b"\\ud83d" * (size // 6) + b'"',
    "a text of NULs": lambda size: b'"' + b"\\u0000" * (size // 6) + b'"',
    "a text that is not ASCII": lambda size: b'"' + "é".encode() * (size // 2) + b'"',
    "openings": lambda size: b"[" * size,
    "closings": lambda size: b"]" * size,
    "commas": lambda size: b"," * size,
    "quotes": lambda size: b'"' * size,
    "backslashes": lambda size: b"\\" * size,
    "deep": lambda size: _nested(size // 2),
    "as deep as allowed": lambda size: _list(_nested(MOST_DEPTH - 3), size),
    "a comb": lambda size: b"[0," * (size // 4) + b"0" + b"]" * (size // 4),
    "deep with surrogates": lambda size: (b"[" + SURROGATES + b",") * DEEP + b"0," * (size // 2) + b"0" + b"]" * DEEP,
    "wide": lambda size: _list(b"0", size),
    "wide, of texts": lambda size: _list(b'""', size),
    "wide, of arrays": lambda size: _list(b"[]", size),
    "wide, of objects": lambda size: _list(b"{}", size),
    "wide, of hours": lambda size: _list(b'{"day":"monday"}', size),
    "wide, of faults": lambda size: _list(b'{"day":0}', size),
    "wide, of faults in a field": lambda size: b'{"text":"a","weekly":' + _list(b"0", size) + b"}",
    "wide, of small fractions": lambda size: _list(b"1.7e-308", size),
    "wide, of long numbers": lambda size: _list(b"7" * MOST_DIGITS, size),
    "wide, of pairs": lambda size: _list(SURROGATES, size),
    "wide, one surrogate is alone": lambda size: _list(b"0", size)[:-1] + b',"\\ud83d"]',
    "many keys": lambda size: _object(size, b'"field%07d":0'),
    "many keys of an inner object": lambda size: b'{"weekly":[' + _object(size, b'"field%07d":0') + b"]}",
    "duplicate keys": lambda size: _object(size, b'"text":%d'),
    "long keys": lambda size: b'{"' + b"k" * size + b'":0}',
    "a long zone": lambda size: b'{"text":"a","zone":"' + b"zone " * (size // 5) + b'"}',
    "a long instant": lambda size: b'{"text":"a","at":"' + b"2026-11-24" * (size // 10) + b'"}',
}


def _list(item: bytes, size: int) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


def _object(size: int, member: bytes) -> bytes:
    count = size // (len(member % 0) + 1)
    return b"{" + b",".join(member % number for number in range(count)) + b"}"


class Door:
    """The app of the notes, called as its HTTP server would call it, without the server's own time."""

    def __init__(self, app: FastAPI, identity: Identity) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._headers = [
            (name.lower().encode(), value.encode()) for name, value in {**JSON, **identity.bearer("anna")}.items()
        ]

    def send(self, body: bytes) -> tuple[float, int]:
        """(seconds of processor time, status)."""
        status = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def answer(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/v1/notes", "raw_path": b"/v1/notes", "query_string": b"", "root_path": "",
            "headers": self._headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        }  # fmt: skip

        async def measured() -> float:
            begun = time.thread_time()
            await self._app(scope, receive, answer)
            return time.thread_time() - begun

        return self._loop.run_until_complete(measured()), status

    def close(self) -> None:
        self._loop.close()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    identity = Identity(tmp_path_factory.mktemp("identity") / "jwks.json")
    service = service_of(identity.path, person_work=1000, person_work_burst=1000)
    service.revocations.loaded = True  # there is no database, and nothing here comes so far
    made = Door(notes.app(service), identity)
    assert made.send(b"{}")[1] == 422
    yield made
    made.close()


def _reference() -> float:
    """Seconds that this machine takes now for what every service does with a body: parsing 100 kB of it."""
    body = json.dumps([{"day": "monday", "from": "09:00"}] * 2700)
    return min(_time(lambda: json.loads(body)) for _ in range(3))


def _time(work: Callable[[], object]) -> float:
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def _check_cost(door: Door, name: str, body: bytes) -> None:
    """The best of some: what disturbs a measurement only ever adds to it."""
    taken, allowed = [], 0.0
    for _ in range(24):
        seconds, status = door.send(body)
        assert 400 <= status < 500, (name, status)
        taken.append(seconds)
        allowed = ALLOWED * -(-len(body) // 100_000) * max(1.0, _reference() / QUIET)
        if min(taken) <= allowed:
            return
    raise AssertionError(f"{name}, {len(body):,} bytes: {min(taken) * 1000:.1f} ms, allowed {allowed * 1000:.1f} ms")


@pytest.mark.parametrize("size", [90_000, 250_000, 1_000_000])
@pytest.mark.parametrize("name", SHAPES)
def test_a_body_of_any_shape_costs_5_ms_per_100_kb_at_most(door: Door, name: str, size: int) -> None:
    body = SHAPES[name](size)
    assert len(body) > 0.8 * size
    _check_cost(door, name, body[:LIMIT])


_NAMES = sorted(SHAPES)


@settings(deadline=None, max_examples=60)
@given(
    parts=st.lists(st.tuples(st.sampled_from(_NAMES), st.integers(1, 60_000)), min_size=1, max_size=6), data=st.data()
)
def test_so_does_a_body_of_several_shapes(parts: list[tuple[str, int]], data: st.DataObject, door: Door) -> None:
    pieces = [SHAPES[name](size) for name, size in parts]
    frame = data.draw(st.sampled_from(["array", "object", "weekly", "bare"]))
    if frame == "array":
        body = b"[" + b",".join(pieces) + b"]"
    elif frame == "object":
        body = b"{" + b",".join(b'"%d":%b' % pair for pair in enumerate(pieces)) + b"}"
    elif frame == "weekly":
        body = b'{"text":"a","weekly":[' + b",".join(pieces) + b"]}"
    else:
        body = b"".join(pieces)
    _check_cost(door, f"{frame} of {parts}", body[:LIMIT])


@pytest.mark.parametrize("name", SHAPES)
def test_a_body_takes_little_memory(door: Door, name: str) -> None:
    """1 MB made 3.6 GB once. A text of one wide character takes four bytes each; that is the most that is needed."""
    body = SHAPES[name](1_000_000)
    door.send(body)
    tracemalloc.start()
    try:
        door.send(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * len(body)


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (_nested(MOST_DEPTH), None),
        (_nested(MOST_DEPTH + 1), "nested more than 64 levels deep"),
        (b'{"a":' * MOST_DEPTH + b"0" + b"}" * MOST_DEPTH, None),
        (b'{"a":' * (MOST_DEPTH + 1) + b"0" + b"}" * (MOST_DEPTH + 1), "nested more than 64 levels deep"),
        (b"[" + b"[]," * 100 + b'"' + b"[" * 1000 + b'\\"]"]', None),
        (b"[" + b"0," * (MOST_ELEMENTS - 2) + b"0]", None),
        (b"[" + b"0," * MOST_ELEMENTS + b"0]", "more than 20,000 elements"),
        (b'"' + b"," * 3 * MOST_ELEMENTS + b'"', None),
        (b'"\\\\",' * (2 * MOST_ELEMENTS + 1), "more than 20,000 elements"),
        (b"9" * MOST_DIGITS, None),
        (b"9" * (MOST_DIGITS + 1), "more than 64 digits"),
        (b"1e" + b"9" * MOST_DIGITS, "not valid JSON"),
        (b'"' + b"9" * 1000 + b'"', None),
        (b'["\\\\"' + b"," + b"9" * 1000 + b',"\\""]', "more than 64 digits"),
    ],
)
def test_each_bound_is_where_it_is_said_to_be(body: bytes, refused: str | None) -> None:
    if refused is None:
        check_body(body, "application/json", None)
        assert parse_body(body) == json.loads(body)
        return

    def read() -> Any:
        check_body(body, "application/json", None)
        return parse_body(body)

    with pytest.raises(Problem, match=refused) as raised:
        read()
    assert (raised.value.problem.slug, raised.value.status) == ("validation", 400)


def _depth(content: Any) -> int:
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else None
    return 0 if inner is None else 1 + max((_depth(value) for value in inner), default=0)


_TEXTS = st.text(st.sampled_from('a"\\[]{},0é\U0001f600'), max_size=80)
_CONTENTS = st.recursive(
    st.none() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=30,
)


@settings(deadline=None)
@given(content=_CONTENTS, around=st.integers(0, MOST_DEPTH + 10), ascii_only=st.booleans())
def test_what_is_within_the_bounds_is_parsed_as_json_is(content: Any, around: int, ascii_only: bool) -> None:
    for _ in range(around):
        content = [content]
    body = json.dumps(content, ensure_ascii=ascii_only).encode()
    if _depth(content) > MOST_DEPTH:
        with pytest.raises(Problem, match="deep"):
            check_body(body, "application/json", None)
    else:
        check_body(body, "application/json", None)
        assert parse_body(body) == content


@pytest.mark.parametrize(("authorization", "status"), [(None, 401), ("Bearer x", 401), ("of a role that may not", 403)])
async def test_who_was_not_let_in_is_answered_before_the_body_comes(
    client: httpx.AsyncClient, identity: Identity, authorization: str | None, status: int
) -> None:
    if status == 403:
        authorization = identity.bearer("otto", "ops")["Authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    lines = ["POST /v1/notes HTTP/1.1", "Host: notes", "Content-Type: application/json", "Content-Length: 1000000"]
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    writer.write("\r\n".join((*lines, "", "[")).encode())
    async with asyncio.timeout(30):
        assert await reader.readline() == f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    writer.close()


async def test_more_faults_than_anybody_reads_are_told_as_one(client: httpx.AsyncClient) -> None:
    for content in ({f"field-{number}": 0 for number in range(1000)}, {"text": "a", "weekly": [{}] * 1000}):
        answer = await client.post("/v1/notes", json=content, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == ["#"]
    answer = await client.post("/v1/notes", json={"weekly": [{}] * 60}, headers={"Idempotency-Key": "k"})
    assert len(answer.json()["errors"]) == 50

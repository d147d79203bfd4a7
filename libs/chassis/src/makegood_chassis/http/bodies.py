"""Request bodies: read completely, limited in every way, and parsed once.

Each step takes time linear in the bytes, whatever they are. The expensive steps (parsing, validation) come after the
limits of bytes, depth, elements and digits, which are first checked by counting in C over the raw bytes.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final

from starlette.requests import Request
from starlette.types import Receive

from makegood_chassis.http.problems import Problem, invalid, pointer

LIMIT: Final = 1 << 20
"""Maximum bytes of a body."""
WEBHOOK_LIMIT: Final = 64 << 10
"""Maximum bytes of a body that is read before its sender is known, such as a webhook's."""
MOST_DEPTH: Final = 64
"""Deepest nesting of arrays and objects."""
MOST_ELEMENTS: Final = 20_000
"""Maximum number of values in a body, over all arrays and objects. A year's schedule with an entry for each date has
4,000.
"""
MOST_DIGITS: Final = 64
"""Maximum digits of a number."""

_JSON_TYPE = re.compile(rb"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_ODD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_ZEROS_FOR_DIGITS: Final = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord(" ") for byte in range(256))
_LONG_NUMBER: Final = b"0" * (MOST_DIGITS + 1)
_decode = json.JSONDecoder(parse_float=Decimal).decode  # float() takes a microsecond for 1e-308
_BRACKETS: Final = b"[]{}"
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_STEPS: Final = bytes.maketrans(_BRACKETS, bytes((1, 255, 1, 255)))


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class BodyRequest(Request):
    """A request whose body is empty until `read`, which is called once the caller is known to be allowed to send one."""

    content: bytes = b""
    parsed: Any = None

    async def read(self, *, limit: int = LIMIT) -> None:
        """Reads the body. Raises 413 as soon as it is longer than `limit`; ClientGone."""
        self.content = await read_body(self.receive, self.headers.get("content-length"), limit)

    def check(self, *, parse: bool) -> None:
        """Refuses a body that no route accepts. With `parse`, also parses it. See `check_body` and `parse_body`."""
        if not self.content:
            return
        check_body(self.content, self.headers.get("content-type"), self.headers.get("content-encoding"))
        if parse:
            self.parsed = parse_body(self.content)

    async def body(self) -> bytes:
        return self.content

    async def json(self) -> Any:
        return self.parsed


async def read_body(receive: Receive, declared: str | None, limit: int = LIMIT) -> bytes:
    """The whole body. Raises 413 as soon as it is longer than `limit`, whatever `Content-Length` declared; ClientGone."""
    if declared is not None and declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit)
    message = await receive()
    if not message.get("more_body", False) and message["type"] == "http.request":
        whole: bytes = message.get("body", b"")
        if len(whole) > limit:
            raise _too_large(limit)
        return whole
    gathered = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        gathered += message.get("body", b"")
        if len(gathered) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(gathered)
        message = await receive()


def _too_large(limit: int) -> Problem:
    return Problem("payload-too-large", f"The body is larger than {limit >> 10} KiB.", headers={"Connection": "close"})


def check_body(body: bytes, content_type: str | None, encoding: str | None) -> None:
    """Refuses what no route accepts, without parsing it: other media types (415), bytes that are not UTF-8, and more depth,
    elements or digits than any request needs (400)."""
    if content_type is None or not _JSON_TYPE.fullmatch(content_type.strip().encode("latin-1")):
        raise Problem("unsupported-media-type")
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        raise Problem("unsupported-media-type", "Send the body without `Content-Encoding`.")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise _unreadable("The body is not UTF-8.") from error
    if b"\x00" in body:
        raise _unreadable("The body is not valid JSON.")
    _check_structure(body)


def parse_body(body: bytes) -> Any:
    """The content of a body that `check_body` let pass. Raises 400 if it is not JSON, and 422 for characters that text must not
    contain: NUL and lone surrogates."""
    try:
        content = _decode(body.decode().removeprefix("\ufeff"))
    except (ValueError, ArithmeticError) as error:
        raise _unreadable("The body is not valid JSON.") from error
    if _ODD_ESCAPE.search(body) and _ODD_ESCAPE.search(_PAIR.sub(b"", body.replace(b"\\\\", b""))):
        _refuse_odd_text(content)
    return content


def _unreadable(detail: str) -> Problem:
    return Problem("validation", detail, status=400)


def _check_structure(body: bytes) -> None:
    """Limits depth, elements and digits. Three counts show that nearly every body is too small to exceed a limit."""
    openings = body.count(b"[") + body.count(b"{")
    if (
        openings <= MOST_DEPTH
        and openings + body.count(b",") <= MOST_ELEMENTS
        and _LONG_NUMBER not in body.translate(_ZEROS_FOR_DIGITS)
    ):
        return
    outside = _without_texts(body)
    openings = outside.count(b"[") + outside.count(b"{")
    if openings + outside.count(b",") > MOST_ELEMENTS:
        raise _too_many_elements()
    if _LONG_NUMBER in outside.translate(_ZEROS_FOR_DIGITS):
        raise _unreadable(f"A number in the body has more than {MOST_DIGITS} digits.")
    if openings > MOST_DEPTH:
        _check_depth(outside)


def _without_texts(body: bytes) -> bytes:
    """The body without its texts. This is exact up to the point where it stops being JSON, and no parser reads further."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    if plain.count(b'"') > 4 * MOST_ELEMENTS:  # each element has at most two texts: its name and its value
        raise _too_many_elements()
    return b"".join(plain.split(b'"')[::2])


def _check_depth(outside: bytes) -> None:
    steps = memoryview(outside.translate(_STEPS, _NO_BRACKETS)).cast("b")  # one down or up for each bracket
    if max(accumulate(steps)) > MOST_DEPTH:
        raise _unreadable(f"The body is nested more than {MOST_DEPTH} levels deep.")


def _too_many_elements() -> Problem:
    return _unreadable(f"The body has more than {MOST_ELEMENTS:,} elements.")


def _refuse_odd_text(content: Any) -> None:
    rest: list[tuple[Any, Any]] = [(None, [content])]
    while rest:
        place, value = rest.pop()
        for step, member in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(step, str):
                _check_text(step, place)
            if isinstance(member, str):
                _check_text(member, (place, step))
            elif isinstance(member, dict | list):
                rest.append(((place, step), member))


def _check_text(text: str, place: Any) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise invalid(pointer(_path(place)), "Text must not contain a lone surrogate.") from error
    if "\x00" in text:
        raise invalid(pointer(_path(place)), "Text must not contain the character NUL.")


def _path(place: Any) -> tuple[Any, ...]:
    """The path to a place. A place is (the place around it, the step from there)."""
    steps: list[Any] = []
    while place is not None:
        place, step = place
        steps.append(step)
    return tuple(reversed(steps))[1:]  # the first is that of the list that the content was put into

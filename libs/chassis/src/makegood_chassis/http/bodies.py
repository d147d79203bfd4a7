"""Request bodies, read whole and looked at before anything parses them."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from starlette.types import Message, Receive

from makegood_chassis.http.problems import Problem, invalid, pointer

LIMIT: Final = 1 << 20
"""Most bytes of a body."""

_JSON_TYPE = re.compile(rb"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_ODD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive, declared: bytes | None) -> bytes:
    """The whole body. Raises 413 as soon as it is longer than LIMIT, whatever `Content-Length` declared; ClientGone."""
    if declared is not None and declared.isdigit() and int(declared[:20]) > LIMIT:
        raise _too_large()
    message = await receive()
    if not message.get("more_body", False) and message["type"] == "http.request":
        whole: bytes = message.get("body", b"")
        if len(whole) > LIMIT:
            raise _too_large()
        return whole
    gathered = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        gathered += message.get("body", b"")
        if len(gathered) > LIMIT:
            raise _too_large()
        if not message.get("more_body", False):
            return bytes(gathered)
        message = await receive()


def _too_large() -> Problem:
    return Problem("payload-too-large", headers={"Connection": "close"})


def check_body(body: bytes, content_type: bytes | None, encoding: bytes | None) -> None:
    """Refuses what no route takes: other media types (415), bytes that are not UTF-8 (400), characters that no text may
    hold, NUL and lone surrogates (422). Malformed JSON is left to the route."""
    if content_type is None or not _JSON_TYPE.fullmatch(content_type.strip()):
        raise Problem("unsupported-media-type")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise Problem("unsupported-media-type", "Send the body without `Content-Encoding`.")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Problem("validation", "The body is not UTF-8.", status=400) from error
    if b"\x00" in body:
        raise Problem("validation", "The body is no JSON.", status=400)
    if _ODD_ESCAPE.search(body):
        _refuse_odd_text(body)


def _refuse_odd_text(body: bytes) -> None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return  # no JSON: refused where it is parsed
    rest: list[tuple[tuple[Any, ...], Any]] = [((), content)]
    while rest:
        path, value = rest.pop()
        if isinstance(value, str):
            _check_text(value, path)
        elif isinstance(value, dict):
            for name, member in value.items():
                _check_text(name, path)
                rest.append(((*path, name), member))
        elif isinstance(value, list):
            rest.extend(((*path, index), member) for index, member in enumerate(value))


def _check_text(text: str, path: tuple[Any, ...]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise invalid(pointer(path), "A text cannot hold a lone surrogate.") from error
    if "\x00" in text:
        raise invalid(pointer(path), "A text cannot hold the character NUL.")


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body that was read, then what the server says (that the client left)."""
    given = False

    async def take() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return take

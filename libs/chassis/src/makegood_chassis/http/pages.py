"""Cursor pages and views: `{items, next_cursor}`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Query
from makegood_contracts.ids import is_id
from pydantic import BaseModel

from makegood_chassis.http.models import to_utc
from makegood_chassis.http.problems import invalid

V = TypeVar("V")
R = TypeVar("R")

Limit = Annotated[int, Query(ge=1, le=200, description="The most items to return on one page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=4096, description="The `next_cursor` of the previous page. Leave it out for the first page."),
]

_CHECK = 6
_BIGGEST = 2**63


class Id(str):
    """For `decode_cursor`: a text that is an id."""


class Page(BaseModel, Generic[V]):
    """A page of a list; `next_cursor` is null on the last one."""

    items: list[V]
    next_cursor: str | None = None

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """`SessionPage` for a page of `SessionView`, for OpenAPI documents and generated clients."""
        return f"{getattr(params[0], '__name__', 'Any').removesuffix('View')}Page"


def page(
    rows: Sequence[R], limit: int, view: Callable[[R], V], position: Callable[[R], tuple[Any, ...]]
) -> tuple[list[V], str | None]:
    """(items, next_cursor) of `rows`, which were read with `LIMIT limit + 1` after the cursor's position.

    `position` gives the sort values of a row. They must be unique together (end with the id), so that no page skips or
    repeats an item.
    """
    shown = rows[:limit]
    following = encode_cursor(*position(shown[-1])) if len(rows) > limit else None
    return [view(row) for row in shown], following


def encode_cursor(*position: Any) -> str:
    """An opaque cursor for the position after the last item: its sort values (str, int, datetime)."""
    content = msgspec.json.encode([v.astimezone(UTC) if isinstance(v, datetime) else v for v in position])
    return base64.urlsafe_b64encode(_checksum(content) + content).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """The sort values in the cursor, as these types (`Id`: a text that is an id); None without a cursor.

    Raises the 422 problem for a cursor that we did not make. The checksum only detects damage. It is not a secret,
    because a cursor only says where to continue in a list that the caller may read.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = raw[_CHECK:]
        if raw[:_CHECK] != _checksum(content):
            raise ValueError("checksum")
        values = msgspec.json.decode(content, type=list[Any])
        if len(values) != len(types):
            raise ValueError("length")
        return tuple(_value(value, kind) for value, kind in zip(values, types, strict=True))
    except (ValueError, msgspec.MsgspecError) as error:
        raise invalid("#/cursor", "Send `next_cursor` unchanged, to the same list.", where="query") from error


def _value(value: Any, kind: type) -> Any:
    found: Any = msgspec.convert(value, str if kind is Id else kind, strict=True)
    if kind is Id and not is_id(found):
        raise ValueError("not an id")
    if isinstance(found, str) and "\x00" in found:
        raise ValueError("NUL")
    if isinstance(found, int) and not -_BIGGEST <= found < _BIGGEST:
        raise ValueError("out of range")
    if isinstance(found, datetime):
        if found.tzinfo is None:
            raise ValueError("no offset")
        return to_utc(found)
    return found


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2s(content, digest_size=_CHECK, person=b"cursor").digest()

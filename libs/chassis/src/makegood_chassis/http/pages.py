"""Cursor pages and views: `{items, next_cursor}`."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

V = TypeVar("V")

Limit = Annotated[int, Query(ge=1, le=200, description="Most items of one page.")]


class Page(BaseModel, Generic[V]):
    """A page of a list; `next_cursor` is null on the last one."""

    items: list[V]
    next_cursor: str | None = None


def encode_cursor(*position: Any) -> str:
    """An opaque cursor for the position after the last item: its sort values (str, int, datetime)."""
    raise NotImplementedError


def decode_cursor(cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """The sort values in the cursor, as these types; None without one. Raises the 422 problem for one that is not ours."""
    raise NotImplementedError

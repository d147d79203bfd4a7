"""Expressions of slot holds that several statements share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func, literal_column
from sqlalchemy.dialects.postgresql import TSTZRANGE


def span(start: Any, end: Any) -> Any:
    """The time [start, end)."""
    return func.tstzrange(start, end, type_=TSTZRANGE)


def key(person_id: Any) -> ColumnElement[int]:
    """The `provider_key` or `member_key` of a person, by which the exclusion constraints' own indexes find them."""
    return func.hashtextextended(person_id, literal_column("0"))

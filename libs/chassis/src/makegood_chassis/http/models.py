"""Bases of request and answer models."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer


def _utc_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:  # 0001-01-01T00:00:00+14:00 has no UTC form
        raise ValueError("is out of range") from error


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _rfc_3339(value: Any) -> Any:
    """Numbers would pass as seconds since 1970, and an instant without an offset is none."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("Input should be an instant in RFC 3339 with an offset, such as 2026-11-24T10:00:00+01:00")
    return value


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_rfc_3339),
    AfterValidator(_to_utc),
    PlainSerializer(_utc_text, return_type=str),
]
"""An instant: RFC 3339 with any offset on input (one without is refused), UTC with `Z` on output."""


class RequestModel(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

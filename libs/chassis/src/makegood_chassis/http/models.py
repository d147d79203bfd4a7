"""Base classes of request and response bodies."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)


def _utc_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_INFINITE = frozenset((datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)))
"""asyncpg stores these two as `-infinity` and `infinity`, and reads them back without a zone, so they cannot be
compared.
"""


def to_utc(moment: datetime) -> datetime:
    """The instant in UTC. Raises ValueError if it has no UTC form, or if the database would store it as infinite."""
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:  # 0001-01-01T00:00:00+14:00 has no UTC form
        raise ValueError("is out of range") from error
    if moment in _INFINITE:
        raise ValueError("is out of range")
    return moment


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _rfc_3339(value: Any) -> Any:
    """Refuses numbers, which would pass as seconds since 1970, and times without an offset."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("Input should be an RFC 3339 date and time with an offset, such as 2026-11-24T10:00:00+01:00")
    return value


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_rfc_3339),
    AfterValidator(to_utc),
    PlainSerializer(_utc_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-24T09:00:00Z"]}),
]
"""An instant: RFC 3339 with any offset on input (one without is refused), UTC with `Z` on output."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _iso_day(value: Any) -> Any:
    """Refuses numbers, which would pass as days since 1970, and instants at midnight."""
    if type(value) is date:
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("Input should be a day such as 2026-11-24")
    return value


Day = Annotated[date, BeforeValidator(_iso_day), Field(examples=["2026-11-24"])]
"""A calendar day, only as text `YYYY-MM-DD`."""


def within(first: date, last: date) -> AfterValidator:
    """Bounds of a `Day`, both inclusive. `Field(ge=…)` would put unknown keywords into the OpenAPI document."""

    def check(day: date) -> date:
        if not first <= day <= last:
            raise ValueError(f"Input should be a day from {first} to {last}")
        return day

    return AfterValidator(check)


Whole = Annotated[int, Strict()]
"""A JSON integer: not a text, a boolean or `30.0`."""

Flag = Annotated[bool, Strict()]
"""A JSON boolean: not a text or a number."""


def example(**values: Any) -> ConfigDict:
    """`model_config` of a model, with an example for the OpenAPI document. The rest is inherited."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class RequestModel(BaseModel):
    """A request body: unknown fields are refused. Its numbers and booleans are `Whole` and `Flag`, because pydantic
    would accept `"5"` and `"yes"`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(BaseModel):
    """An answer. `has_etag`: whether it is sent with the `ETag` of its version."""

    has_etag: ClassVar[bool] = False

    model_config = ConfigDict(frozen=True, from_attributes=True)

"""Bodies of requests and answers."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from fastapi import Path
from makegood_chassis.http.models import Day, Instant, RequestModel, View, Whole
from makegood_contracts.events import LotSource, Modality, PlanKind
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from makegood_credits.domain.book import EntryKind

MemberId = Annotated[
    str,
    Path(pattern=r"^[A-Za-z0-9._:@-]{1,128}$", description="`sub` of the member's token.", examples=["member-42"]),
]

_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)


def _known_zone(value: str) -> str:
    if value not in _zones():
        raise ValueError("must be an IANA time zone such as Europe/Berlin")
    return value


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


CoveredDay = Annotated[Day, Field(ge=_FIRST_DAY, le=_LAST_DAY)]
TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_known_zone)]


class MoneyView(View):
    """An amount of money in minor units (cents)."""

    amount_minor: int
    currency: str


class PlanView(View):
    """What a plan covers. Lengths are minutes; `live_credits` count per `period`, or in all where it is null."""

    id: str
    kind: PlanKind
    name: str
    live_credits: int | None
    period: str | None
    lengths: tuple[int, ...]
    psychiatry_lengths: tuple[int, ...]
    modalities: tuple[Modality, ...]
    purchasable: bool
    unit_price: MoneyView | None
    co_pay: MoneyView | None


class EnrolmentBody(RequestModel):
    """The member's coverage: days are inclusive, in `time_zone`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"plan_id": "out-of-pocket-4", "starts_on": "2026-11-01"}]}
    )

    plan_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    starts_on: CoveredDay
    ends_on: CoveredDay | None = None
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ends_on is not None and self.ends_on < self.starts_on:
            raise ValueError("ends_on must not lie before starts_on")
        return self


class EnrolmentView(View):
    """The member's coverage as it holds now."""

    id: str
    member_id: str
    plan_id: str
    starts_on: date
    ends_on: date | None
    time_zone: str


class LotView(View):
    """Credits that came together and lapse together; `length_minutes` null: for each length of the plan."""

    id: str
    source: LotSource
    length_minutes: int | None
    granted: int
    available: int
    held: int
    expires_at: Instant | None


class CreditsView(View):
    """What is left and what is held, by lots, those first that lapse first (CRED-4)."""

    available: int
    held: int
    lots: list[LotView]


class LedgerItem(View):
    """One movement. `amount` counts credits; `kind` tells the direction, save that an `adjust` that takes is negative."""

    id: str
    kind: EntryKind
    amount: int
    lot_id: str
    session_id: str | None
    reason: str
    made_by: str
    made_at: Instant
    available_after: int
    held_after: int


class AdjustmentBody(RequestModel):
    """Credits given or taken by support. With `session_id`: the session's credit is given back, once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 1, "reason": "Goodwill after an outage"}]})

    amount: Annotated[Whole, Field(ge=-100_000, le=100_000)]
    session_id: Annotated[str, StringConstraints(max_length=64)] | None = None
    length_minutes: Annotated[Whole, Field(ge=1, le=1440)] | None = None
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]+$")
    ]

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.amount == 0:
            raise ValueError("amount must not be 0")
        if self.session_id is not None and self.amount != 1:
            raise ValueError("with session_id, amount must be 1: a session costs one credit")
        return self


class AdjustmentView(View):
    """The balances after the adjustment, and its entries."""

    available: int
    held: int
    entries: list[LedgerItem]


class InvoiceView(View):
    """A charge. A co-pay is pending from booking, due at completion, void when the provider misses (MISS-3)."""

    id: str
    member_id: str
    session_id: str | None
    status: Literal["pending", "issued", "paid", "void", "overdue"]
    amount: MoneyView
    due_on: date

"""Request and response bodies."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from fastapi import Path
from makegood_chassis.http.models import Day, Instant, RequestModel, View, Whole, example, within
from makegood_contracts.events import LotSource, Modality, PlanKind
from makegood_contracts.zones import zone_names
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from makegood_credits.domain.balance import UnusableCode
from makegood_credits.domain.book import EntryKind
from makegood_credits.domain.invoices import InvoiceAbout, InvoiceStatus
from makegood_credits.domain.purchasing import PurchaseStatus

MemberId = Annotated[
    str,
    Path(pattern=r"^[A-Za-z0-9._:@-]{1,128}$", description="The `sub` of the member's token.", examples=["member-42"]),
]

_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)


def _known_zone(value: str) -> str:
    if value not in zone_names():
        raise ValueError("must be an IANA time zone such as Europe/Berlin")
    return value


CoveredDay = Annotated[
    Day, within(_FIRST_DAY, _LAST_DAY), Field(description=f"A day from {_FIRST_DAY} to {_LAST_DAY}.")
]
TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_known_zone)]

ReasonText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]+$")
]


LOT: Final[dict[str, Any]] = {
    "id": "019ab0c2-77aa-7b1e-9c40-6f0d3a5b8e21",
    "source": "plan",
    "length_minutes": None,
    "granted": 4,
    "available": 3,
    "held": 1,
    "expires_at": "2026-12-01T00:00:00Z",
    "made_for_minutes": None,
    "unusable": None,
}
MOVEMENT: Final[dict[str, Any]] = {
    "id": "019ab0c9-0c3d-7f52-b1d7-1e9f4c2a6d80",
    "kind": "adjust",
    "amount": 1,
    "lot_id": LOT["id"],
    "session_id": None,
    "reason": "Goodwill after an outage",
    "made_by": "support-7",
    "made_at": "2026-11-23T09:00:00Z",
    "available_after": 4,
    "held_after": 1,
}
"""Examples for the OpenAPI document."""


class MoneyView(View):
    """An amount of money in minor units (cents)."""

    model_config = example(amount_minor=2500, currency="USD")

    amount_minor: int
    currency: str


class PlanView(View):
    """What a plan covers. Lengths are in minutes. `live_credits` are granted per `period`, or once if it is null."""

    model_config = example(
        id="out-of-pocket-4",
        kind="out_of_pocket",
        name="Four sessions a month",
        live_credits=4,
        period="P1M",
        lengths=[30],
        psychiatry_lengths=[30],
        modalities=["video", "audio", "chat"],
        purchasable=True,
        unit_price={"amount_minor": 7900, "currency": "USD"},
        co_pay=None,
    )

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
    """The member's coverage. Both dates are inclusive, in `time_zone`."""

    model_config = example(plan_id="out-of-pocket-4", starts_on="2026-11-01")

    plan_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    starts_on: CoveredDay
    ends_on: CoveredDay | None = None
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ends_on is not None and self.ends_on < self.starts_on:
            raise ValueError("ends_on must not be before starts_on")
        return self


ENROLMENT: Final[dict[str, Any]] = {
    "id": "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11",
    "member_id": "anna",
    "plan_id": "out-of-pocket-4",
    "starts_on": "2026-11-01",
    "ends_on": None,
    "time_zone": "UTC",
}
"""An example of an enrolment."""


class EnrolmentView(View):
    """The member's current coverage."""

    has_etag = True
    model_config = example(**ENROLMENT)

    id: str
    member_id: str
    plan_id: str
    starts_on: date
    ends_on: date | None
    time_zone: str


class UnusableView(View):
    """Credits that the member can't use at the moment, and why. They stay the member's until they expire."""

    model_config = example(
        credits=2,
        code="length-not-in-plan",
        detail="The plan includes sessions of 45 minutes, and these credits are for 30.",
    )

    credits: int
    code: UnusableCode
    detail: str


class NextCreditsView(View):
    """The credits that the plan grants next, and from when they can be used."""

    model_config = example(available_from="2026-12-01T00:00:00Z", credits=4)

    available_from: Instant
    credits: int


class LotView(View):
    """Credits that were granted together and expire together.

    `length_minutes`: the session length they pay for; null for all lengths of the plan. `made_for_minutes`: a credit
    that was made good also pays for a session of this length, whatever the plan is by then. `unusable`: credits of this
    lot that the member can't use at the moment; `available` does not include them.
    """

    model_config = example(**LOT)

    id: str
    source: LotSource
    length_minutes: int | None
    granted: int
    available: int
    held: int
    expires_at: Instant | None
    made_for_minutes: int | None = None
    unusable: UnusableView | None = None


class CreditsView(View):
    """The member's available and held credits, by lot. Lots that expire first come first.

    `available` counts the credits that the member can use, `unusable` those that can't be used at the moment. `next_credits`:
    when the plan grants credits next, and how many; null if it grants no more.
    """

    model_config = example(
        available=3,
        held=1,
        lots=[LOT],
        unusable=0,
        next_credits={"available_from": "2026-12-01T00:00:00Z", "credits": 4},
    )

    available: int
    held: int
    lots: list[LotView]
    unusable: int = 0
    next_credits: NextCreditsView | None = None


class LedgerItem(View):
    """A movement of credits. `kind` gives its direction. Only an `adjust` that takes credits away has a negative
    `amount`.
    """

    model_config = example(**MOVEMENT)

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


RefundStatus = Literal["due", "done", "by_hand"]


class RefundView(View):
    """A refund. `due`: requested from the payment provider; `by_hand`: support takes care of it."""

    model_config = example(status="done", amount={"amount_minor": 2500, "currency": "USD"})

    status: RefundStatus
    amount: MoneyView


class InvoiceView(View):
    """A charge. A co-pay is pending from the booking on, issued when the session is completed, and void if the provider
    misses the session. `refund`: the refund of what was paid; null if there is none.
    """

    model_config = example(
        id="019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11",
        member_id="anna",
        session_id="019ab0c7-51f2-7c11-8a3e-52d9a0c6e7b4",
        status="pending",
        amount={"amount_minor": 2500, "currency": "USD"},
        due_on="2026-11-24",
        about="co_pay",
        refund=None,
        void_reason=None,
    )

    id: str
    member_id: str
    session_id: str | None
    status: InvoiceStatus
    amount: MoneyView
    due_on: date
    about: InvoiceAbout
    refund: RefundView | None = None
    void_reason: Annotated[str | None, Field(description="Why somebody voided it. Null if nobody did.")] = None


def refund_view(row: Any) -> RefundView | None:
    """The refund in the columns `refund`, `refund_amount_minor` and `refund_currency`."""
    if row["refund"] is None:
        return None
    return RefundView(
        status=row["refund"], amount=MoneyView(amount_minor=row["refund_amount_minor"], currency=row["refund_currency"])
    )


class VoidBody(RequestModel):
    """Why support voids a charge."""

    model_config = example(reason="Charged twice")

    reason: ReasonText


class PaymentView(View):
    """Where a charge can be paid."""

    model_config = example(
        invoice_id="019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11",
        status="issued",
        amount={"amount_minor": 2500, "currency": "USD"},
        checkout_url="https://checkout.stripe.com/c/pay/cs_test_a1b2c3",
    )

    invoice_id: str
    status: InvoiceStatus
    amount: MoneyView
    checkout_url: str | None


class PurchaseBody(RequestModel):
    """The credits to buy."""

    model_config = example(quantity=1)

    quantity: Annotated[Whole, Field(ge=1, le=20)]
    length_minutes: Annotated[Whole, Field(ge=1, le=1440)] | None = None


class PurchaseView(View):
    """A purchase of credits.

    `length_minutes`: the session length they pay for; null for all lengths of the plan. `checkout_url`: where to pay, while
    the purchase is pending. `refund`: the refund, for example if the plan no longer sold credits when the payment arrived;
    the purchase is then `failed`.
    """

    model_config = example(
        id="019ab0c9-7a11-7c52-9b1d-3e5f2c4d6a70",
        member_id="anna",
        status="pending",
        quantity=1,
        length_minutes=30,
        amount={"amount_minor": 6500, "currency": "USD"},
        checkout_url="https://checkout.stripe.com/c/pay/cs_test_a1b2c3",
        refund=None,
    )

    id: str
    member_id: str
    status: PurchaseStatus
    quantity: int
    length_minutes: int | None
    amount: MoneyView
    checkout_url: str | None
    refund: RefundView | None = None


class HookView(View):
    """The webhook was received."""

    model_config = example(received=True)

    received: bool = True

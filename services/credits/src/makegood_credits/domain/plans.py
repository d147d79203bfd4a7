"""PLAN-1: the plans that every installation has, and what each covers."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from makegood_contracts.currencies import checked_currency
from makegood_contracts.events import Modality, PlanKind, Specialty


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a member's coverage allows. Lengths are minutes.

    `live_credits` counts credits a period, or in all where there is no period; None where a co-pay is asked instead.
    `months` is the period's length (`P1M`); None: one lot for the whole coverage.
    """

    id: str
    kind: PlanKind
    name: str
    lengths: tuple[int, ...]
    modalities: tuple[Modality, ...]
    live_credits: int | None
    months: int | None = None
    psychiatry_lengths: tuple[int, ...] = ()
    purchasable: bool = False
    unit_price: Money | None = None
    co_pay: Money | None = None
    reminder_channels: tuple[Literal["email", "whatsapp"], ...] = ("email",)
    """How a provider may remind the member by hand (REM-1)."""

    def __post_init__(self) -> None:
        for money in (self.unit_price, self.co_pay):
            if money is not None:
                checked_currency(money.currency)

    @property
    def period(self) -> str | None:
        """The period as an ISO 8601 duration."""
        return f"P{self.months}M" if self.months else None

    @property
    def has_live_sessions(self) -> bool:
        return bool(self.lengths or self.psychiatry_lengths)

    def lengths_of(self, specialty: Specialty) -> tuple[int, ...]:
        """The lengths that count with a provider of that specialty: psychiatry has its own."""
        return self.psychiatry_lengths if specialty == "psychiatry" else self.lengths

    @property
    def lot_length(self) -> int | None:
        """The length that a granted credit is for: the only one of the plan, or None where it fits each of them."""
        lengths = {*self.lengths, *self.psychiatry_lengths}
        return lengths.pop() if len(lengths) == 1 else None

    def period_start(self, starts_on: date, number: int) -> date:
        """The first day of the period of that number. A day that its month lacks becomes the month's last."""
        months = starts_on.year * 12 + starts_on.month - 1 + (self.months or 0) * number
        year, month = months // 12, months % 12 + 1
        return date(year, month, min(starts_on.day, monthrange(year, month)[1]))


_TALKING: Final[tuple[Modality, ...]] = ("video", "audio", "chat")
_MEETING: Final[tuple[Modality, ...]] = ("video", "audio", "in_person")
_ALL: Final[tuple[Modality, ...]] = ("video", "audio", "chat", "in_person")

PLANS: Final[dict[str, Plan]] = {
    plan.id: plan
    for plan in (
        Plan(
            "out-of-pocket-4",
            "out_of_pocket",
            "Out of pocket, 4 live sessions a month",
            lengths=(30,),
            modalities=_TALKING,
            live_credits=4,
            months=1,
            psychiatry_lengths=(30,),
            purchasable=True,
            unit_price=Money(6500, "USD"),
            reminder_channels=("email", "whatsapp"),
        ),
        Plan("eap-6", "eap", "Employee assistance, 6 sessions", lengths=(45,), modalities=_TALKING, live_credits=6),
        Plan(
            "insurance-copay",
            "health_insurance",
            "Health insurance with a co-pay",
            lengths=(45, 60),
            modalities=_MEETING,
            live_credits=None,
            psychiatry_lengths=(30, 60),
            co_pay=Money(2500, "USD"),
        ),
        Plan(
            "insurance-credits",
            "health_insurance",
            "Health insurance, 8 sessions a month",
            lengths=(45, 60),
            modalities=_MEETING,
            live_credits=8,
            months=1,
            psychiatry_lengths=(30, 60),
        ),
        Plan("sponsored-12", "sponsored", "Sponsored, 12 sessions", lengths=(45,), modalities=_ALL, live_credits=12),
        Plan("messaging-only", "out_of_pocket", "Messaging only", lengths=(), modalities=(), live_credits=0),
    )
}

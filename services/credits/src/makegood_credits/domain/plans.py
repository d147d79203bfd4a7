"""The plans that every installation has, and what each covers (PLAN-1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from makegood_contracts.currencies import checked_currency
from makegood_contracts.events import Modality
from makegood_plans.plans import Money, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguePlan(Plan):
    """A plan as it is offered: its terms, its name and its prices."""

    name: str
    unit_price: Money | None = None
    """The price of a single credit. None if none can be bought."""
    reminder_channels: tuple[Literal["email", "whatsapp"], ...] = ("email",)
    """The channels by which a provider may remind the member by hand (REM-1)."""

    def __post_init__(self) -> None:
        assert (self.co_pay is None) != self.asks_co_pay, f"{self.id} asks for a credit or for a co-pay"
        for money in (self.unit_price, self.co_pay):
            if money is not None:
                checked_currency(money.currency)

    @property
    def period(self) -> str | None:
        """The billing period as an ISO 8601 duration."""
        return f"P{self.months}M" if self.months else None

    @property
    def lot_length(self) -> int | None:
        """The length that a granted credit is for. None if the plan has several and the credit fits all of them."""
        lengths = {*self.lengths, *self.psychiatry_lengths}
        return lengths.pop() if len(lengths) == 1 else None


_TALKING: Final[tuple[Modality, ...]] = ("video", "audio", "chat")
_MEETING: Final[tuple[Modality, ...]] = ("video", "audio", "in_person")
_ALL: Final[tuple[Modality, ...]] = ("video", "audio", "chat", "in_person")

PLANS: Final[dict[str, CataloguePlan]] = {
    plan.id: plan
    for plan in (
        CataloguePlan(
            "out-of-pocket-4",
            "out_of_pocket",
            name="Out of pocket, 4 live sessions a month",
            lengths=(30,),
            modalities=_TALKING,
            live_credits=4,
            months=1,
            psychiatry_lengths=(30,),
            purchasable=True,
            unit_price=Money(6500, "USD"),
            reminder_channels=("email", "whatsapp"),
        ),
        CataloguePlan(
            "eap-6", "eap", name="Employee assistance, 6 sessions", lengths=(45,), modalities=_TALKING, live_credits=6
        ),
        CataloguePlan(
            "insurance-copay",
            "health_insurance",
            name="Health insurance with a co-pay",
            lengths=(45, 60),
            modalities=_MEETING,
            live_credits=None,
            psychiatry_lengths=(30, 60),
            co_pay=Money(2500, "USD"),
        ),
        CataloguePlan(
            "insurance-credits",
            "health_insurance",
            name="Health insurance, 8 sessions a month",
            lengths=(45, 60),
            modalities=_MEETING,
            live_credits=8,
            months=1,
            psychiatry_lengths=(30, 60),
        ),
        CataloguePlan(
            "sponsored-12", "sponsored", name="Sponsored, 12 sessions", lengths=(45,), modalities=_ALL, live_credits=12
        ),
        CataloguePlan(
            "messaging-only", "out_of_pocket", name="Messaging only", lengths=(), modalities=(), live_credits=0
        ),
    )
}

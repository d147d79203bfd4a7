"""PLAN-1: a plan's terms, and what a session costs under them."""

from __future__ import annotations

from dataclasses import dataclass

from makegood_contracts.events import Modality, PlanKind, Specialty


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Costs:
    """What something costs: credits, or an amount. Both are None if an earlier release did not say how much a co-pay is."""

    credit: int | None = None
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a member's coverage allows. Lengths are in minutes."""

    id: str
    kind: PlanKind
    lengths: tuple[int, ...]
    modalities: tuple[Modality, ...]
    live_credits: int | None
    """Credits per period, or in total if the plan has no periods. None: the plan takes a co-pay instead."""
    months: int | None = None
    """The length of a period. None: all credits arrive once, at the start of coverage."""
    psychiatry_lengths: tuple[int, ...] = ()
    purchasable: bool = False
    """Whether the member can buy single credits."""
    co_pay: Money | None = None

    @property
    def asks_co_pay(self) -> bool:
        """Whether a session costs a co-pay and no credit."""
        return self.live_credits is None

    @property
    def has_live_sessions(self) -> bool:
        """Whether the plan includes any live session at all."""
        return bool(self.lengths or self.psychiatry_lengths)

    @property
    def costs(self) -> Costs | None:
        """What one session costs. None if the plan has no live sessions (BOOK-3)."""
        if not self.has_live_sessions:
            return None
        return Costs(amount=self.co_pay) if self.asks_co_pay else Costs(credit=1)

    def lengths_of(self, specialty: Specialty) -> tuple[int, ...]:
        """The lengths of sessions with a provider of this specialty, because psychiatry has its own."""
        return self.psychiatry_lengths if specialty == "psychiatry" else self.lengths

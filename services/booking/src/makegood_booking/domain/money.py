"""Amounts of money, as other services tell them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Costs:
    """What something costs: credits, or an amount. An amount that nobody told is None."""

    credit: int | None = None
    amount: Money | None = None

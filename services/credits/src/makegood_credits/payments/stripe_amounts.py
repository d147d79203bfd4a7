"""Amounts as Stripe counts them: mostly ISO 4217's minor units, but not always.

https://docs.stripe.com/currencies: zero-decimal currencies, three-decimal currencies, special cases.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from makegood_contracts.currencies import major_units, minor_digits
from makegood_plans.plans import Money

from makegood_credits.payments.port import OrderRefused

_WHOLE: Final = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
"""Counted in whole units. ISO 4217 gives MGA two digits, but Stripe gives it none."""
_THREE: Final = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
"""Counted in thousandths. The last digit must be 0."""
_AS_HUNDREDTHS: Final = frozenset({"ISK", "UGX"})
"""Counted in hundredths, which must be 00, although ISO 4217 gives them no minor unit."""


def stripe_amount(money: Money) -> int:
    """The amount as the API expects it. Raises OrderRefused if Stripe cannot charge exactly this amount or this
    currency.
    """
    amount = major_units(money.amount_minor, money.currency).scaleb(_digits(money.currency))
    step = 10 if money.currency in _THREE else 1
    if amount % step:
        raise OrderRefused(
            "amount-not-divisible", "The payment provider cannot charge such a small fraction of the currency."
        )
    return int(amount)


def money_of(amount: int, currency: str) -> Money:
    """An amount of the API in minor units of ISO 4217. Raises OrderRefused if it is not an amount of this currency."""
    minor = Decimal(amount).scaleb(minor_digits(currency) - _digits(currency))
    if minor % 1:
        raise OrderRefused("amount-not-divisible", "The amount is not a whole number of the currency's minor units.")
    return Money(int(minor), currency)


def _digits(currency: str) -> int:
    """The number of decimal digits that the API uses for the currency."""
    if currency in _WHOLE:
        return 0
    if currency in _THREE:
        return 3
    if minor_digits(currency) == 2 or currency in _AS_HUNDREDTHS:
        return 2
    raise OrderRefused("currency-not-supported", "The payment provider does not accept this currency.")

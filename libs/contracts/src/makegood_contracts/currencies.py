"""Currencies by their ISO 4217 code: the same ones for every service."""

from __future__ import annotations

from functools import cache

from iso4217 import Currency


@cache
def currency_codes() -> frozenset[str]:
    """Every code in which an amount of money can be owed.

    Without the codes that have no minor unit in ISO 4217 (gold, testing, no currency), for they are no money.
    """
    return frozenset(currency.code for currency in Currency if currency.exponent is not None)

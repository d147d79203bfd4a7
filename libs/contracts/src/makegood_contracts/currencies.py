"""Currencies by their ISO 4217 code, and how many digits their minor units have: the same for every service.

CLDR's digits are another thing: they say how prices are usually written (no paras in Serbia), not what a minor unit is.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType

import iso4217


@cache
def _digits() -> Mapping[str, int]:
    """Digits of the minor unit by code; without what nobody pays with: metals, units of account, testing, no currency."""
    funds = {
        entry.findtext("Ccy")
        for entry in iso4217.raw_xml.findall("CcyTbl/CcyNtry")
        if (name := entry.find("CcyNm")) is not None and name.get("IsFund", "").lower() == "true"
    }
    return MappingProxyType(
        {
            currency.code: currency.exponent
            for currency in iso4217.Currency
            if currency.exponent is not None and currency.code not in funds
        }
    )


def currency_codes() -> frozenset[str]:
    """Every code in which an amount of money can be owed."""
    return frozenset(_digits())


def checked_currency(code: str) -> str:
    """The code as it is given. Raises ValueError for one in which nothing can be owed."""
    if code not in _digits():
        raise ValueError("must be a currency of ISO 4217 that people pay with, such as USD")
    return code


def minor_digits(currency: str) -> int:
    """How many digits of the currency are its minor unit (ISO 4217): 2 for USD, 0 for JPY, 3 for KWD. Raises ValueError."""
    return _digits()[checked_currency(currency)]


def major_units(amount_minor: int, currency: str) -> Decimal:
    """The amount in whole units, with all digits: `2500.00` for 250000 of RSD. Raises ValueError."""
    return Decimal(amount_minor).scaleb(-minor_digits(currency))

"""ISO 4217 currencies and the number of digits of their minor units, for all services.

CLDR's digits differ: they say how prices are usually written (no paras in Serbia), not what a minor unit is.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType


@cache
def _digits() -> Mapping[str, int]:
    """Digits of the minor unit by code, without codes that nobody pays with: metals, units of account, test codes, `XXX`."""
    import iso4217  # at its use: it parses a table that most processes never need

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
    """All currencies that an amount can be charged in."""
    return frozenset(_digits())


def checked_currency(code: str) -> str:
    """Returns the code unchanged. Raises ValueError if nothing can be charged in it."""
    if code not in _digits():
        raise ValueError("must be an ISO 4217 currency that can be paid in, such as USD")
    return code


def minor_digits(currency: str) -> int:
    """The number of digits of the currency's minor unit (ISO 4217): 2 for USD, 0 for JPY, 3 for KWD. Raises ValueError."""
    return _digits()[checked_currency(currency)]


def major_units(amount_minor: int, currency: str) -> Decimal:
    """The amount in major units, with all digits: `2500.00` for 250000 of RSD. Raises ValueError."""
    return Decimal(amount_minor).scaleb(-minor_digits(currency))

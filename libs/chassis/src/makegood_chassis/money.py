"""Amounts of money as people read them."""

from __future__ import annotations

import copy
import unicodedata

from babel import Locale
from babel.numbers import get_currency_symbol
from makegood_contracts.currencies import major_units, minor_digits

_SPACE = "\u00a0"


def money_text(amount_minor: int, currency: str, locale: str = "en") -> str:
    """`$25.00`, `¥5,000`, `RSD 2,500.00`: as people of the locale write it, with all digits that ISO 4217 gives the
    currency. Raises ValueError for a currency in which nothing can be charged.
    """
    language = Locale.parse(locale.replace("-", "_"))
    # Babel uses CLDR's digits, and does not know CLDR's space between letters and digits, so both are put into the
    # pattern.
    pattern = copy.copy(language.currency_formats["standard"])
    pattern.frac_prec = (minor_digits(currency),) * 2
    symbol = get_currency_symbol(currency, language)
    if not _separates(symbol[-1]):
        pattern.prefix = tuple(f"{each}{_SPACE}" if each.endswith("¤") else each for each in pattern.prefix)
    if not _separates(symbol[0]):
        pattern.suffix = tuple(f"{_SPACE}{each}" if each.startswith("¤") else each for each in pattern.suffix)
    return str(pattern.apply(major_units(amount_minor, currency), language, currency=currency, currency_digits=False))


def _separates(character: str) -> bool:
    """Whether it may stand next to a digit: `$5`, but `CHF 5` (CLDR, currencySpacing)."""
    return unicodedata.category(character)[0] in "SZ"

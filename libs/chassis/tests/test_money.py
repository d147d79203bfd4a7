"""Currencies and amounts: ISO 4217 says how many digits, CLDR how people write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_chassis.money import money_text
from makegood_contracts.currencies import checked_currency, currency_codes, major_units, minor_digits


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [
        (250_000, "RSD", "en", "RSD 2,500.00"),
        (5_000, "JPY", "en", "¥5,000"),
        (2_505, "KWD", "en", "KWD 2.505"),
        (2_500, "USD", "en", "$25.00"),
        (123_456, "EUR", "de", "1.234,56 €"),
        (123_456, "EUR", "de-AT", "€ 1.234,56"),
        (123_456, "CHF", "de-CH", "CHF 1’234.56"),
        (1_000, "ISK", "en", "ISK 1,000"),
        (5_00, "MGA", "en", "MGA 5.00"),
        (-2_500, "USD", "en", "-$25.00"),
    ],
)
def test_an_amount_is_written_as_people_of_the_locale_do(minor: int, currency: str, locale: str, text: str) -> None:
    assert money_text(minor, currency, locale).replace("\u00a0", " ") == text


@given(
    st.sampled_from(sorted(currency_codes())), st.integers(1, 10**9), st.sampled_from(["en", "en-GB", "de", "de-AT"])
)
def test_every_amount_is_written_with_all_its_digits(currency: str, minor: int, locale: str) -> None:
    written = re.sub(r"\D", "", re.sub(r"[A-Z]+[A-Za-z.]*", "", money_text(minor, currency, locale)))
    assert int(written) == minor
    assert major_units(minor, currency).scaleb(minor_digits(currency)) == minor


@pytest.mark.parametrize(
    "code", ["ZZZ", "XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XDR", "XUA", "XSU", "XBA", "CHE", "usd", ""]
)
def test_what_nobody_pays_with_is_no_currency(code: str) -> None:
    assert code not in currency_codes()
    for refused in (checked_currency, minor_digits):
        with pytest.raises(ValueError, match="ISO 4217 currency"):
            refused(code)


def test_digits_are_those_of_iso_4217() -> None:
    digits = {code: minor_digits(code) for code in ("USD", "RSD", "IRR", "JPY", "UGX", "ISK", "KWD", "IQD", "MGA")}
    assert digits == {"USD": 2, "RSD": 2, "IRR": 2, "JPY": 0, "UGX": 0, "ISK": 0, "KWD": 3, "IQD": 3, "MGA": 2}

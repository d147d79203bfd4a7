"""Telephone numbers: kept as people write them, dialled in international form (ITU-T E.164)."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult


@lru_cache(maxsize=4096)
def e164(written: str) -> str | None:
    """The number as it is dialled, `+441614960000` for `+44 (0)161 496 0000`; None if it is none, or does not name its country.

    Asks whether a number of its country can look so, not whether it was given out: lists of those lag behind.
    """
    written = written.strip()
    if written.startswith("00"):
        written = f"+{written[2:]}"
    if not written.startswith("+"):
        return None  # dialled from elsewhere it would reach a stranger
    try:
        number = phonenumbers.parse(written)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    if phonenumbers.national_significant_number(number).startswith("0") and not phonenumbers.is_valid_number(number):
        return None  # no country but a few, such as Italy, has numbers that begin so
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))

"""Telephone numbers: stored as people write them, dialled in international form (ITU-T E.164)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

LONGEST: Final = 15
"""Most digits of a number with its country code (E.164, 6.2.1)."""
_NORTH_AMERICA: Final = 1
_NORTH_AMERICAN: Final = re.compile(r"[2-9](?!11)\d\d[2-9]\d{6}")
"""NXX-NXX-XXXX, except area codes N11, which are services. This holds for the whole numbering plan."""


@lru_cache(maxsize=4096)
def e164(written: str) -> str | None:
    """The number as it is dialled: `+441614960000` for `+44 (0)161 496 0000`. None if it is not valid or has no country code.

    Checks what the country's numbering plan rules out, not whether the number is assigned: lists of those lag behind.
    """
    written = written.strip()
    if written.startswith("00"):
        written = f"+{written[2:]}"
    if not written.startswith("+"):
        return None  # if dialled from elsewhere, it would reach a stranger
    try:
        number = phonenumbers.parse(written)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    if number.country_code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        return None  # freephone, premium rate, satellites: nobody's own
    national = phonenumbers.national_significant_number(number)
    if number.country_code == _NORTH_AMERICA and not _NORTH_AMERICAN.fullmatch(national):
        return None
    if national.startswith("0") and not phonenumbers.is_valid_number(number):
        return None  # only in a few countries, such as Italy, numbers begin like this
    dialled = str(phonenumbers.format_number(number, PhoneNumberFormat.E164))
    return dialled if len(dialled) <= len("+") + LONGEST else None

"""Telephone numbers: kept and shown as people write them, dialled in international form (NOTE-1)."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_notifications.phone_numbers import e164
from phonenumbers import PhoneNumberFormat

from .conftest import NotificationsHarness


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    ("written", "dialled"),
    [
        ("+44 0161 496 0000", "+441614960000"),
        ("+44 (0)161 496 0000", "+441614960000"),
        ("0044 (0)20.79460958", "+442079460958"),
        ("+44 7700 900123", "+447700900123"),
        ("+39 06 1234 5678", "+390612345678"),  # the 0 belongs to it
        ("+39 (0)6 1234 5678", "+390612345678"),
        ("0049 30/123456", "+4930123456"),
        ("+49 (30) 123-456", "+4930123456"),
        ("+7 495 123-45-67", "+74951234567"),
        ("+61 (0)2 9999 9999", "+61299999999"),
        ("+1 (212) 555-2368", "+12125552368"),
        ("+1 999 555 2368", "+19995552368"),  # not given out yet, as the lists of today know
    ],
)
def test_a_number_is_dialled_by_the_plan_of_its_country(written: str, dialled: str) -> None:
    assert e164(written) == dialled


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    "written",
    ["0161 496 0000", "(30) 123456", "176 1234567", "+0 30 123456", "+1 123", "+1 555 0100", "+999 123456789", "+49 0000000",
     "+49 1", "+" + "1" * 16, "+44 161 496 0000 00 000", "00000000", "+", ""],
)  # fmt: skip
def test_what_is_no_number_or_lacks_its_country_is_dialled_by_nobody(written: str) -> None:
    assert e164(written) is None


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    "written",
    [
        "+1 123 456 7890", "+1 023 456 7890", "+1 212 155 2368", "+1 212 055 2368", "+1 911 555 2368", "+1 411 555 2368",
        "+49 " + "3" * 14, "+39 " + "3" * 14,
    ],
)  # fmt: skip
def test_what_the_plan_of_numbers_rules_out_is_dialled_by_nobody(written: str) -> None:
    """North American area codes and exchanges begin with 2 to 9, N11 are services; no number has over 15 digits."""
    assert e164(written) is None


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("code", sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS))
def test_a_number_of_no_country_is_dialled_by_nobody(code: int) -> None:
    """Freephone, premium rate, satellites: it is nobody's whom a message could reach."""
    number = phonenumbers.example_number_for_non_geo_entity(code)
    assert number is not None
    assert e164(phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)) is None


@given(area=st.from_regex(r"[2-9](?!11)[0-9]{2}", fullmatch=True), rest=st.from_regex(r"[2-9][0-9]{6}", fullmatch=True))
def test_a_north_american_number_that_is_newer_than_the_lists_is_dialled(area: str, rest: str) -> None:
    assert e164(f"+1 {area} {rest}") == f"+1{area}{rest}"


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.sampled_from(["", " ", "-", "."]))
def test_each_countrys_example_is_the_same_number_however_it_is_written(region: str, gap: str) -> None:
    number = phonenumbers.example_number(region)
    assert number is not None
    expected = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    written = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    assert e164(written.replace(" ", gap or " ")) == expected
    assert e164(expected.replace("+", "00", 1)) == expected


@pytest.mark.rule("NOTE-1")
async def test_a_number_is_shown_as_it_was_written_and_dialled_in_international_form(
    harness: NotificationsHarness,
) -> None:
    written = "+44 (0)161 496 0000"
    await harness.everybody(phone=written, channels={"whatsapp": True})
    client = harness.client("member", harness.member)
    assert (await client.get(f"/v1/people/{harness.member}/contact")).json()["phone"] == written
    held = (await client.get(f"/v1/people/{harness.member}/export")).json()
    assert held["contact"]["phone"] == written
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()
    (message,) = await harness.whatsapp.messages()
    assert message["To"] == "441614960000"


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    ("kept", "told"), [("+44 0161 496 0000", ["441614960000"]), ("0176 1234567", []), ("+49 0000000", [])]
)
async def test_a_number_that_an_earlier_version_took_is_read_anew(
    harness: NotificationsHarness, kept: str, told: list[str]
) -> None:
    await harness.everybody(phone="+49 30 123456", channels={"whatsapp": True})
    await harness.rows("UPDATE people SET phone = $1 WHERE id = $2", kept, harness.member)
    async with harness.sending():
        await harness.confirmed()
        await harness.inbox.wait(1)
        await harness.settled()
    assert [message["To"] for message in await harness.whatsapp.messages()] == told
    rows = await harness.rows("SELECT status, reason FROM deliveries WHERE channel = 'whatsapp'")
    assert [tuple(row) for row in rows] == [("sent", None) if told else ("skipped", "no-contact")]

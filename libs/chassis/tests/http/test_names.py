"""Which names go into messages to others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_chassis.http.names import Name
from makegood_testkit.names import real_names
from pydantic import TypeAdapter, ValidationError

_name = TypeAdapter(Name)
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


def refused(name: str) -> bool:
    try:
        _name.validate_python(name)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize(
    "name",
    [
        "https://evil.example/pay", "Ada http://1.2.3.4/x", "//evil.com", "www.evil.example", "WWW.Evil.Example", "evil.com",
        "Evil.Com", "EVIL.COM", "see evil.io/now", "M.Sc/pay", "pay.evil.shop", "rechnung.online", "ada@example.org",
        "Ada <ada@example.org>", "mailto:ada@example.org", "ftp://x", "evil\uff0ecom", "evil\u3002com", "ev\u200dil.com",
        "h\u200cttps:/\u200d/evil.com", "ｗｗｗ．ｅｖｉｌ．ｃｏｍ", "аpple.com", "xn--80ak6aa92e.com",
        "192.168.0.1", "Ada 10.0.0.1:80", "http:/evil", "javascript:alert(1)", "JavaScript:x", "tel:+4912345", "mailto:a",
        "sms:110", "192.168.0.1.", ".192.168.0.1", "-пример.рф", "éhttp:/evil", "http:in/evil", "пример.рф", "см. пример.рф", "中国.中国", "BIT.LY", "T.me", "Bit.Ly", "T.ME", "t.me", "Goo.gl", "Dr.Com",
    ],
)  # fmt: skip
def test_a_name_that_leads_somewhere_is_refused(name: str) -> None:
    assert refused(name)


@given(
    st.text(max_size=20),
    st.sampled_from([*BIDI, "\n", "\r", "\x00", "\x1b", "\x85", "\u2028", "\u2029"]),
    st.text(max_size=20),
)
def test_a_name_that_steers_the_text_around_it_is_refused(before: str, mark: str, after: str) -> None:
    assert refused(f"x{before}{mark}{after}x")


@given(
    st.text(
        st.sampled_from(" \u00a0\u3000\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f\u3164\u115f\u2800\U000e0067\u034f"),
        max_size=20,
    )
)
def test_a_name_of_which_nothing_shows_is_refused(name: str) -> None:
    assert refused(name)


@pytest.mark.parametrize(
    "name",
    [
        "Ada O’Brien-Smith, M.Sc.", "Dr.med. Eva Müller", "Prof.Schmidt", "Dipl.-Psych. Jörg Groß", "J.R.R. Tolkien", "Dr.No",
        "Søren \\ Kierkegaard; \"the Dane\"", "علی‌رضا", "क्‍ष", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿 Anna", "❤️ Ben", "김철수", "St. John", "Anna & Ben", "X",
        "Dr. Lee", "M.Sc. Anna", "B.Sc", "Prof.Dr. Kim", "Prof.Dr.Li", "Dipl.Ing. Ott", "J. R. R. Tolkien", "А.С.Пушкин", "А. Б.",
        "Raum: 2", "S:t Erik", "Dr.No, Dr.med. Ott", "Therapeut:innen Mitte", "Room 1.2.3", "Ph.D. Ada", "M.A. Lee", "山田.太郎",
    ],
)  # fmt: skip
def test_what_people_are_called_is_kept_as_it_is(name: str) -> None:
    assert _name.validate_python(name) == name


@given(real_names())
def test_names_of_any_script_are_kept_as_they_are(name: str) -> None:
    assert _name.validate_python(name) == name

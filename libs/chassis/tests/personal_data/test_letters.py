"""Words inside events: sealed with the public half of a person's key, opened with that key alone."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_chassis.personal_data.letters import Letter, open_letter, public_half, seal_letter
from makegood_chassis.personal_data.master_keys import new_key

LETTER = Letter("SessionCancelled", "s-1", "anna")


@pytest.mark.rule("SEC-3")
@given(st.text(max_size=2000))
def test_only_the_persons_key_opens_it(text: str) -> None:
    key = new_key()
    sealed = seal_letter(public_half(key), LETTER, text)
    assert open_letter(key, LETTER, sealed) == text
    assert open_letter(new_key(), LETTER, sealed) is None
    assert len(sealed) <= (4 * len(text) + 48 + 2) // 3 * 4 + 4


@pytest.mark.rule("SEC-3")
@pytest.mark.parametrize(
    "other",
    [
        Letter("SessionCancelled", "s-2", "anna"),
        Letter("SessionCancelled", "s-1", "dr-lee"),
        Letter("SessionMoved", "s-1", "anna"),
    ],
)
def test_elsewhere_it_does_not_open(other: Letter) -> None:
    key = new_key()
    assert open_letter(key, other, seal_letter(public_half(key), LETTER, "words")) is None


@pytest.mark.parametrize("sealed", ["", "no base64!", "AAAA", base64.b64encode(bytes(100)).decode()])
def test_what_was_never_sealed_opens_to_nothing(sealed: str) -> None:
    assert open_letter(new_key(), LETTER, sealed) is None


def test_the_same_key_has_the_same_public_half() -> None:
    key = new_key()
    assert public_half(key) == public_half(key) != public_half(new_key())
    assert len(base64.b64decode(public_half(key))) == 32

"""What counts as an id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from makegood_contracts.ids import is_id, is_person_id, made_at, new_id

KNOWN = "0193f5b5-0000-7000-8000-00000000abcd"


def test_an_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= made_at(new_id()) <= datetime.now(UTC)
    assert made_at(KNOWN).isoformat(timespec="milliseconds") == "2024-12-23T22:48:20.224+00:00"


@pytest.mark.parametrize("text", [KNOWN, KNOWN.upper()])
def test_the_canonical_form_is_an_id(text: str) -> None:
    assert is_id(text)


def test_a_new_id_is_one() -> None:
    assert is_id(new_id())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kitchen",
        KNOWN.replace("-", ""),
        f"{{{KNOWN}}}",
        f"urn:uuid:{KNOWN}",
        KNOWN + "\n",
        " " + KNOWN,
        KNOWN.replace("0193", "0_193").replace("abcd", "abc"),
        KNOWN.replace("0", "\uff10"),
        KNOWN.replace("0", "\u0660"),
        KNOWN.replace("-", "\u2010"),
        KNOWN.replace("a", "g"),
        KNOWN.replace("0000-7000", "000-07000"),
    ],
)
def test_no_other_spelling_is_one(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize("text", ["member-42", "auth0:5f7c", "a.b_c@example.org", KNOWN, "m" * 128])
def test_what_a_token_can_name_is_a_person(text: str) -> None:
    assert is_person_id(text)


@pytest.mark.parametrize("text", ["", "\0", "member 1", "member-1\n", "m\u00e4rz", "m" * 129, "auth0|5f7c", "a/b"])
def test_what_no_token_can_name_is_none(text: str) -> None:
    assert not is_person_id(text)

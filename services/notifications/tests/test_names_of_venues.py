"""Where a session is stands in the chat as it is known when it is read (NOTE-1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_notifications.domain.links import Links
from makegood_notifications.domain.notices import Content, Details
from makegood_notifications.domain.venues import Venue, named_in, to_be_named, with_names
from makegood_notifications.mail.wording import Wording

from .conftest import START

WORDING = Wording(Links("https://app"))
GARDEN, TOWER = Venue("Garden Practice", "12 Park Lane, Leeds"), Venue("Tower Rooms")
MOVED = Content(
    "s", "r", "m", "p", START, START, 45, "in_person", "UTC", venue_id="v",
    details=Details(was_at=START, elsewhere=True, was_venue_id="w"),
)  # fmt: skip


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize("known", ["", "v", "w", "vw"])
def test_the_chat_names_venues_as_if_they_had_been_known_when_it_was_written(locale: str, known: str) -> None:
    venues = {"v": GARDEN, "w": TOWER}
    written = WORDING.chat("session-moved-by-provider", MOVED, locale, venues={one: venues[one] for one in known})
    assert named_in(written) == {"v", "w"} - set(known)
    assert with_names(written, venues) == WORDING.chat("session-moved-by-provider", MOVED, locale, venues=venues)


@pytest.mark.rule("NOTE-1")
def test_until_then_it_leads_to_the_sessions_page() -> None:
    shown = with_names(WORDING.chat("session-moved-by-provider", MOVED, "en"), {"w": TOWER})
    assert "Tower Rooms" in shown
    assert shown.endswith("\nWhere: https://app/sessions/s")
    offered = Content(
        None, "r", "m", "p", START, START, 45, "in_person", "UTC", venue_id="v", details=Details(open_until=START)
    )
    assert with_names(WORDING.chat("waitlist-offered", offered, "en"), {}).endswith("\nWhere: in person")


@given(st.text(), st.text(min_size=1), st.text())
def test_what_names_no_venue_is_read_as_it_was_written(before: str, name: str, after: str) -> None:
    clean = "".join(character for character in before + after if character.isprintable())
    assert with_names(clean, {"v": Venue(name)}) == clean
    assert named_in(clean) == set()
    assert with_names(clean + to_be_named("v", "there") + clean, {"v": Venue(name)}) == clean + name + clean

"""The rules by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_contracts import events as facts
from makegood_notifications.domain.announcements import announcements
from makegood_notifications.domain.deliveries import LONGEST_RETRY, retry_after
from makegood_notifications.domain.invitations import Invitation, next_invitation, uid
from makegood_notifications.domain.links import Links
from makegood_notifications.domain.notices import Content

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BASE: dict[str, Any] = {
    "session_id": "s", "room_id": "r", "member_id": "m", "provider_id": "p", "starts_at": START,
    "ends_at": START + timedelta(minutes=30), "length_minutes": 30, "modality": "video", "time_zone": "Europe/Berlin",
    "session_version": 1,
}  # fmt: skip
CONFIRMED = facts.SessionConfirmed(**BASE, confirmed_by="provider")
CANCEL: dict[str, Any] = {"cancelled_at": START, "forfeits": False, "was_confirmed": True}
ENDINGS: list[facts.SessionConfirmed | Any] = [
    facts.SessionCancelled(**BASE, **CANCEL, cancelled_by="member"),
    facts.ProviderMissed(**BASE, absent_party="both", missed_at=START, grace_minutes=10),
    facts.MemberNoShow(**BASE, marked_by="system"),
]


@pytest.mark.rule("RESC-4")
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda event: type(event).__name__)
def test_each_ending_of_a_confirmed_session_cancels_the_invitation_one_higher(ending: Any) -> None:
    assert next_invitation(CONFIRMED, None) == Invitation("REQUEST", 0)
    assert next_invitation(ending, 0) == Invitation("CANCEL", 1)


@pytest.mark.rule("RESC-4")
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda event: type(event).__name__)
def test_who_was_never_invited_gets_no_cancellation(ending: Any) -> None:
    assert next_invitation(ending, None) is None


@pytest.mark.rule("RESC-4")
def test_a_session_that_took_place_stays_in_the_calendar() -> None:
    assert next_invitation(facts.SessionCompleted(**BASE), 0) is None


@pytest.mark.rule("RESC-4")
@given(st.lists(st.sampled_from([CONFIRMED, *ENDINGS]), max_size=12))
def test_the_sequence_rises_by_one_with_each_calendar_message(story: list[Any]) -> None:
    sequence: int | None = None
    sent: list[int] = []
    for event in story:
        if invitation := next_invitation(event, sequence):
            sequence = invitation.sequence
            sent.append(sequence)
    assert sent == list(range(len(sent)))


@pytest.mark.rule("RESC-4")
def test_the_uid_depends_on_the_session_alone() -> None:
    assert uid("s-1") == uid("s-1") != uid("s-2")


@pytest.mark.rule("CANC-2")
@pytest.mark.parametrize(
    ("by", "template"),
    [
        ("provider", "session-cancelled-by-provider"),
        ("member", "session-cancelled-by-member"),
        ("system", "session-cancelled-by-system"),
    ],
)
def test_who_cancelled_decides_what_the_member_reads(by: Any, template: str) -> None:
    member, *others = announcements(facts.SessionCancelled(**BASE, **CANCEL, cancelled_by=by))
    assert (member.template, member.to, member.mail, member.chat) == (template, "member", True, True)
    assert [news.template for news in others] == ([] if by == "provider" else ["to-provider-cancelled"])


def test_what_the_client_sees_anyway_makes_no_message() -> None:
    joined = facts.SessionJoined(**BASE, party="member", joined_at=START)
    assert announcements(joined) == ()
    assert announcements(facts.SessionRejected(**BASE, reasons=[])) == ()
    assert announcements(facts.SessionCompleted(**BASE)) == ()


@given(st.integers(0, 10_000))
def test_retries_slow_down_and_never_stop(attempts: int) -> None:
    assert timedelta() < retry_after(attempts) <= retry_after(attempts + 1) <= LONGEST_RETRY


@pytest.mark.rule("MISS-3", "MISS-4")
def test_the_link_to_rebook_names_room_length_and_modality() -> None:
    session = Content("s", "r", "m", "p", START, START, 45, "in_person", "UTC", venue_id="v")
    assert Links("https://app").rebook(session) == (
        "https://app/rooms/r/book?length_minutes=45&modality=in_person&rebook=s&venue_id=v"
    )


@pytest.mark.rule("MISS-4", "EXT-1")
def test_what_was_extended_is_rebooked_with_the_length_that_was_booked() -> None:
    session = Content("s", "r", "m", "p", START, START, 45, "video", "UTC", extended_minutes=15)
    assert "length_minutes=30&" in Links("https://app").rebook(session)


@pytest.mark.rule("AVAIL-6")
def test_the_link_of_an_offer_books_what_is_held() -> None:
    """In person the venue is held with the slot: a booking without it, or at another one, is not what was offered."""
    held = Content(None, "r", "m", "p", START, START, 45, "in_person", "UTC", venue_id="v")
    assert Links("https://app").to("slot", held) == (
        "https://app/rooms/r/book?length_minutes=45&modality=in_person&starts_at=2026-11-24T09%3A00%3A00Z&venue_id=v"
    )
    by_video = Content(None, "r", "m", "p", START, START, 45, "video", "UTC")
    assert "venue_id" not in Links("https://app").to("slot", by_video)

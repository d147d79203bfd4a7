"""What a delivery that was taken says of itself, and what follows from how it ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from makegood_contracts.ids import new_id
from makegood_notifications.delivery_worker import AttemptResult
from makegood_notifications.domain.deliveries import CurrentState
from makegood_notifications.domain.notices import Content, Details
from makegood_notifications.domain.venues import Venue
from makegood_notifications.store.deliveries import LeasedDelivery

from .conftest import START, told

ADDRESS = "ada@example.org"


def leased(
    *,
    about: dict[str, Any] | None = None,
    template: str = "session-moved-by-provider",
    at: datetime = START,
    **changes: Any,
) -> LeasedDelivery:
    content = Content("s", "r", "m", "p", START, START, 45, "in_person", "UTC", **(about or {}))
    given: dict[str, Any] = {
        "id": new_id(), "person_id": "m", "channel": "email", "notice": told(template, content, at), "attempts": 1,
        "uncertain": False, "withdrawn": None, "leased_at": 0.0, "state": CurrentState(), "name": "Ada", "email": ADDRESS,
        "phone": None, "locale": "en", "by_email": True, "by_whatsapp": False, "other_name": "Grace",
    }  # fmt: skip
    return LeasedDelivery(**{**given, **changes})


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    ("venue_id", "was", "known", "lacks"),
    [
        (None, None, "", False), ("v", None, "v", False), ("v", None, "w", True), ("v", "w", "vw", False),
        ("v", "w", "v", True), ("v", "w", "w", True), (None, "w", "", True),
    ],
)  # fmt: skip
def test_a_message_lacks_any_venue_that_it_names(
    venue_id: str | None, was: str | None, known: str, lacks: bool
) -> None:
    about = {"venue_id": venue_id, "details": Details(elsewhere=True, was_venue_id=was) if was else None}
    venues = {one: Venue(one) for one in known}
    assert leased(about=about, venues=venues).lacks_venue is lacks
    assert not leased(about=about, recipient="old@example.org").lacks_venue, "that one says nothing of the session"


def test_a_delivery_knows_when_it_was_written_whenever_its_event_was() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= leased(at=START - timedelta(days=9)).written_at <= datetime.now(UTC)


@pytest.mark.rule("RESC-4")
@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("sent", None, ADDRESS),
        ("failed", "refused", ADDRESS),
        ("failed", "unreachable", ADDRESS),
        ("skipped", "not-wanted", ""),
        ("skipped", "no-longer-true", ""),
        ("skipped", "no-contact", ""),
        ("skipped", "erased", None),
        ("queued", None, None),
    ],
)
def test_an_invitation_is_taken_back_however_its_cancel_ends(
    status: str, reason: str | None, expected: str | None
) -> None:
    """Told are the other addresses that were invited; where nothing was tried at the person's own, that one as well."""
    cancel = leased(about={"method": "CANCEL", "sequence": 1})
    assert AttemptResult(cancel, status, reason).told == expected
    assert AttemptResult(leased(about={"method": "REQUEST"}), status, reason).told is None
    assert AttemptResult(leased(), status, reason).told is None
    bare = leased(about={"method": "CANCEL", "sequence": 1}, recipient="old@example.org")
    assert AttemptResult(bare, status, reason).told is None

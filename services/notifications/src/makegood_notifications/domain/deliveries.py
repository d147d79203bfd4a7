"""When a queued message is sent, tried again, left out or given up (NOTE-2, NOTE-3)."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from makegood_notifications.domain.notices import Content, Notice

FIRST_RETRY: Final = timedelta(seconds=15)
LONGEST_RETRY: Final = timedelta(hours=1)
HELD_UP: Final = timedelta(seconds=2)
"""A message that waited longer than this is sent only once everything that happened after it is known."""

OVER: Final[Set[str]] = frozenset(
    {"completed", "declined", "expired", "cancelled", "provider_missed", "member_no_show"}
)

EXTENDED: Final = "session-extended"
REZONED: Final = "session-zone-changed"
NEWS_OF_WHAT_IS_TO_COME: Final[Set[str]] = frozenset(
    {
        "session-confirmed",
        "session-moved-by-member",
        "session-moved-by-provider",
        REZONED,
        "to-provider-moved",
        "to-provider-scheduled",
    }
)
"""Templates about a session in the future."""
TAKES_ITS_PLACE: Final[tuple[str, ...]] = (
    "session-confirmed",
    "session-moved-by-member",
    "session-moved-by-provider",
)
"""Templates that tell the member everything that an earlier message says about time and place."""
CATCHES_UP: Final[tuple[str, ...]] = ("session-confirmed", "session-moved-by-provider", EXTENDED, REZONED)
"""Templates that the member must get even if a change that their channel does not report made them outdated."""
REMINDS: Final[Set[str]] = frozenset({"reminder", "to-provider-reminder", "reconfirm-asked"})
"""Templates that are only true before a session that is confirmed for that very time (REM-1, CONF-3)."""
ASKS_TO_CONFIRM: Final[Set[str]] = frozenset({"to-provider-confirm"})
ASKS_HOW_IT_WENT: Final[Set[str]] = frozenset({"to-provider-outcome"})
"""Templates that are only true until the session has its outcome (JOIN-3)."""
WITHDRAWN: Final = "invitation-withdrawn"
"""A bare CANCEL to an address at which somebody was invited before it changed."""
ALWAYS: Final[Set[str]] = frozenset(
    {"address-confirm", "address-changed", "erasure-requested", "erasure-taken-back", WITHDRAWN}
)
"""Templates that are sent whatever the person wants to be told: they protect the account or withdraw what was sent."""
VENUE_PATIENCE: Final = timedelta(minutes=2)
"""How long a message waits for the event about a venue that it names. After that it links to the session's page
instead.
"""
OFFERS: Final[Set[str]] = frozenset({"waitlist-offered"})
LEADS_TO_TIMES: Final[tuple[str, ...]] = (
    "session-declined",
    "session-expired",
    "session-cancelled-by-member",
    "session-cancelled-by-provider",
    "session-cancelled-by-system",
    "provider-missed",
)
"""Templates whose button leads to other times with the same provider, as long as those can be booked."""
ONLY_TAKE_BACK: Final[Set[str]] = frozenset({"to-provider-unscheduled"})
"""Templates that only say that an invitation no longer holds."""
CORRECTED: Final = "outcome-corrected"
ENDED: Final[Mapping[str, str]] = {
    "session-declined": "declined",
    "session-expired": "expired",
    "session-cancelled-by-member": "cancelled",
    "session-cancelled-by-provider": "cancelled",
    "session-cancelled-by-system": "cancelled",
    "session-cancelled-with-provider": "cancelled",
    "session-cancelled-provider-gone": "cancelled",
    "to-provider-cancelled": "cancelled",
    "provider-missed": "provider_missed",
    "member-no-show": "member_no_show",
}
"""Template → the ending that it reports. After a correction, which has its own message, it is no longer true."""
LEFT_FOR_ANOTHER: Final = "to-provider-changed"
ERASURE: Final[Mapping[str, bool]] = {"erasure-requested": True, "erasure-taken-back": False}
"""Templates about an erasure, and whether one must be pending for it to be true."""


@dataclass(frozen=True, slots=True)
class CurrentState:
    """What a message is about, as it is when the message is about to be sent. `status` is None if the session is not known,
    `offer_open` if it is not about an offer, `room_open` if the room is not known."""

    status: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    venue_id: str | None = None
    offer_open: bool | None = None
    room_open: bool | None = None
    erasure_pending: bool = False
    time_zone: str | None = None
    length_minutes: int | None = None
    invitation_sequence: int | None = None
    told_later: bool = False
    """Whether a later message by the same channel replaces this one."""
    rebookable: bool = True
    """For LEADS_TO_TIMES: whether another session can be booked, as far as the room is concerned (MISS-4)."""


def retry_after(attempts: int) -> timedelta:
    """The pause after the `attempts`-th attempt that the channel put off. It doubles up to an hour."""
    doublings = min(max(attempts - 1, 0), 16)
    return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)


def caught_up(notice: Notice, state: CurrentState) -> Notice:
    """What the message has to say now. A move that its channel does not report (RESC-2) must not cost the member the
    confirmation (CONF-1). In every other case it is `notice`, unchanged: `no_longer_true` decides whether that is still
    true.
    """
    template, content = notice.template, notice.content
    as_said = state.status == ("reserved" if content.tentative else "confirmed")
    if template not in CATCHES_UP or not as_said or state.told_later:
        return notice
    there = _then_and_there(content, state)
    overtaken = there and state.time_zone != content.time_zone if template == REZONED else not there
    if not overtaken:
        return notice
    assert state.starts_at is not None
    assert state.ends_at is not None
    details = content.details
    if template == "session-moved-by-provider" and details is not None:
        was_until = details.was_until or state.ends_at  # an earlier release did not keep it
        if (details.was_at, was_until, details.was_venue_id) == (state.starts_at, state.ends_at, state.venue_id):
            return notice  # moved back, so there is nothing to report
        details = replace(details, elsewhere=details.was_venue_id != state.venue_id)
    now = replace(
        content,
        starts_at=state.starts_at,
        ends_at=state.ends_at,
        length_minutes=state.length_minutes or content.length_minutes,
        time_zone=state.time_zone or content.time_zone,
        venue_id=state.venue_id,
        sequence=content.sequence if state.invitation_sequence is None else state.invitation_sequence,
        details=details,
    )
    return replace(notice, content=now)


def no_longer_true(notice: Notice, state: CurrentState, now: datetime) -> bool:
    """NOTE-3: whether the message must not be sent any more. `now` is product time.

    What it says must be true at this moment: every later change has its own message. A session that is not known here
    contradicts only a reminder or a question.
    """
    template, content = notice.template, notice.content
    if template in REMINDS:
        return state.status != "confirmed" or not _then_and_there(content, state) or now >= content.starts_at
    if template in ASKS_TO_CONFIRM:
        return state.status != "reserved" or not _then_and_there(content, state)
    if template in ASKS_HOW_IT_WENT:
        return state.status != "confirmed" or not _then_and_there(content, state)
    if template in OFFERS:
        return not state.offer_open
    if template in ERASURE:
        return state.erasure_pending != ERASURE[template]
    if template == LEFT_FOR_ANOTHER:
        return state.room_open is True
    if state.status is None:
        return False
    if template in NEWS_OF_WHAT_IS_TO_COME:
        has_confirmed = content.tentative and state.status == "confirmed"
        zoned = not _tells_of_zone(template, content) or state.time_zone == content.time_zone
        return state.status in OVER or has_confirmed or not zoned or not _then_and_there(content, state)
    if template == EXTENDED:
        return state.status in OVER - {"completed"} or not _then_and_there(content, state)
    if template == CORRECTED:
        return content.details is not None and state.status != content.details.outcome
    return template in ENDED and state.status != ENDED[template]


def _then_and_there(content: Content, state: CurrentState) -> bool:
    """Whether the session is at the time and place that the message names."""
    said = content.starts_at, content.ends_at, content.venue_id
    return (state.starts_at, state.ends_at, state.venue_id) == said


def _tells_of_zone(template: str, content: Content) -> bool:
    """Whether the message is about the zone. Other messages name their zone, so what they say is right in any zone."""
    return template == REZONED or (content.details is not None and content.details.change == "rezoned")

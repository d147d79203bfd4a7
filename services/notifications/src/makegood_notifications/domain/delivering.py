"""When a queued message is sent, tried again, left out or given up (NOTE-2, NOTE-3)."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

FIRST_RETRY: Final = timedelta(seconds=15)
LONGEST_RETRY: Final = timedelta(hours=1)
HELD_UP: Final = timedelta(minutes=1)
"""A message that waited no longer than this is news, even if the next one follows on its heels."""

OVER: Final[Set[str]] = frozenset(
    {"completed", "declined", "expired", "cancelled", "provider_missed", "member_no_show"}
)

NEWS_OF_WHAT_IS_TO_COME: Final[Set[str]] = frozenset(
    {
        "session-confirmed",
        "session-moved-by-member",
        "session-moved-by-provider",
        "to-provider-moved",
        "to-provider-scheduled",
    }
)
"""Templates that tell of a session which is still to come, and are news when they are sent at once."""
REMINDS: Final[Set[str]] = frozenset({"reminder", "to-provider-reminder", "reconfirm-asked"})
"""Templates that are only true before a session which stands confirmed at that very time (REM-1, CONF-3)."""
ASKS_TO_CONFIRM: Final[Set[str]] = frozenset({"to-provider-confirm"})
ASKS_HOW_IT_WENT: Final[Set[str]] = frozenset({"to-provider-outcome"})
"""Templates that are only true until the session has its outcome (JOIN-3)."""
WITHDRAWN: Final = "invitation-withdrawn"
"""To an address at which somebody was invited before it changed: the CANCEL, and nothing else."""
ALWAYS: Final[Set[str]] = frozenset(
    {"address-confirm", "address-changed", "erasure-requested", "erasure-taken-back", WITHDRAWN}
)
"""Templates that go out whatever the person wants to be told: they protect the account, or take back what went out."""
VENUE_PATIENCE: Final = timedelta(minutes=2)
"""How long a message waits for news of the venue that it names. After that it points to the session's page."""
OFFERS: Final[Set[str]] = frozenset({"waitlist-offered"})


@dataclass(frozen=True, slots=True)
class Standing:
    """How the thing that a message tells of stands when it is about to be sent. `status` is None for a session that is not
    known; `offer_open` for anything but an offer."""

    status: str | None = None
    starts_at: datetime | None = None
    offer_open: bool | None = None


def retry_after(attempts: int) -> timedelta:
    """The pause after the `attempts`-th try that the channel put off: doubling, an hour at most."""
    doublings = min(max(attempts - 1, 0), 16)
    return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)


def no_longer_true(template: str, starts_at: datetime, standing: Standing, *, waited: timedelta, now: datetime) -> bool:
    """Whether the message must not go out any more (NOTE-3). `starts_at` is what it says, `now` product time.

    News that was held up (mail server away, backlog) is left out once its session has ended or moved on, for that has a
    message of its own. News that is sent at once goes out before the next, so the story that people read has no gap.
    A reminder or a question is never sent for a session that does not stand as it says.
    """
    if template in NEWS_OF_WHAT_IS_TO_COME:
        moved_on = standing.starts_at is not None and standing.starts_at != starts_at
        return waited > HELD_UP and (standing.status in OVER or moved_on)
    if template in REMINDS:
        return standing.status != "confirmed" or standing.starts_at != starts_at or now >= starts_at
    if template in ASKS_TO_CONFIRM:
        return standing.status != "reserved" or standing.starts_at != starts_at
    if template in ASKS_HOW_IT_WENT:
        return standing.status != "confirmed" or standing.starts_at != starts_at
    if template in OFFERS:
        return not standing.offer_open
    return False

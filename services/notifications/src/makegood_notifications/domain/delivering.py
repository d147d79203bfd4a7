"""When a queued message is sent, tried again, left out or given up (NOTE-2, NOTE-3)."""

from __future__ import annotations

from collections.abc import Set
from datetime import timedelta
from typing import Final

FIRST_RETRY: Final = timedelta(seconds=15)
LONGEST_RETRY: Final = timedelta(hours=1)
HELD_UP: Final = timedelta(minutes=1)
"""A message that waited no longer than this is news, even if the next one follows on its heels."""

OVER: Final[Set[str]] = frozenset(
    {"completed", "declined", "expired", "cancelled", "provider_missed", "member_no_show"}
)

TRUE_ONLY_WHILE_IT_STANDS: Final[Set[str]] = frozenset({"session-confirmed"})
"""Templates that speak of a session which is still to come."""


def retry_after(attempts: int) -> timedelta:
    """The pause after the `attempts`-th try that the channel put off: doubling, an hour at most."""
    doublings = min(max(attempts - 1, 0), 16)
    return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)


def no_longer_true(template: str, session_status: str | None, waited: timedelta) -> bool:
    """Whether the message must not go out any more (NOTE-3).

    A confirmation that was held up (mail server away, backlog) is left out once its session has ended; the ending has a
    message of its own. One that is sent at once goes out before the ending's message, so the member's story has no gap.
    """
    return template in TRUE_ONLY_WHILE_IT_STANDS and session_status in OVER and waited > HELD_UP

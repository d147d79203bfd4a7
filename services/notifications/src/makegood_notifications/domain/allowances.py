"""How often one person may cause messages to another. A request that comes too soon is told when it is possible again."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Allowance:
    """Allowed `most` times in a `period` of product time, which begins with the first use."""

    kind: str
    most: int
    period: timedelta

    def next_at(self, since: datetime) -> datetime:
        """When it is possible again if the period that began at `since` is used up."""
        return since + self.period


REMINDER: Final = Allowance("reminder", 1, timedelta(hours=1))
"""Reminders that a provider sends by hand, for one session and channel (REM-1)."""
ADDRESS_CHANGE: Final = Allowance("address-change", 5, timedelta(hours=24))
"""Changes of a person's e-mail address. Each sends a link to somebody who may not expect it."""
ERASURE_MAIL: Final = Allowance("erasure-mail", 1, timedelta(hours=24))
"""Mails of one kind about a person's erasure, which can be requested and withdrawn any number of times."""
TIME_REQUEST: Final = Allowance("time-request", 3, timedelta(hours=1))
"""The ready message of one room (AVAIL-5)."""
MAILS: Final = Allowance("mail", 30, timedelta(hours=1))
"""E-mails and WhatsApp messages to one person that other people can cause at will: over all rooms, and for a provider,
by one member. Further ones are left out. The chat and the list of messages have them all.
"""
UNCOUNTED: Final[Set[str]] = frozenset({
    # What only time or an absence causes, once per session or invoice.
    "provider-missed", "member-no-show", "session-expired", "reconfirm-asked", "to-provider-reminder", "invoice-overdue",
    "to-provider-outcome",
    # What has its own limit.
    "reminder", "address-confirm", "address-changed", "erasure-requested", "erasure-taken-back", "invitation-withdrawn",
})  # fmt: skip
"""The templates that are always sent. Every other one is counted."""

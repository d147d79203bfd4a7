"""How often one person may cause messages to another: whoever asks sooner is told when."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Allowance:
    """`most` times in a `period` of product time, which begins with the first of them."""

    kind: str
    most: int
    period: timedelta

    def next_at(self, since: datetime) -> datetime:
        """When it is possible again, if the period that began at `since` is used up."""
        return since + self.period


REMINDER: Final = Allowance("reminder", 1, timedelta(hours=1))
"""Reminders by the provider's hand, of one session by one channel (REM-1)."""
ADDRESS_CHANGE: Final = Allowance("address-change", 5, timedelta(hours=24))
"""Changes of a person's e-mail address: each sends a link to somebody who may know nothing of it."""
ERASURE_MAIL: Final = Allowance("erasure-mail", 1, timedelta(hours=24))
"""Mails of one kind about a person's erasure: it can be asked for and taken back as often as anybody likes."""
TIME_REQUEST: Final = Allowance("time-request", 3, timedelta(hours=1))
"""The ready message of one room (AVAIL-5)."""
MAILS: Final = Allowance("mail", 30, timedelta(hours=1))
"""Mails (and WhatsApp messages) to one person that people can cause as often as they like: over all rooms; to a provider, of one
member. Those beyond are left out; chat and list of messages have them all."""
UNCOUNTED: Final[Set[str]] = frozenset({
    # What only time or an absence causes, once for each session or invoice.
    "provider-missed", "member-no-show", "session-expired", "reconfirm-asked", "to-provider-reminder", "invoice-overdue",
    "to-provider-outcome",
    # What has a limit of its own.
    "reminder", "address-confirm", "address-changed", "erasure-requested", "erasure-taken-back", "invitation-withdrawn",
})  # fmt: skip
"""The templates that always go out. Every other one is counted."""

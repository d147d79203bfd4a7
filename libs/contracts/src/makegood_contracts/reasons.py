"""Reasons for a refusal: a closed set of codes, each of which is also a problem slug."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

SlotReason = Literal["slot-not-offered", "slot-taken", "venue-taken", "member-busy"]
"""Reasons that availability decides."""

CreditReason = Literal[
    "no-session-credits",
    "coverage-ended",
    "plan-excludes-live-sessions",
    "length-not-in-plan",
    "modality-not-in-plan",
    "outstanding-charges",
]
"""Reasons that credits decides."""

BookingReason = Literal["room-closed", "room-inactive", "support-may-not", "temporary-interruption"]
"""Reasons that booking decides without the other services."""

ReasonCode = Literal[SlotReason, CreditReason, BookingReason, "provider-unavailable"]


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """A reason with its remedy, as `bookability` lists it (BOOK-8). `href`: where the API offers the remedy, or None if it
    does not."""

    code: ReasonCode
    detail: str
    action: str
    href: str | None = None


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reason for a refusal: a code for machines and a sentence for people, without personal data."""

    code: ReasonCode
    detail: str
    available_from: datetime | None = None
    """With `no-session-credits`: when the plan next grants credits that the session could use (CRED-2); None if it grants no
    more."""
    credits: int | None = None
    """How many credits the plan grants then."""

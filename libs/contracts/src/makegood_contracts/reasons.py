"""Why something was refused: a closed set of codes, the same words as the problem slugs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

SlotReason = Literal["slot-not-offered", "slot-taken", "venue-taken", "member-busy"]
"""Refusals that availability decides."""

CreditReason = Literal[
    "no-session-credits",
    "coverage-ended",
    "plan-excludes-live-sessions",
    "length-not-in-plan",
    "modality-not-in-plan",
    "outstanding-charges",
]
"""Refusals that credits decides."""

BookingReason = Literal["room-closed", "room-inactive", "support-may-not", "temporary-interruption"]
"""Refusals that booking decides by itself."""

ReasonCode = Literal[
    "slot-not-offered",
    "slot-taken",
    "venue-taken",
    "member-busy",
    "no-session-credits",
    "coverage-ended",
    "plan-excludes-live-sessions",
    "length-not-in-plan",
    "modality-not-in-plan",
    "outstanding-charges",
    "room-closed",
    "room-inactive",
    "support-may-not",
    "temporary-interruption",
    "provider-unavailable",
]


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """A reason with what helps against it, as bookability names it (BOOK-8). `href`: where, in the API; None: elsewhere."""

    code: ReasonCode
    detail: str
    action: str
    href: str | None = None


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reason for a refusal: a code for machines and a sentence for people, without personal data."""

    code: ReasonCode
    detail: str
    available_from: datetime | None = None
    """With `no-session-credits`: when the next credits come that such a session could use (CRED-2); None: none are to come."""
    credits: int | None = None
    """How many come then."""

"""`credits.holds.v1`: credits or co-pays held or refused for sessions."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.events.enrolments import Price
from makegood_contracts.reasons import Reason
from makegood_contracts.topics import HOLDS, Topic


class HoldFact(Event, frozen=True, kw_only=True):
    """What every event of a credit hold says."""

    topic: ClassVar[Topic] = HOLDS

    session_id: str
    member_id: str


class CreditHeld(HoldFact, frozen=True, kw_only=True):
    """What the session costs is set aside: one credit of `lot_id`, or a pending co-pay (CRED-2, PLAN-1)."""

    hold_id: str
    funding: Literal["credit", "co_pay"]
    plan_id: str
    lot_id: str | None = None
    invoice_id: str | None = None
    available_after: int
    hold_until: datetime
    co_pay: Price | None = None
    """How much it is, where it is a co-pay."""


class CreditRefused(HoldFact, frozen=True, kw_only=True):
    """Nothing was set aside. `purchasable`: a credit can be bought on this plan (BOOK-4)."""

    reasons: list[Reason]
    purchasable: bool


class MoveCreditHeld(HoldFact, frozen=True, kw_only=True):
    """What the session costs at its new time is set aside (RESC-1). `kept`: what is held already will do; `added`: another
    credit or co-pay is held beside it, and takes its place with `SessionMoved`."""

    move_id: str
    hold_id: str
    how: Literal["kept", "added"]
    funding: Literal["credit", "co_pay"]
    lot_id: str | None = None
    co_pay: Price | None = None
    """How much it is, where it is a co-pay."""


class MoveCreditRefused(HoldFact, frozen=True, kw_only=True):
    """The session cannot be paid for at its new time; what is held stays. `purchasable`: a credit can be bought."""

    move_id: str
    reasons: list[Reason]
    purchasable: bool

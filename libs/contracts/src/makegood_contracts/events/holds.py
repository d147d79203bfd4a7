"""`credits.holds.v1`: credits or co-pays held or refused for sessions."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from makegood_contracts.events.base import Event
from makegood_contracts.events.enrolments import Price
from makegood_contracts.reasons import Reason
from makegood_contracts.topics import HOLDS, Topic


class HoldFact(Event, frozen=True, kw_only=True):
    """The fields of every credit hold event."""

    topic: ClassVar[Topic] = HOLDS

    session_id: str
    member_id: str


class CreditHeld(HoldFact, frozen=True, kw_only=True):
    """The price of the session is held: one credit of `lot_id`, or a pending co-pay (CRED-2, PLAN-1)."""

    hold_id: str
    funding: Literal["credit", "co_pay"]
    plan_id: str
    lot_id: str | None = None
    invoice_id: str | None = None
    available_after: int
    hold_until: datetime
    co_pay: Price | None = None
    """The amount, if `funding` is `co_pay`."""


class CreditRefused(HoldFact, frozen=True, kw_only=True):
    """Nothing was held. `purchasable`: the plan sells single credits (BOOK-4)."""

    reasons: list[Reason]
    purchasable: bool


class MoveCreditHeld(HoldFact, frozen=True, kw_only=True):
    """The price of the session at its new time is held (RESC-1). `kept`: the present hold is enough. `added`: a second
    credit or co-pay is held, and replaces the first when `SessionMoved` follows."""

    move_id: str
    hold_id: str
    how: Literal["kept", "added"]
    funding: Literal["credit", "co_pay"]
    lot_id: str | None = None
    co_pay: Price | None = None
    """The amount, if `funding` is `co_pay`."""


class MoveCreditRefused(HoldFact, frozen=True, kw_only=True):
    """The session cannot be paid for at its new time. The present hold stays. `purchasable`: a credit can be bought."""

    move_id: str
    reasons: list[Reason]
    purchasable: bool

"""CRED-4: which credits a member can use, which they can't use at the moment, and when more arrive (CRED-6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from makegood_plans.coverage import NextCredits, next_credits

from makegood_credits.domain.book import Lot
from makegood_credits.domain.coverage import Enrolment

UnusableCode = Literal[
    "lapsed", "coverage-ended", "plan-excludes-live-sessions", "length-not-in-plan", "plan-asks-co-pay"
]


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a lot's credits can't be used at the moment. They are not lost: another plan may accept them."""

    code: UnusableCode
    detail: str


@dataclass(frozen=True, slots=True)
class Balance:
    """`available` counts the credits that some session can be booked with, `unusable` the rest."""

    available: int
    unusable: int
    held: int
    lots: tuple[tuple[Lot, Unusable | None], ...]
    next_credits: NextCredits | None


def balance_of(lots: Iterable[Lot], enrolments: Iterable[Enrolment], now: datetime) -> Balance:
    """The member's usable and unusable credits. `lots`: those in use. `enrolments`: those that are not over."""
    enrolments = list(enrolments)
    judged = tuple((lot, unusable(lot, enrolments, now) if lot.available else None) for lot in lots)
    return Balance(
        sum(lot.available for lot, why in judged if why is None),
        sum(lot.available for lot, why in judged if why is not None),
        sum(lot.held for lot, _ in judged),
        judged,
        next_credits(enrolments, now, now),
    )


def unusable(lot: Lot, enrolments: Iterable[Enrolment], now: datetime) -> Unusable | None:
    """Why no session can be booked with this lot. None if one can, on the current plan or on an agreed one.

    Other obstacles to a booking, such as an overdue invoice, are not about the credits and do not count here (BOOK-8).
    """
    if lot.expires_at is not None and lot.expires_at <= now:
        return Unusable("lapsed", "These credits have expired.")
    if lot.made_for_minutes is not None:
        return None
    found = None
    for enrolment in sorted(enrolments, key=lambda each: each.covers_from):
        ends = [moment for moment in (enrolment.covers_until, lot.expires_at) if moment is not None]
        if ends and max(now, enrolment.covers_from) >= min(ends):
            continue
        why = _excluded(lot, enrolment)
        if why is None:
            return None
        found = found or why
    return found or Unusable("coverage-ended", "The member has no coverage while these credits are valid.")


def _excluded(lot: Lot, enrolment: Enrolment) -> Unusable | None:
    plan = enrolment.plan
    if not plan.has_live_sessions:
        return Unusable("plan-excludes-live-sessions", "The member's plan has no live sessions.")
    if plan.co_pay is not None:
        return Unusable("plan-asks-co-pay", "The member's plan takes a co-pay instead of credits.")
    lengths = sorted({*plan.lengths, *plan.psychiatry_lengths})
    if lot.length_minutes is not None and lot.length_minutes not in lengths:
        listed = ", ".join(map(str, lengths))
        detail = f"The plan includes sessions of {listed} minutes, and these credits are for {lot.length_minutes}."
        return Unusable("length-not-in-plan", detail)
    return None

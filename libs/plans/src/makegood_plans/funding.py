"""What pays for a session, or every reason why nothing does (BOOK-4, BOOK-7, CRED-2, MISS-4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from makegood_contracts.events import Modality, Specialty
from makegood_contracts.reasons import Reason

from makegood_plans.coverage import CoveragePeriod, CoverageT, covering, next_credits

OVERDUE: Final = Reason(code="outstanding-charges", detail="The member has an overdue invoice.")
NOT_COVERED: Final = Reason(code="coverage-ended", detail="The member has no coverage on the day of the session.")
NO_LIVE_SESSIONS: Final = Reason(code="plan-excludes-live-sessions", detail="The member's plan has no live sessions.")


class CreditLot(Protocol):
    """Credits that lapse together, as far as paying for sessions goes. The credits service stores more about each, and
    changes it.
    """

    @property
    def id(self) -> str: ...
    @property
    def available(self) -> int: ...
    @property
    def length_minutes(self) -> int | None:
        """The length that these credits pay for. None: every length of the plan."""

    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def made_for_minutes(self) -> int | None:
        """If the credit was made good, the length that it pays for whatever the plan is by then (MISS-4)."""


LotT = TypeVar("LotT", bound=CreditLot)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """What decides whether a session is paid for."""

    starts_at: datetime
    length_minutes: int
    modality: Modality
    specialty: Specialty = "therapy"


@dataclass(frozen=True, slots=True)
class FundingResult(Generic[CoverageT, LotT]):
    """What pays for a session: a credit of `lot` or, without one, the co-pay of `coverage`. If there are `reasons`,
    nothing does.
    """

    coverage: CoverageT | None
    lot: LotT | None
    reasons: tuple[Reason, ...]


def fund(
    session: SessionTerms,
    coverage: Collection[CoverageT],
    lots: Collection[LotT],
    now: datetime,
    *,
    overdue: bool = False,
) -> FundingResult[CoverageT, LotT]:
    """What pays for the session, or every reason against it (BOOK-4, BOOK-7): the plan's, then charges, then credits."""
    covered_by = covering(coverage, session.starts_at)
    lot = paying_lot(covered_by, lots, session)
    reasons = [] if lot is not None else not_in_plan(covered_by, session)
    if overdue:
        reasons.append(OVERDUE)
    if lot is None and covered_by is not None:
        reasons += no_credit(covered_by, coverage, lots, session, now)
    return FundingResult(covered_by, lot, tuple(reasons))


def paying_lot(covered_by: CoveragePeriod | None, lots: Iterable[LotT], session: SessionTerms) -> LotT | None:
    """CRED-2: of the lots that pay for the session, the one that lapses first and is still valid when it starts.

    A credit that was made good for this length pays under every plan, and without one (MISS-4). Any other credit pays
    only if the plan includes the session and takes credits.
    """
    planned = covered_by is not None and not covered_by.plan.asks_co_pay and not not_in_plan(covered_by, session)
    best: LotT | None = None
    for lot in lots:
        if not lot.available or not (made_good_for(lot, session) or (planned and fits(lot, session))):
            continue
        if best is None or _lapses_sooner(lot, best):
            best = lot
    return best


def not_in_plan(covered_by: CoveragePeriod | None, session: SessionTerms) -> list[Reason]:
    """Why the plan does not include the session, however many credits are left (BOOK-7, PLAN-1)."""
    if covered_by is None:
        return [NOT_COVERED]
    plan = covered_by.plan
    if not plan.has_live_sessions:
        return [NO_LIVE_SESSIONS]
    reasons = []
    lengths = plan.lengths_of(session.specialty)
    if session.length_minutes not in lengths:
        what = "sessions" if session.specialty == "therapy" else "psychiatry sessions"
        of = f"{what} of {', '.join(map(str, lengths))} minutes" if lengths else f"no {what}"
        reasons.append(Reason(code="length-not-in-plan", detail=f"The plan includes {of}."))
    if session.modality not in plan.modalities:
        modalities = ", ".join(plan.modalities)
        reasons.append(Reason(code="modality-not-in-plan", detail=f"The plan includes sessions by {modalities}."))
    return reasons


def no_credit(
    covered_by: CoveragePeriod,
    coverage: Iterable[CoveragePeriod],
    lots: Iterable[CreditLot],
    session: SessionTerms,
    now: datetime,
) -> list[Reason]:
    """BOOK-4: the reason that no credit is left for the session, if its plan takes credits, with when the next credits
    arrive. If the plan does not include the length, a credit of any length counts as left.
    """
    plan = covered_by.plan
    if plan.asks_co_pay or not plan.has_live_sessions:
        return []
    in_plan = session.length_minutes in plan.lengths_of(session.specialty)
    if any(lot.available and (fits(lot, session) if in_plan else is_valid(lot, session.starts_at)) for lot in lots):
        return []
    more = "; one can be bought" if plan.purchasable else ""
    coming = next_credits(coverage, session.starts_at, now)
    return [
        Reason(
            code="no-session-credits",
            detail=f"The member has no credit left for a session of this length on that day{more}.",
            available_from=coming.available_from if coming else None,
            credits=coming.credits if coming else None,
        )
    ]


def funded_spans(
    session: SessionTerms, until: datetime, coverage: Iterable[CoveragePeriod], lots: Iterable[CreditLot]
) -> Iterator[tuple[datetime, datetime]]:
    """The spans between the session's start and `until` in which it would be paid for if it started there, in order.
    Charges are not considered.
    """
    start = session.starts_at
    left = [lot for lot in lots if lot.available]
    paid = []
    for each in coverage:
        ends = [until] if each.covers_until is None else [until, each.covers_until]
        if not each.plan.asks_co_pay:
            ends.append(_last_until([lot for lot in left if fits(lot, session)], start, until))
        if not not_in_plan(each, session):
            paid.append((max(start, each.covers_from), min(ends)))
    paid.append((start, _last_until([lot for lot in left if made_good_for(lot, session)], start, until)))
    for begins, ends_at in sorted(paid):
        if max(start, begins) < ends_at:
            yield max(start, begins), ends_at
            start = ends_at


def is_valid(lot: CreditLot, moment: datetime) -> bool:
    """Whether the lot has not lapsed at this moment."""
    return lot.expires_at is None or lot.expires_at > moment


def made_good_for(lot: CreditLot, session: SessionTerms) -> bool:
    """Whether credits of this lot were made good for the session's length, and are still valid when it starts (MISS-4)."""
    return lot.made_for_minutes == session.length_minutes and is_valid(lot, session.starts_at)


def fits(lot: CreditLot, session: SessionTerms) -> bool:
    """Whether credits of this lot are for the session's length, and are still valid when it starts (CRED-2)."""
    return is_valid(lot, session.starts_at) and lot.length_minutes in (None, session.length_minutes)


def _last_until(lots: Collection[CreditLot], start: datetime, until: datetime) -> datetime:
    """When the last of the lots lapses, at most `until`. `start` if there is none."""
    return min(until, max((lot.expires_at or until for lot in lots), default=start))


def _lapses_sooner(lot: CreditLot, other: CreditLot) -> bool:
    if lot.expires_at == other.expires_at:
        return lot.id < other.id
    return lot.expires_at is not None and (other.expires_at is None or lot.expires_at < other.expires_at)

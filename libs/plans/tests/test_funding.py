"""BOOK-4, BOOK-7, CRED-2, MISS-4: what pays for a session, and the reasons why nothing does, in their order and words."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_contracts.reasons import CreditReason
from makegood_plans.coverage import CoveragePeriod
from makegood_plans.funding import SessionTerms, fits, fund, funded_spans, made_good_for
from makegood_plans.plans import Plan
from makegood_plans.published import PublishedEnrolment, PublishedLot, coverage_periods

from .examples import DAY, NOW, enrolments, lots, sessions

PLAN = Plan("plan", "out_of_pocket", (30, 45), ("video", "chat"), 4, 1, psychiatry_lengths=(60,), purchasable=True)
CO_PAY = replace(PLAN, live_credits=None, months=None)
TEXTS_ONLY = Plan("texts", "out_of_pocket", (), (), 0)
SESSION = SessionTerms(starts_at=NOW + DAY, length_minutes=30, modality="video")
LOT = PublishedLot("lot", 1, None, None)
LENGTH = "The plan includes sessions of 30, 45 minutes."
MODALITY = "The plan includes sessions by video, chat."
CREDIT = "The member has no credit left for a session of this length on that day; one can be bought."
OWED = "The member has an overdue invoice."


def covered(plan: Plan = PLAN) -> list[CoveragePeriod]:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    return [CoveragePeriod(plan, date(2026, 11, 1), None, "UTC", start, None)]


@pytest.mark.rule("BOOK-4", "BOOK-7", "BOOK-8")
@pytest.mark.parametrize(
    ("coverage", "left", "session", "overdue", "told"),
    [
        (covered(), [LOT], SESSION, False, []),
        (covered(CO_PAY), [], SESSION, False, []),
        ([], [LOT], SESSION, True, ["The member has no coverage on the day of the session.", OWED]),
        (covered(TEXTS_ONLY), [], SESSION, True, ["The member's plan has no live sessions.", OWED]),
        (covered(), [LOT], SESSION, True, [OWED]),
        (
            covered(),
            [],
            replace(SESSION, length_minutes=50, modality="in_person"),
            True,
            [LENGTH, MODALITY, OWED, CREDIT],
        ),
        (covered(), [LOT], replace(SESSION, length_minutes=50), False, [LENGTH]),
        (covered(), [replace(LOT, length_minutes=45)], SESSION, False, [CREDIT]),
        (covered(), [replace(LOT, length_minutes=45)], replace(SESSION, length_minutes=50), False, [LENGTH]),
        (covered(), [replace(LOT, expires_at=NOW + DAY)], SESSION, False, [CREDIT]),
        (covered(), [replace(LOT, available=0)], SESSION, False, [CREDIT]),
        (
            covered(replace(PLAN, purchasable=False)),
            [],
            SESSION,
            False,
            ["The member has no credit left for a session of this length on that day."],
        ),
        (
            covered(),
            [LOT],
            replace(SESSION, specialty="psychiatry"),
            False,
            ["The plan includes psychiatry sessions of 60 minutes."],
        ),
        (
            covered(replace(PLAN, psychiatry_lengths=())),
            [LOT],
            replace(SESSION, specialty="psychiatry"),
            False,
            ["The plan includes no psychiatry sessions."],
        ),
        (
            covered(replace(PLAN, lengths=())),
            [LOT],
            SESSION,
            False,
            ["The plan includes no sessions."],
        ),
        (covered(TEXTS_ONLY), [replace(LOT, made_for_minutes=30)], SESSION, True, [OWED]),
        ([], [replace(LOT, made_for_minutes=30, length_minutes=60)], SESSION, False, []),
    ],
)
def test_every_reason_is_told_the_plans_first_then_charges_then_credits(
    coverage: list[CoveragePeriod], left: list[PublishedLot], session: SessionTerms, overdue: bool, told: list[str]
) -> None:
    found = fund(session, coverage, left, NOW, overdue=overdue)
    assert [reason.detail for reason in found.reasons] == told


@pytest.mark.rule("BOOK-4")
def test_no_credit_is_told_with_the_next_ones_to_come() -> None:
    (reason,) = fund(SESSION, covered(), [], NOW).reasons
    assert (reason.available_from, reason.credits) == (datetime(2026, 12, 1, tzinfo=UTC), 4)


@pytest.mark.rule("CRED-2")
def test_the_lot_that_lapses_first_and_is_valid_on_the_sessions_day_is_taken() -> None:
    left = [
        replace(LOT, id="endless"),
        replace(LOT, id="later", expires_at=NOW + 20 * DAY),
        replace(LOT, id="gone", expires_at=NOW + timedelta(hours=1)),
        replace(LOT, id="used", expires_at=NOW + 2 * DAY, available=0),
        replace(LOT, id="other length", expires_at=NOW + 2 * DAY, length_minutes=45),
        replace(LOT, id="first", expires_at=NOW + 3 * DAY),
    ]
    for order in (left, left[::-1]):
        found = fund(SESSION, covered(), order, NOW)
        assert found.lot is not None
        assert found.lot.id == "first"


@pytest.mark.rule("MISS-4", "PLAN-1")
def test_a_credit_that_was_made_good_pays_where_the_plan_asks_for_a_co_pay() -> None:
    left = [LOT, replace(LOT, id="made good", made_for_minutes=30)]
    found = fund(SESSION, covered(CO_PAY), left, NOW)
    assert found.lot is left[1]
    assert fund(SESSION, covered(CO_PAY), left[:1], NOW).lot is None


@pytest.mark.rule("BOOK-7", "MISS-4")
@given(enrolments(), lots(), sessions, st.booleans())
def test_a_session_is_paid_for_or_refused_with_reasons_of_the_closed_list(
    plans: list[PublishedEnrolment], left: list[PublishedLot], session: SessionTerms, overdue: bool
) -> None:
    found = fund(session, coverage_periods(plans), left, NOW, overdue=overdue)
    codes = [reason.code for reason in found.reasons]
    assert set(codes) <= set(get_args(CreditReason))
    assert len(set(codes)) == len(codes)
    assert ("outstanding-charges" in codes) == overdue
    if found.lot is not None:
        assert set(codes) <= {"outstanding-charges"}
        assert found.lot.available
        assert made_good_for(found.lot, session) or fits(found.lot, session)
    elif not codes:
        assert found.coverage is not None
        assert found.coverage.plan.asks_co_pay


@pytest.mark.rule("BOOK-7", "BOOK-8")
@given(enrolments(), lots(), sessions, st.integers(0, 30 * 96))
def test_a_moment_is_in_a_funded_span_exactly_if_no_reason_stands_against_it(
    plans: list[PublishedEnrolment], left: list[PublishedLot], session: SessionTerms, quarters: int
) -> None:
    moment = session.starts_at + quarters * timedelta(minutes=15)
    coverage = coverage_periods(plans)
    spans = list(funded_spans(session, session.starts_at + 40 * DAY, coverage, left))
    inside = any(start <= moment < end for start, end in spans)
    assert inside == (fund(replace(session, starts_at=moment), coverage, left, NOW).reasons == ())
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))

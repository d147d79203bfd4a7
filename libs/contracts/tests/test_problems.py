"""The problem types are those that client developers were promised."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from makegood_contracts.problems import PROBLEMS, ProblemType
from makegood_contracts.reasons import ReasonCode

_PROMISED = """
access-reason-required
validation unauthenticated forbidden not-found rate-limited unavailable deadline-exceeded idempotency-key-reused
idempotency-in-flight version-required version-mismatch no-session-credits coverage-ended outstanding-charges
plan-excludes-live-sessions length-not-in-plan modality-not-in-plan room-closed room-inactive member-busy slot-taken
slot-not-offered venue-taken forfeit-not-accepted too-early-to-join not-confirmed session-over support-may-not
provider-unavailable temporary-interruption
idempotency-key-required method-not-allowed payload-too-large unsupported-media-type restart-not-allowed
no-show-not-possible credit-already-returned plan-unknown
move-pending member-must-be-told no-outcome reminder-not-possible payment-refused purchase-not-allowed invoice-not-payable sessions-in-time-off waitlist-full
join-link-invalid outcome-not-asked check-in-code-wrong too-soon confirmation-invalid conflict-of-interest already-decided
"""


def test_every_promised_slug_is_there_and_no_other() -> None:
    assert sorted(PROBLEMS) == sorted(_PROMISED.split())


def test_every_reason_of_a_refusal_is_a_problem_type() -> None:
    assert set(get_args(ReasonCode)) <= set(PROBLEMS)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.slug)
def test_a_problem_type_tells_a_person_what_happened_and_what_to_do(problem: ProblemType) -> None:
    assert problem.uri == f"/problems/{problem.slug}"
    assert 400 <= problem.status < 600
    assert not problem.title.endswith(".")
    assert problem.when.endswith(".")
    assert problem.remedy.endswith(".")


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.slug)
def test_an_example_shows_the_reasons_that_a_rule_gives(problem: ProblemType) -> None:
    by_rule = problem.slug in get_args(ReasonCode) or problem.slug in ("forfeit-not-accepted", "too-early-to-join")
    if problem.status == 409 and by_rule:
        assert problem.example["reasons"][0]["code"] == problem.slug
        assert problem.body["detail"] == problem.example["reasons"][0]["detail"]
    assert json.loads(json.dumps(problem.body))["type"] == problem.uri


@pytest.mark.parametrize(
    ("slug", "member"),
    [
        ("validation", "errors"),
        ("forfeit-not-accepted", "policy"),
        ("too-early-to-join", "opens_at"),
        ("no-session-credits", "purchasable"),
        ("slot-taken", "session_id"),
    ],
)
def test_an_example_shows_the_members_of_its_type(slug: str, member: str) -> None:
    assert member in PROBLEMS[slug].example


def test_too_soon_is_true_of_ones_own_address_as_well() -> None:
    assert "another person" not in PROBLEMS["too-soon"].when

"""Refused commands as problems."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, get_args

import msgspec
from makegood_chassis.http import problems
from makegood_chassis.http.problems import Problem
from makegood_chassis.refusals import CommandRefused
from makegood_contracts.reasons import CreditReason, Reason, SlotReason

from makegood_booking.api.models import SessionPolicyView
from makegood_booking.api.reason_models import ReasonView, plain_remedy
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.bookability import Question
from makegood_booking.domain.booking import BookingRequest
from makegood_booking.domain.remedies import RemedyContext, needs_more, remedies
from makegood_booking.domain.rooms import RestartRefusal
from makegood_booking.handlers.bookability import judge_bookability, read_to_judge, remedy_context_of
from makegood_booking.handlers.refusals import (
    BookingRefused,
    ForfeitNotAccepted,
    NoSchedule,
    RestartRefused,
    SessionRefused,
    TryAgain,
)

SLOT_REFUSALS: Final = get_args(SlotReason)
CREDIT_REFUSALS: Final = get_args(CreditReason)
"""Problems of bookings and moves that other services refuse."""

_RETRY: Final = {"Retry-After": "1"}
_NO_SCHEDULE: Final = (
    "This provider has no schedule. Check the id. Providers publish a schedule before they share a room."
)
_NOT_RESTARTED: Final[dict[RestartRefusal, str]] = {
    "eap": "The member has no sessions left in the employee assistance program. Get more sessions first.",
    "provider-gone": "The provider is no longer available. Get matched with a new one.",
    "another-room": "The member and the provider have another active room. Book in that one.",
}
_FORFEITS: Final = (
    "The member already changed providers for free a short while ago, so sessions within the notice period are forfeited "
    "this time. To go ahead, send `accept_forfeit: true`. Or change later."
)


def problem_of(refused: CommandRefused) -> Problem:
    """The problem of a refused command. For a refused booking, use `booking_problem`."""
    match refused:
        case SessionRefused():
            return _session_problem(refused)
        case NoSchedule():
            return Problem("provider-unavailable", _NO_SCHEDULE)
        case RestartRefused():
            detail = _NOT_RESTARTED[refused.refusal]
            helps = [plain_remedy(each) for each in remedies("restart-not-allowed", refused.context)]
            reasons = [{"code": "restart-not-allowed", "detail": detail, "remedy": helps[0], "remedies": helps}]
            return Problem("restart-not-allowed", detail, reasons=reasons)
        case ForfeitNotAccepted():
            return _forfeit_problem(refused)
        case TryAgain():
            return Problem("unavailable", headers=dict(_RETRY))
    return problems.problem_of(refused)


def _session_problem(refused: SessionRefused) -> Problem:
    refusal = refused.refusal
    members: dict[str, Any] = {}
    if refusal.code == "forfeit-not-accepted":
        policy = SessionPolicyView.of(refused.session, refused.now)
        members["policy"] = policy.model_copy(update={"forfeits_now": True, "free_until": refusal.free_until})
    if refusal.opens_at is not None:
        members["opens_at"] = refusal.opens_at
    return Problem(
        refusal.code, refusal.detail, headers=dict(_RETRY) if refusal.code == "move-pending" else None, **members
    )


def _forfeit_problem(refused: ForfeitNotAccepted) -> Problem:
    named = [
        {"session_id": session.id, "starts_at": session.booked.starts_at, "ends_at": session.booked.ends_at}
        for session in refused.sessions
    ]
    policy = SessionPolicyView.of(refused.sessions[0], refused.now)
    return Problem("forfeit-not-accepted", _FORFEITS, policy=policy, sessions=named, session_count=len(named))


def with_remedies(reasons: Iterable[Reason], context: RemedyContext) -> list[dict[str, Any]]:
    """The reasons of a refused booking, each with its remedies, in the words of bookability (BOOK-8)."""
    return [_without_nulls(msgspec.to_builtins(ReasonView.of(reason, context))) for reason in reasons]


def _without_nulls(value: Any) -> Any:
    """As problems have it: what is not known is left out."""
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value


async def refusal_problem(
    dependencies: Dependencies, context: RemedyContext, reasons: Iterable[Reason], **members: Any
) -> Problem:
    """The problem of a booking or move that these reasons forbid (BOOK-8). The first reason is its type. Each has its
    remedy.
    """
    listed = list(reasons)
    if needs_more(reason.code for reason in listed):
        async with dependencies.database.reading() as queries:
            context = await remedy_context_of(queries, context, dependencies.clock.now())
    return Problem(listed[0].code, listed[0].detail, reasons=with_remedies(listed, context), **members)


async def booking_problem(dependencies: Dependencies, refused: BookingRefused, request: BookingRequest) -> Problem:
    """The problem of a booking that was refused at once (BOOK-8): these reasons, then all others that bookability
    sees."""
    by: Literal["provider", "support"] = "provider" if refused.booked_by == "provider" else "support"
    question = Question(request.starts_at, request.length_minutes, request.modality, by)
    now = dependencies.clock.now()
    async with dependencies.database.reading() as queries:
        policy = await dependencies.policies.current(queries)
        stored = await read_to_judge(queries, refused.place.room.id, policy, now, request.starts_at)
        assert stored is not None  # rooms are never deleted
        found = await judge_bookability(queries, stored, policy, question, now)
    named = {reason.code for reason in refused.reasons}
    listed = [*refused.reasons, *(reason for reason in found.verdict.reasons if reason.code not in named)]
    return Problem(listed[0].code, listed[0].detail, reasons=with_remedies(listed, found.remedy_context))

"""Problem types (RFC 9457): every slug that an answer can carry, with the page the gateway serves for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from makegood_contracts.problem_types import CHANGES, REQUEST, SERVER, ProblemType
from makegood_contracts.refusal_types import COVERAGE, SESSIONS, TIMES

__all__ = ["PROBLEMS", "ProblemType"]

_SESSION: Final = "01a206c1-b19b-711f-b1ca-ee43f21faf95"
_ROOM: Final = "01a206c1-a7f0-7c11-8a3e-52d9a0c6e7b4"
_BY_SLUG: Final = {problem.slug: problem for problem in (*REQUEST, *SERVER, *CHANGES, *COVERAGE, *TIMES, *SESSIONS)}


def _refused(*slugs: str, remedy: dict[str, str] | None = None, **members: Any) -> dict[str, Any]:
    """The `reasons` of a refusal (the first with its remedy), and the other members that the first one carries."""
    reasons: list[dict[str, Any]] = [{"code": slug, "detail": _BY_SLUG[slug].when} for slug in slugs]
    if remedy is not None:
        reasons[0]["remedy"] = remedy
    return {"reasons": reasons, **members}


# A refused booking names the rejected session and, if credits refused it, whether a credit can be bought.
_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "validation": {
        "errors": [
            {
                "in": "body",
                "pointer": "#/starts_at",
                "detail": "An instant needs an offset, as in 2026-12-07T14:00:00Z.",
            },
            {"in": "body", "pointer": "#/colour", "detail": "There is no such field."},
        ]
    },
    **{
        slug: _refused(slug, session_id=_SESSION)
        for slug in (
            "slot-not-offered",
            "venue-taken",
            "member-busy",
            "provider-unavailable",
            "waitlist-full",
            "temporary-interruption",
        )
    },
    "slot-taken": _refused("slot-taken", "member-busy", session_id=_SESSION),
    "no-session-credits": _refused("no-session-credits", session_id=_SESSION, purchasable=True),
    **{
        slug: _refused(slug, session_id=_SESSION, purchasable=False)
        for slug in (
            "coverage-ended",
            "outstanding-charges",
            "plan-excludes-live-sessions",
            "length-not-in-plan",
            "modality-not-in-plan",
        )
    },
    **{
        slug: _refused(slug)
        for slug in (
            "credit-already-returned",
            "already-decided",
            "not-confirmed",
            "session-over",
            "no-show-not-possible",
            "move-pending",
            "member-must-be-told",
            "no-outcome",
            "reminder-not-possible",
            "confirmation-invalid",
            "purchase-not-allowed",
            "invoice-not-payable",
        )
    },
    "payment-refused": {
        "reasons": [
            {
                "code": "amount-too-small",
                "detail": "The amount is smaller than the payment provider accepts in this currency.",
            }
        ]
    },
    "too-soon": _refused("too-soon", next_at="2026-12-07T15:00:00Z"),
    "room-closed": _refused("room-closed", remedy={"action": "restart_therapy", "href": f"/v1/rooms/{_ROOM}/restart"}),
    "room-inactive": _refused(
        "room-inactive", remedy={"action": "restart_therapy", "href": f"/v1/rooms/{_ROOM}/restart"}
    ),
    "restart-not-allowed": _refused("restart-not-allowed", remedy={"action": "get_more_sessions"}),
    "sessions-in-time-off": _refused(
        "sessions-in-time-off",
        sessions=[
            {"session_id": _SESSION, "starts_at": "2026-12-24T14:00:00Z", "ends_at": "2026-12-24T14:45:00Z"},
        ],
        session_count=1,
    ),
    "too-early-to-join": _refused("too-early-to-join", opens_at="2026-12-07T13:50:00Z"),
    "forfeit-not-accepted": _refused(
        "forfeit-not-accepted",
        policy={
            "cancellable": True,
            "free_until": "2026-12-05T14:00:00Z",
            "forfeits_now": True,
            "notice_hours": 48,
            "text": "Cancel 48 hours or more before the start and your session credit comes back. …",
        },
    ),
}

PROBLEMS: Final[dict[str, ProblemType]] = {
    slug: replace(problem, example=_EXAMPLES.get(slug, {})) for slug, problem in _BY_SLUG.items()
}

"""BOOK-8: what helps against each reason, in the words of the source documents. Bookability and refusals use the
same table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from makegood_contracts.events import PlanKind
from makegood_contracts.reasons import Reason, ReasonCode

RemedyAction = Literal[
    "restart_therapy",
    "match_new_provider",
    "use_active_room",
    "get_more_sessions",
    "renew_insurance_coverage",
    "renew_sponsored_benefits",
    "renew_plan",
    "choose_plan",
    "change_plan",
    "pay_balance",
    "buy_credit",
    "check_credits",
    "choose_plan_length",
    "choose_plan_modality",
    "message_provider",
    "ask_provider_to_book",
    "choose_another_slot",
    "choose_another_time",
    "choose_another_venue",
    "wait_for_credits",
    "join_waitlist",
    "try_again_later",
]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What the member can do. `href`: where, in this API; None if it is done elsewhere."""

    action: RemedyAction
    href: str | None = None


@dataclass(frozen=True, slots=True)
class RemedyContext:
    """What a remedy depends on. `plan_kind`: the kind of the member's current or last plan; None if they have none."""

    room_id: str
    member_id: str
    provider_id: str
    plan_kind: PlanKind | None = None
    purchasable: bool = False
    provider_available: bool = True
    active_room_id: str | None = None
    """Another active room that the two share."""
    sessions_left: bool = False
    """Whether the member has a credit that has not lapsed."""
    credits_come: bool = False
    """Whether the plan will grant more credits."""


def remedies(code: ReasonCode | Literal["restart-not-allowed"], at: RemedyContext) -> tuple[Remedy, ...]:
    """What helps against a reason, the most helpful first. There is always something."""
    return _TABLE[code](at)


def remedies_of(reason: Reason, at: RemedyContext) -> tuple[Remedy, ...]:
    """What helps against this reason. If it says that credits will come, waiting for them is included."""
    return remedies(reason.code, replace(at, credits_come=reason.available_from is not None))


def remedy(code: ReasonCode | Literal["restart-not-allowed"], at: RemedyContext) -> Remedy:
    """What helps most."""
    return remedies(code, at)[0]


def _back_to_therapy(at: RemedyContext) -> tuple[Remedy, ...]:
    """Restart with the provider, or get matched with a new one. With EAP, only while sessions are left (ROOM-1,
    ROOM-2).
    """
    if at.active_room_id is not None:
        return (Remedy("use_active_room", f"/v1/rooms/{at.active_room_id}"),)
    if at.plan_kind == "eap" and not at.sessions_left:
        return (Remedy("get_more_sessions"),)
    anew = _anew(at)
    if not at.provider_available:
        return (anew,)
    return Remedy("restart_therapy", f"/v1/rooms/{at.room_id}/restart"), anew


def _renewal(at: RemedyContext) -> tuple[Remedy, ...]:
    match at.plan_kind:
        case "health_insurance":
            return (Remedy("renew_insurance_coverage"),)
        case "eap":
            return (Remedy("get_more_sessions"),)
        case "sponsored":
            return (Remedy("renew_sponsored_benefits"),)
        case "out_of_pocket":
            return (Remedy("renew_plan", "/v1/plans"),)
        case None:
            return (Remedy("choose_plan", "/v1/plans"),)


def _more_credits(at: RemedyContext) -> tuple[Remedy, ...]:
    """Buy a credit, or wait for those that the plan grants next. The waitlist keeps a place until then (BOOK-4)."""
    found = []
    if at.purchasable:
        found.append(Remedy("buy_credit", "/v1/purchases"))
    if at.credits_come:
        found.append(Remedy("wait_for_credits", f"/v1/members/{at.member_id}/credits"))
        found.append(_waitlist(at))
    elif at.plan_kind in ("eap", "sponsored"):
        found += _renewal(at)
    return tuple(found) or (Remedy("check_credits", f"/v1/members/{at.member_id}/credits"),)


def _anew(at: RemedyContext) -> Remedy:
    return Remedy("match_new_provider", f"/v1/rooms/{at.room_id}/change-provider")


def _unless_gone(helps: Callable[[RemedyContext], tuple[Remedy, ...]]) -> Callable[[RemedyContext], tuple[Remedy, ...]]:
    """These remedies, or only another provider if this one is gone (NOTE-5)."""
    return lambda at: helps(at) if at.provider_available else (_anew(at),)


def _waitlist(at: RemedyContext) -> Remedy:
    return Remedy("join_waitlist", f"/v1/rooms/{at.room_id}/waitlist")


def _ask(at: RemedyContext) -> Remedy:
    """ "I can't find a time that works for me" (AVAIL-5)."""
    return Remedy("message_provider", f"/v1/rooms/{at.room_id}/time-request")


def _slots(action: RemedyAction) -> Callable[[RemedyContext], tuple[Remedy, ...]]:
    return lambda at: (Remedy(action, f"/v1/providers/{at.provider_id}/slots"), _waitlist(at), _ask(at))


def _one(action: RemedyAction, href: str | None = None) -> Callable[[RemedyContext], tuple[Remedy, ...]]:
    helps = (Remedy(action, href),)
    return lambda at: helps


_TABLE: Final[Mapping[str, Callable[[RemedyContext], tuple[Remedy, ...]]]] = {
    "room-closed": _back_to_therapy,
    "room-inactive": _back_to_therapy,
    "restart-not-allowed": _back_to_therapy,
    "coverage-ended": _renewal,
    "outstanding-charges": lambda at: (Remedy("pay_balance", f"/v1/members/{at.member_id}/invoices"),),
    "plan-excludes-live-sessions": _one("change_plan", "/v1/plans"),
    "no-session-credits": _more_credits,
    "length-not-in-plan": lambda at: (Remedy("choose_plan_length"), _ask(at)),
    "modality-not-in-plan": _one("choose_plan_modality"),
    "provider-unavailable": _unless_gone(lambda at: (_ask(at), _waitlist(at))),
    "slot-not-offered": _unless_gone(_slots("choose_another_slot")),
    "slot-taken": _slots("choose_another_slot"),
    "member-busy": lambda at: (Remedy("choose_another_time", f"/v1/providers/{at.provider_id}/slots"),),
    "venue-taken": _one("choose_another_venue", "/v1/venues"),
    "support-may-not": lambda at: (Remedy("ask_provider_to_book", f"/v1/rooms/{at.room_id}/messages"),),
    "temporary-interruption": _one("try_again_later"),
}
_NEED_MORE: Final = frozenset(
    {
        "room-closed",
        "room-inactive",
        "restart-not-allowed",
        "coverage-ended",
        "no-session-credits",
        "provider-unavailable",
        "slot-not-offered",
    }
)


def needs_more(codes: Iterable[str]) -> bool:
    """Whether the remedies for any of these reasons depend on more than the ids."""
    return not _NEED_MORE.isdisjoint(codes)

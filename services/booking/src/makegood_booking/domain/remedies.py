"""BOOK-8: what helps against each reason, as the source documents name it. One table for bookability and for refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from makegood_contracts.events import PlanKind
from makegood_contracts.reasons import ReasonCode

Action = Literal[
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
    "try_again_later",
]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What the member can do. `href`: where, in this API; None where it is done elsewhere."""

    action: Action
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a remedy depends on. `plan_kind`: of the member's present or last plan; None without any."""

    room_id: str
    member_id: str
    provider_id: str
    plan_kind: PlanKind | None = None
    purchasable: bool = False
    provider_available: bool = True
    active_room_id: str | None = None
    """Another room that the two share, and that is active."""


def remedy(code: ReasonCode | Literal["restart-not-allowed"], at: Circumstances) -> Remedy:
    """What helps against a reason."""
    return _TABLE[code](at)


def _back_to_therapy(at: Circumstances) -> Remedy:
    """ROOM-1, ROOM-2: restart with the provider; with EAP get more sessions; with a provider who is gone be matched anew."""
    if at.active_room_id is not None:
        return Remedy("use_active_room", f"/v1/rooms/{at.active_room_id}")
    if at.plan_kind == "eap":
        return Remedy("get_more_sessions")
    if not at.provider_available:
        return Remedy("match_new_provider", f"/v1/rooms/{at.room_id}/change-provider")
    return Remedy("restart_therapy", f"/v1/rooms/{at.room_id}/restart")


def _renewal(at: Circumstances) -> Remedy:
    match at.plan_kind:
        case "health_insurance":
            return Remedy("renew_insurance_coverage")
        case "eap":
            return Remedy("get_more_sessions")
        case "sponsored":
            return Remedy("renew_sponsored_benefits")
        case "out_of_pocket":
            return Remedy("renew_plan", "/v1/plans")
        case None:
            return Remedy("choose_plan", "/v1/plans")


def _more_credits(at: Circumstances) -> Remedy:
    if at.purchasable:
        return Remedy("buy_credit", "/v1/purchases")
    if at.plan_kind in ("eap", "sponsored"):
        return _renewal(at)
    return Remedy("check_credits", f"/v1/members/{at.member_id}/credits")


def _slots(action: Action) -> Callable[[Circumstances], Remedy]:
    return lambda at: Remedy(action, f"/v1/providers/{at.provider_id}/slots")


_TABLE: Final[Mapping[str, Callable[[Circumstances], Remedy]]] = {
    "room-closed": _back_to_therapy,
    "room-inactive": _back_to_therapy,
    "restart-not-allowed": _back_to_therapy,
    "coverage-ended": _renewal,
    "outstanding-charges": lambda at: Remedy("pay_balance", f"/v1/members/{at.member_id}/invoices"),
    "plan-excludes-live-sessions": lambda at: Remedy("change_plan", "/v1/plans"),
    "no-session-credits": _more_credits,
    "length-not-in-plan": lambda at: Remedy("choose_plan_length"),
    "modality-not-in-plan": lambda at: Remedy("choose_plan_modality"),
    "provider-unavailable": lambda at: Remedy("message_provider", f"/v1/rooms/{at.room_id}/time-request"),
    "slot-not-offered": _slots("choose_another_slot"),
    "slot-taken": _slots("choose_another_slot"),
    "member-busy": _slots("choose_another_time"),
    "venue-taken": lambda at: Remedy("choose_another_venue", "/v1/venues"),
    "support-may-not": lambda at: Remedy("ask_provider_to_book", f"/v1/rooms/{at.room_id}/messages"),
    "temporary-interruption": lambda at: Remedy("try_again_later"),
}
_NEED_MORE: Final = frozenset(
    {"room-closed", "room-inactive", "restart-not-allowed", "coverage-ended", "no-session-credits"}
)


def needs_more(codes: Iterable[str]) -> bool:
    """Whether the remedy of one of these depends on more of the circumstances than the ids."""
    return not _NEED_MORE.isdisjoint(codes)

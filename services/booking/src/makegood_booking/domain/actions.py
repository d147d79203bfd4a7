"""BOOK-10: what a reader may do with a session now, and for everything else, when or why not.

Each action asks the same guard as its command, so the two cannot disagree. Guards build nothing, because sessions are
shown often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Literal

from makegood_contracts.events import Party
from makegood_contracts.values import Value
from makegood_plans.plans import Costs

from makegood_booking.domain import attendance, cancelling, disputes
from makegood_booking.domain.bookability import MemberContext, RebookingRefusal, rebook_refused
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.in_person import outcome_refused
from makegood_booking.domain.rebooking import rebookable_until
from makegood_booking.domain.rescheduling import extend_refused, reschedule_refused
from makegood_booking.domain.session import AGREED, DONE, Refusal, RefusalCode, Session, SessionStatus

Reader = Literal["member", "provider", "support"]
ActionName = Literal[
    "confirm",
    "decline",
    "cancel",
    "reschedule",
    "extend",
    "join",
    "leave",
    "no-show",
    "outcome",
    "rebook",
    "dispute",
    "correct",
]
ActionReason = Literal[RefusalCode, RebookingRefusal, "support-may-not", "validation"]
Guard = Callable[[Session, datetime, bool], Refusal | InvalidField | Literal["done"] | None]
"""Why a well-formed command is refused for the session as it is now. The flag: it accepts what the action costs."""


class Action(Value, frozen=True, rename={"opens": "from"}):
    """One action, in JSON as `ActionView` declares it. `opens`: it is refused before that. `until`: after that, it is refused or
    costs more.
    """

    action: ActionName
    allowed: bool
    opens: datetime | None = None
    until: datetime | None = None
    costs: Costs | None = None
    reason: ActionReason | None = None


def actions(
    session: Session, reader: Reader, now: datetime, context: MemberContext | None = None
) -> tuple[Action, ...]:
    """Everything that the reader's role can ever do with a session. Each action says whether it is possible now; if
    not, when or why not. `context`: what is known about the session's room, if the session can be rebooked at all
    (`rebookable_until`). Without it, rebooking is left out.
    """
    if not session.over:
        session = attendance.as_of(session, now)[0]
    found = _of_ended(session, reader, now) if session.over else _judged(session, reader, now)
    if reader == "member" and session.status == "provider_missed" and (rebook := _rebook(session, context, now)):
        return (*found, rebook)
    return found


def _of_ended(session: Session, reader: Reader, now: datetime) -> tuple[Action, ...]:
    """As `_judged`, remembered: time changes nothing any more, and most sessions that are shown have ended."""
    seen = session.attendance
    key = (
        reader,
        session.status,
        session.booked.modality == "in_person",
        session.outcome_asked,
        seen.member_joined_at is None,
        seen.member_left_at is None,
        seen.provider_joined_at is None,
        seen.provider_left_at is None,
    )
    found = _ENDED.get(key)
    if found is None:
        found = _ENDED[key] = _judged(session, reader, now)
    return found


def _judged(session: Session, reader: Reader, now: datetime) -> tuple[Action, ...]:
    """Every action but rebooking."""
    judged = [_judge(name, guard, session, reader, now) for name, guard in GUARDS[reader].items()]
    return tuple([action for action in judged if action is not None])


def _judge(name: ActionName, guard: Guard | None, session: Session, reader: Reader, now: datetime) -> Action | None:
    """The action. None if it is done already, so that no button is shown."""
    if guard is None:
        return Action(name, False, reason="support-may-not")
    if name == "outcome" and session.booked.modality != "in_person":
        return None
    refusal, costs = guard(session, now, False), None
    if isinstance(refusal, Refusal) and refusal.code == "forfeit-not-accepted":
        refusal, costs = guard(session, now, True), _forfeited(session)
    if refusal is None:
        free = reader == "member" and costs is None
        return Action(name, True, until=_until(name, session, now, free=free), costs=costs)
    if isinstance(refusal, Refusal):
        return Action(name, False, opens=_opens(name, session, now), reason=refusal.code)
    if isinstance(refusal, InvalidField):  # no request would succeed: the session has the maximum length
        return Action(name, False, reason="validation")
    return None


def _rebook(session: Session, context: MemberContext | None, now: datetime) -> Action | None:
    """The rebooking. None if the session has been rebooked already (MISS-4)."""
    until = rebookable_until(session)
    if now >= until:
        return Action("rebook", False, reason="session-over")
    refusal = DONE if context is None else rebook_refused(session.id, context, now)
    if refusal is None:
        return Action("rebook", True, until=until)
    return None if refusal == DONE else Action("rebook", False, reason=refusal)


def _forfeited(session: Session) -> Costs:
    """What is lost: the credit, or the co-pay, which stays due (CANC-1)."""
    return Costs(amount=session.co_pay) if session.funding == "co_pay" else Costs(credit=1)


def _opens(name: ActionName, session: Session, now: datetime) -> datetime | None:
    """The moment before which this is refused, whatever happens. None if there is no such moment in the future."""
    starts_at, policy = session.booked.starts_at, session.policy
    match name:
        case "join" if not session.over:
            opens = policy.join_opens(starts_at)
        case "outcome" if not session.over:
            opens = session.booked.ends_at
        case "no-show" if not session.over:
            opens = policy.provider_missed_at(starts_at)
        case _:
            return None
    return opens if now < opens else None


def _until(name: ActionName, session: Session, now: datetime, *, free: bool) -> datetime | None:
    """The last moment at which this is allowed and costs no more, whatever happens. None if none is known.

    `free`: the member loses nothing now.
    """
    booked = session.booked
    match name:
        case "cancel" if free and session.status != "requested":
            return cancelling.free_until(session, now)
        case "reschedule" if free:
            return cancelling.moves_free_until(session)
        case "confirm" | "decline" if session.status == "reserved":
            return session.confirm_by
        case "confirm" if session.reconfirmation == "asked":
            return booked.starts_at
        case "cancel" if session.status != "requested":
            return booked.ends_at
        case "reschedule":
            return booked.starts_at
        case "extend" | "join":
            return booked.ends_at
        case "outcome":
            return session.policy.answer_by(booked.ends_at)
        case "no-show" if session.status in AGREED:
            return session.policy.no_show_at(booked.starts_at)
        case _:
            return None


def _cancel(by: Party) -> Guard:
    return lambda session, now, accept: cancelling.cancel_refused(session, by, accept, now)


def _reschedule(by: Party) -> Guard:
    return lambda session, now, accept: reschedule_refused(session, by, accept, now)


def _join(session: Session, now: datetime, accept: bool) -> Refusal | None:
    """Joining, even for somebody who is in the room already, because joining again gives a new link."""
    return attendance.entry_refused(session, now)


def _leave(party: Party) -> Guard:
    return lambda session, now, accept: attendance.leave_refused(session, party)


def _outcome_missing(session: Session, now: datetime, accept: bool) -> Refusal | None:
    """Why the outcome cannot be disputed, or corrected to one that differs from the recorded one."""
    return disputes.outcome_missing(session)


GUARDS: Final[Mapping[Reader, Mapping[ActionName, Guard | None]]] = {
    "member": {
        "cancel": _cancel("member"),
        "reschedule": _reschedule("member"),
        "join": _join,
        "leave": _leave("member"),
        "dispute": _outcome_missing,
    },
    "provider": {
        "confirm": lambda session, now, accept: attendance.confirm_refused(session, now),
        "decline": lambda session, now, accept: attendance.decline_refused(session),
        "cancel": _cancel("provider"),
        "reschedule": _reschedule("provider"),
        "extend": lambda session, now, accept: extend_refused(session, now),
        "join": _join,
        "leave": _leave("provider"),
        "no-show": lambda session, now, accept: attendance.no_show_refused(session, now),
        "outcome": lambda session, now, accept: outcome_refused(session, "completed"),
        "dispute": _outcome_missing,
    },
    "support": {"correct": _outcome_missing, "cancel": None, "reschedule": None},
}
"""The actions of each reader, in the order in which they are listed. Members can also rebook (MISS-4). CANC-4: support
can neither cancel nor reschedule, so both are None.
"""
_ENDED: Final[dict[tuple[Reader | SessionStatus | bool, ...], tuple[Action, ...]]] = {}

"""BOOK-10: what a reader may do with a session now, and of the rest when or why not.

Each action is tried on the rule that its command uses, so the two can never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from makegood_contracts.events import Outcome, Party

from makegood_booking.domain import attendance, cancelling, disputes
from makegood_booking.domain.booking import Unfit
from makegood_booking.domain.in_person import say_outcome
from makegood_booking.domain.money import Costs
from makegood_booking.domain.rebooking import rebook_refused, rebookable_until
from makegood_booking.domain.rescheduling import MoveWish, extend, reschedule
from makegood_booking.domain.session import AGREED, Changed, Refusal, RefusalCode, Session

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
ActionReason = Literal[RefusalCode, "support-may-not", "validation"]
Result = Changed | Refusal | Unfit
Attempt = Callable[[Session, datetime, bool], Result]
"""A request that fits, on the rule of its command. The flag: it accepts what the action costs."""

_MINUTE: Final = timedelta(minutes=1)
_NO_MOVE: Final = "none"
"""Where the rule wants an id for the move: what it answers is thrown away."""
_DONE_ONCE: Final[frozenset[ActionName]] = frozenset({"confirm", "decline", "leave", "no-show"})
"""Done again, these change nothing. Who is in the room already can join again: for a new link."""


@dataclass(frozen=True, slots=True)
class Action:
    """`opens`: it is refused until then. `until`: after that moment it is refused, or costs more."""

    action: ActionName
    allowed: bool
    opens: datetime | None = None
    until: datetime | None = None
    costs: Costs | None = None
    reason: ActionReason | None = None


def actions(session: Session, reader: Reader, now: datetime) -> tuple[Action, ...]:
    """Everything that the reader's role can do with a session at all: whether now, and else when or why not."""
    session = attendance.as_of(session, now)[0]
    judged = (_judge(name, attempt, session, reader, now) for name, attempt in ATTEMPTS[reader].items())
    return tuple(action for action in judged if action is not None)


def _judge(name: ActionName, attempt: Attempt | None, session: Session, reader: Reader, now: datetime) -> Action | None:
    """None for what was done already, and for rebooking what was not missed: no button is drawn for that."""
    if attempt is None:
        return Action(name, False, reason="support-may-not")
    if name == "outcome" and session.booked.modality != "in_person":
        return None
    if name == "rebook" and session.status != "provider_missed":
        return None
    result, costs = attempt(session, now, False), None
    if isinstance(result, Refusal) and result.code == "forfeit-not-accepted":
        result, costs = attempt(session, now, True), _forfeited(session)
    if isinstance(result, Changed):
        if not result.events and name in _DONE_ONCE:
            return None
        free = reader == "member" and costs is None
        return Action(name, True, until=_until(name, session, now, free=free), costs=costs)
    if isinstance(result, Unfit):  # no request fits: the session is as long as it can get
        return Action(name, False, reason="validation")
    return Action(name, False, opens=_opens(name, session, now), reason=result.code)


def _forfeited(session: Session) -> Costs:
    """CANC-1: the credit; or the co-pay, which stays due."""
    return Costs(amount=session.co_pay) if session.funding == "co_pay" else Costs(credit=1)


def _opens(name: ActionName, session: Session, now: datetime) -> datetime | None:
    """The moment before which this is refused, whatever happens; None where none is ahead."""
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
    """The last moment at which this is allowed, and costs no more, whatever happens; None where none is known. `free`: the
    member loses nothing now."""
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
        case "rebook":
            return rebookable_until(session)
        case _:
            return None


def _cancel(by: Party) -> Attempt:
    return lambda session, now, accept: cancelling.cancel(session, by, accept, now)


def _reschedule(by: Party) -> Attempt:
    def attempt(session: Session, now: datetime, accept: bool) -> Result:
        starts_at = session.booked.starts_at
        other = starts_at - _MINUTE if starts_at - _MINUTE > now else starts_at + _MINUTE
        return reschedule(session, MoveWish(other, accept_forfeit=accept), by, _NO_MOVE, "therapy", now)

    return attempt


def _extend(session: Session, now: datetime, accept: bool) -> Result:
    return extend(session, session.booked.ends_at + _MINUTE, None, _NO_MOVE, now)


def _join(party: Party) -> Attempt:
    return lambda session, now, accept: attendance.join(session, party, now)


def _leave(party: Party) -> Attempt:
    return lambda session, now, accept: attendance.leave(session, party, now)


def _rebook(session: Session, now: datetime, accept: bool) -> Result:
    return rebook_refused(session, now) or Changed(session)


def _dispute(party: Party) -> Attempt:
    return lambda session, now, accept: disputes.dispute(session, party, "they_were_not", now)


def _correct(session: Session, now: datetime, accept: bool) -> Result:
    other: Outcome = "provider_missed" if session.status == "completed" else "completed"
    return disputes.correct(session, other, "support", now)


ATTEMPTS: Final[Mapping[Reader, Mapping[ActionName, Attempt | None]]] = {
    "member": {
        "cancel": _cancel("member"),
        "reschedule": _reschedule("member"),
        "join": _join("member"),
        "leave": _leave("member"),
        "rebook": _rebook,
        "dispute": _dispute("member"),
    },
    "provider": {
        "confirm": lambda session, now, accept: attendance.confirm(session, now),
        "decline": lambda session, now, accept: attendance.decline(session, now),
        "cancel": _cancel("provider"),
        "reschedule": _reschedule("provider"),
        "extend": _extend,
        "join": _join("provider"),
        "leave": _leave("provider"),
        "no-show": lambda session, now, accept: attendance.mark_no_show(session, now),
        "outcome": lambda session, now, accept: say_outcome(session, "completed", now),
        "dispute": _dispute("provider"),
    },
    "support": {"correct": _correct, "cancel": None, "reschedule": None},
}
"""The actions of each reader, in the order in which they are told. None: support may not (CANC-4)."""

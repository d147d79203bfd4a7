"""Bugs in how booking and availability decide."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Final

from makegood_availability.handlers import endings as slot_endings
from makegood_availability.handlers import moves as slot_moves
from makegood_availability.store import holds as slots
from makegood_booking.domain import attendance, booking, cancelling, moves, presence
from makegood_booking.domain.session import Transition
from makegood_chassis.database import UnitOfWork
from makegood_contracts.events import SessionCancelled
from makegood_contracts.values import replace

from makegood_simulator.planted.changing import PlantedBug, attribute, everywhere

Change = AbstractContextManager[None]
_GIVE_UP: Final = "UPDATE slot_holds SET live = false, cause = 'moved', ended_at = now() WHERE session_id = $1"


def _reserved_without_credit() -> Change:
    decide = booking._decide

    def hasty(session: Any, now: datetime) -> Any:
        if session.slot == "held" and session.funding == "asked":
            session = replace(session, funding="credit", credit="held")
        return decide(session, now)

    return everywhere(decide, hasty)


def _parties_mixed_up() -> Change:
    verdict = presence.verdict

    def mixed_up(seen: Any, policy: Any, starts_at: datetime, ends_at: datetime, *, in_person: bool = False) -> Any:
        other = replace(
            seen,
            member_joined_at=seen.provider_joined_at,
            member_left_at=seen.provider_left_at,
            provider_joined_at=seen.member_joined_at,
            provider_left_at=seen.member_left_at,
        )
        return verdict(other, policy, starts_at, ends_at, in_person=in_person)

    return everywhere(verdict, mixed_up)


def _no_grace() -> Change:
    present_by = presence._present_by

    def strict(seen: Any, party: Any, starts_at: datetime, moment: datetime) -> bool:
        return present_by(seen, party, starts_at, starts_at)

    return everywhere(present_by, strict)


def _clock_ahead() -> Change:
    time_passed = attendance.time_passed

    def ahead(session: Any, now: datetime) -> Any:
        return time_passed(session, now + timedelta(minutes=20))

    return everywhere(time_passed, ahead)


def _unconfirmed_goes_on() -> Change:
    when_due = attendance._when_due

    def lenient(session: Any, moment: datetime, now: datetime) -> Any:
        if session.status == "reserved":
            return booking.confirmed_by_provider(session, now)
        return when_due(session, moment, now)

    return everywhere(when_due, lenient)


def _provider_cancels_at_members_cost() -> Change:
    cancel = cancelling.cancel

    def costly(session: Any, party: Any, *args: Any, **more: Any) -> Any:
        result: Any = cancel(session, party, *args, **more)
        if party == "provider" and (events := getattr(result, "events", ())):
            told = [replace(one, forfeits=True) if isinstance(one, SessionCancelled) else one for one in events]
            return type(result)(result.session, tuple(told))
        return result

    return everywhere(cancel, costly)


def _refused_move_moves() -> Change:
    def moved(session: Any, event: Any, now: datetime) -> Any:
        move = session.move
        return moves._moved(session, move, now) if move is not None and move.state == "funded" else Transition(session)

    return everywhere(moves.slot_move_refused, moved)


def _spent_noted_as_returned() -> Change:
    from makegood_contracts.events import CreditSpent

    return attribute(booking, "_SETTLED", {**booking._SETTLED, CreditSpent: "returned"})


def _slots_do_not_lapse() -> Change:
    async def forgetful(due: Any, unit: UnitOfWork, dependencies: Any) -> None: ...

    return everywhere(slot_endings.on_holds_due, forgetful)


def _slots_stay_loose() -> Change:
    async def make_firm(unit: UnitOfWork, session_ids: Sequence[str]) -> list[str]:
        return []

    return everywhere(slots.make_firm, make_firm)


def _slots_are_kept() -> Change:
    async def release(unit: UnitOfWork, claims: Any, cause: Any) -> list[Any]:
        return []

    return everywhere(slots.release, release)


def _released_before_swap() -> Change:
    move = slot_moves._move

    async def eager(unit: UnitOfWork, move_id: str, hold: Any, *args: Any) -> Any:
        reasons = await move(unit, move_id, hold, *args)
        if reasons:
            await unit.execute(_GIVE_UP, hold.session_id)
        return reasons

    return everywhere(move, eager)


def _everybody_gets_the_slot() -> Change:
    hold = slots.hold

    async def generous(unit: UnitOfWork, requests: Sequence[Any]) -> set[str]:
        await hold(unit, requests)
        return {request.session_id for request in requests}

    return everywhere(hold, generous)


BUGS: Final = (
    PlantedBug(
        "reserved-without-credit", "A session is reserved as soon as its slot is held.", _reserved_without_credit
    ),
    PlantedBug("parties-mixed-up", "Who was present is read of the other party.", _parties_mixed_up),
    PlantedBug("no-grace", "Whoever comes after the start counts as absent.", _no_grace),
    PlantedBug("clock-ahead", "Sessions are judged twenty minutes early.", _clock_ahead),
    PlantedBug("unconfirmed-goes-on", "A session that nobody confirmed takes place.", _unconfirmed_goes_on),
    PlantedBug(
        "provider-cancels-at-members-cost",
        "The member pays if the provider cancels.",
        _provider_cancels_at_members_cost,
    ),
    PlantedBug("refused-move-moves", "A move that was refused moves the session.", _refused_move_moves),
    PlantedBug("spent-noted-as-returned", "Booking notes a spent credit as returned.", _spent_noted_as_returned),
    PlantedBug("slots-do-not-lapse", "A slot that nobody reserves stays held.", _slots_do_not_lapse),
    PlantedBug("slots-stay-loose", "The slot of a reserved session lapses.", _slots_stay_loose),
    PlantedBug("slots-are-kept", "The slot of an ended session stays held.", _slots_are_kept),
    PlantedBug(
        "released-before-swap", "A move gives up the old slot before it has the new one.", _released_before_swap
    ),
    PlantedBug(
        "everybody-gets-the-slot",
        "Two who want the same slot are both told that they have it.",
        _everybody_gets_the_slot,
    ),
)

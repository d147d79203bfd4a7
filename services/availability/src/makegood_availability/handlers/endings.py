"""A reserved session keeps its slot. Every ending releases it (CANC-3), and a hold that nobody settles lapses
(AVAIL-4).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.made_good import made_good_with
from makegood_chassis.messaging.handlers import Due
from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import ReleaseCause, SessionReserved, SlotReleased

from makegood_availability.dependencies import Dependencies
from makegood_availability.domain.holds import SlotRequest, is_reopened, lapses_at, slot_fields
from makegood_availability.domain.plausibility import (
    MOVED_LATELY,
    EndingClaim,
    contradiction,
    ending_claim,
    implausibility,
)
from makegood_availability.handlers.offers import close_booked
from makegood_availability.handlers.waitlist import pass_on_released
from makegood_availability.store import holds
from makegood_availability.store.holds import ReleasedHold

HOLD_LAPSE: Final = "hold-lapse"
"""Deadline of the holds that lapse in one second. Firm ones leave it alone: it comes, finds nothing and is gone."""

_SECOND = timedelta(seconds=1)


async def on_session_reserved(batch: Sequence[Received[SessionReserved]], unit: UnitOfWork) -> None:
    """Makes the holds firm, so that they no longer lapse (AVAIL-4)."""
    took_offers = await holds.make_firm(unit, [received.event.session_id for received in batch])
    if took_offers:
        await close_booked(unit, took_offers, {received.event.session_id: received.cause for received in batch})


def releases(
    cause: ReleaseCause,
) -> Callable[[Sequence[Received[Any]], UnitOfWork, Dependencies], Awaitable[None]]:
    """The handler for one kind of ending."""

    async def on_session_ended(batch: Sequence[Received[Any]], unit: UnitOfWork, dependencies: Dependencies) -> None:
        """Frees the slots, and passes them on to members who wait."""
        ended: dict[str, Received[Any]] = {}
        for received in batch:
            if (refusal := contradiction(received.event, unit.now)) is not None:
                unit.refuse(received.id, refusal)
            else:
                ended[received.event.session_id] = received
        claims = [ending_claim(received.event, unit.now) for received in ended.values()]
        released = await holds.release(unit, claims, cause)
        if len(released) < len(ended):
            done = {hold.session_id for hold in released}
            rest = {session_id: received for session_id, received in ended.items() if session_id not in done}
            released += await _release_unclaimed(unit, rest, cause)
        causes = {session_id: received.cause for session_id, received in ended.items()}
        await _publish_released(unit, dependencies, released, cause, causes)
        made_good_with(unit, "slot", (ended[hold.session_id] for hold in released if hold.session_id in ended))

    return on_session_ended


async def _release_unclaimed(
    unit: UnitOfWork, ended: Mapping[str, Received[Any]], cause: ReleaseCause
) -> list[ReleasedHold]:
    """Handles the events that ended no hold. Most of these sessions have no hold, or no longer have one.

    If a hold is live, the event cannot be true of it (SEC-7), unless it was moved before booking heard of that. Then
    the ending releases what is held, wherever it is.
    """
    new = await holds.remember_ended(unit, [received.event for received in ended.values()], cause)
    known = sorted(ended.keys() - new)
    if not known:
        return []
    claims: list[EndingClaim] = []
    for hold in await holds.lock_live(unit, known, unit.now - MOVED_LATELY):
        received = ended[hold.session_id]
        refusal = implausibility(received.event, hold, unit.now, moved_lately=hold.moved)
        if refusal is not None:
            unit.refuse(received.id, refusal)
        else:
            claims.append(EndingClaim(hold.session_id, hold.provider_id, hold.member_id, None, None))
    return await holds.release(unit, claims, cause) if claims else []


def plan_lapses(unit: UnitOfWork, held: Iterable[SlotRequest]) -> None:
    """Sets one deadline for each second in which holds of the batch lapse. Under load, that is one row per batch, not
    per hold.

    It is named after the second, which stays the same if a failed attempt postpones the deadline, and after a hold of
    the batch, so that workers do not wait for each other's row.
    """
    first: dict[datetime, str] = {}
    for request in held:
        first.setdefault(lapses_at(request.hold_until), request.session_id)
    for moment, session_id in first.items():
        unit.set_deadline(HOLD_LAPSE, f"{moment.isoformat()}/{session_id}", moment)


async def on_holds_due(due: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Ends the holds of these seconds that are not firm (AVAIL-4)."""
    moments = {datetime.fromisoformat(deadline.entity_id.partition("/")[0]) for deadline in due}
    released = await holds.lapse(unit, [(moment - _SECOND, moment) for moment in sorted(moments)])
    await _publish_released(unit, dependencies, released, "lapsed", {})


async def _publish_released(
    unit: UnitOfWork,
    dependencies: Dependencies,
    released: Sequence[ReleasedHold],
    cause: ReleaseCause,
    causes: Mapping[str, Cause],
) -> None:
    for hold in released:
        event = SlotReleased(**slot_fields(hold), cause=cause, reopened=is_reopened(hold.ends_at, unit.now))
        unit.publish(event, sequence=hold.sequence, cause=causes.get(hold.session_id))
    await pass_on_released(unit, dependencies, released, causes)

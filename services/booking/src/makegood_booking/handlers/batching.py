"""Takes booking requests (BOOK-1, BOOK-9). Concurrent requests share one transaction and a handful of statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import Response
from makegood_chassis.access.request import Accesses
from makegood_chassis.database import Database, UnitOfWork
from makegood_chassis.group_commit import GroupCommit
from makegood_chassis.http.idempotency import KeyClaim, claim_many, release_many, store_many
from makegood_chassis.refusals import FieldRefused, NotFound
from makegood_contracts.envelope import Cause
from makegood_contracts.events import Actor, PlanKind
from makegood_contracts.problems import PROBLEMS
from makegood_contracts.reasons import Reason
from makegood_plans.coverage import covering

from makegood_booking.domain.booking import (
    BookingRequest,
    invalid_field,
    request_session,
    support_may_book,
)
from makegood_booking.domain.policy import Policy
from makegood_booking.domain.rebooking import reopens
from makegood_booking.domain.rooms import Room, room_reasons
from makegood_booking.domain.session import Session, Transition
from makegood_booking.handlers.bookability import rebooking_context
from makegood_booking.handlers.refusals import BookingRefused
from makegood_booking.store.coverage import read_coverage
from makegood_booking.store.policies import PolicyCache
from makegood_booking.store.rooms import RoomToBook, lock_room, read_rooms, touch_rooms
from makegood_booking.store.sessions import add_sessions


def session_path(session_id: str) -> str:
    return f"/v1/sessions/{session_id}"


@dataclass(frozen=True, slots=True)
class BookingCommand:
    """One request. `booked_by`: the role in which the caller books in a room, or None if it is not theirs. `accepted`:
    the answer to store, if the caller does not wait for the outcome.
    """

    session_id: str
    request: BookingRequest
    booked_by: Callable[[Room], Actor | None]
    cause: Cause
    claim: KeyClaim | None
    accepted: Callable[[Session], Response] | None = None
    accesses: Accesses | None = None
    """Records the booking in the access log, except if the member books."""


Result = tuple[Session, Response | None]
_SUPPORT_MAY_NOT: Final = Reason(code="support-may-not", detail=PROBLEMS["support-may-not"].when)


class BookingBatcher:
    """Books in batches. `submit` returns the requested session, with the stored answer for a caller who does not
    wait, or raises its refusal."""

    def __init__(self, database: Database, policies: PolicyCache) -> None:
        self._database = database
        self._policies = policies
        self._group: GroupCommit[BookingCommand, Result] = GroupCommit(database, self.apply)

    async def submit(self, booking: BookingCommand) -> Result:
        return await self._group.submit(booking)

    async def rebook(self, booking: BookingCommand) -> Result:
        """As `submit`, for a room that is not open (MISS-4). The member may rebook there what the provider missed. It
        has its own transaction and locks the room, so that a right is used only once. Other bookings do not wait for
        it.
        """
        async with self._database.transaction(booking.cause) as unit:
            await lock_room(unit, booking.request.room_id)
            (result,) = await self.apply([booking], unit, rebooks=True)
        if isinstance(result, Exception):
            raise result
        return result

    async def apply(
        self, bookings: Sequence[BookingCommand], unit: UnitOfWork, *, rebooks: bool = False
    ) -> Sequence[Result | Exception]:
        """One result for each request, in order. A refused request leaves nothing behind and frees its key."""
        refused = await claim_many(
            [booking.claim for booking in bookings], [session_path(booking.session_id) for booking in bookings], unit
        )
        rooms = await read_rooms(unit, {booking.request.room_id for booking in bookings})
        policy = await self._policies.current(unit)
        results: list[Result | Exception] = []
        made: list[tuple[Transition, Cause]] = []
        released: list[KeyClaim | None] = []
        answers: list[tuple[KeyClaim, Response]] = []
        for booking, refusal in zip(bookings, refused, strict=True):
            if refusal is not None:
                results.append(refusal)
                continue
            found = rooms.get(booking.request.room_id)
            changed = await self._judge(unit, booking, found, policy, rebooks=rebooks)
            if isinstance(changed, Exception):
                results.append(changed)
                released.append(booking.claim)
                continue
            made.append((changed, booking.cause))
            if booking.accesses is not None and booking.accesses.pending:
                await booking.accesses.keep_in(unit)
            response = booking.accepted(changed.session) if booking.accepted else None
            if response is not None and booking.claim is not None:
                answers.append((booking.claim, response))
            results.append((changed.session, response))
        await release_many(released, unit)
        if made:
            add_sessions(unit, made)
            active = {changed.session.booked.room_id for changed, _ in made if _is_activity(changed.session)}
            if active:
                touch_rooms(unit, active)
        if answers:
            store_many(answers, unit)
        return results

    async def _judge(
        self, unit: UnitOfWork, booking: BookingCommand, found: RoomToBook | None, policy: Policy, *, rebooks: bool
    ) -> Transition | Exception:
        request = booking.request
        booked_by = booking.booked_by(found.room) if found is not None else None
        if found is None or booked_by is None:
            return NotFound("room")
        if fault := invalid_field(request, policy, unit.now):
            return FieldRefused(fault.field, fault.detail)
        if booked_by == "support" and not support_may_book(request, await _plan_kind(unit, found.room, request)):
            return BookingRefused(found, booked_by, [_SUPPORT_MAY_NOT])
        reopens_room = False
        if reasons := room_reasons(found.room, found.active_at, policy, unit.now):
            reopens_room = (
                rebooks
                and booked_by == "member"
                and reopens(
                    await rebooking_context(unit, found.room, unit.now),
                    request.length_minutes,
                    request.modality,
                )
            )
            if not reopens_room:
                return BookingRefused(found, booked_by, reasons)
        return request_session(
            booking.session_id,
            request,
            found.room,
            booked_by,
            policy,
            unit.now,
            found.specialty,
            reopens_room=reopens_room,
        )


def _is_activity(session: Session) -> bool:
    """Whether the booking counts as the member's activity (ROOM-2). It does if the member books, and does not if others
    book for them. In a room that is not open, it counts once it is reserved.
    """
    return session.booked.booked_by == "member" and not session.reopens_room


async def _plan_kind(unit: UnitOfWork, room: Room, request: BookingRequest) -> PlanKind | None:
    """The kind of the plan that covers the room's member when the session starts."""
    covered_by = covering(await read_coverage(unit, room.member_id), request.starts_at)
    return None if covered_by is None else covered_by.plan.kind

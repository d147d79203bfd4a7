"""Takes booking requests (BOOK-1, BOOK-9): many concurrent ones in one transaction, a handful of statements for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import Response
from makegood_chassis.database import Database, UnitOfWork
from makegood_chassis.group_commit import GroupCommit
from makegood_chassis.http.idempotency import Claim, claim_many, release_many, store_many
from makegood_contracts.envelope import Cause

from makegood_booking.domain.booking import RoomClosedRefusal, Unfit, Wish, request, unfit
from makegood_booking.domain.session import Changed, Session
from makegood_booking.store.policies import Policies
from makegood_booking.store.rooms import RoomToBook, read_rooms, touch_rooms
from makegood_booking.store.sessions import Sessions


def session_path(session_id: str) -> str:
    return f"/v1/sessions/{session_id}"


@dataclass(frozen=True, slots=True)
class Booking:
    """One member's request. `accepted`: the answer, where the caller does not wait for the outcome."""

    session_id: str
    wish: Wish
    member_id: str
    cause: Cause
    claim: Claim | None
    accepted: Callable[[Session], Response] | None = None


class NoSuchRoom(Exception):
    """The room is not there, or not the caller's."""


class RoomClosed(Exception):
    """Bookings need an active room."""


class NotBookable(Exception):
    """A value of the wish that nobody could book."""

    def __init__(self, unfit: Unfit) -> None:
        super().__init__(unfit.field)
        self.unfit = unfit


Result = tuple[Session, Response | None]


class Desk:
    """`submit` answers the session as requested, with the stored answer for who does not wait; or raises the above."""

    def __init__(self, database: Database, sessions: Sessions, policies: Policies) -> None:
        self._sessions = sessions
        self._policies = policies
        self._group: GroupCommit[Booking, Result] = GroupCommit(database, self.apply)

    async def submit(self, booking: Booking) -> Result:
        return await self._group.submit(booking)

    async def apply(self, bookings: Sequence[Booking], unit: UnitOfWork) -> Sequence[Result | Exception]:
        """One result a request, in order; what is refused leaves nothing and gives its key back."""
        refused = await claim_many(
            [booking.claim for booking in bookings], [session_path(booking.session_id) for booking in bookings], unit
        )
        rooms = await read_rooms({booking.wish.room_id for booking in bookings}, unit)
        policy = await self._policies.current(unit)
        results: list[Result | Exception] = []
        made: list[tuple[Changed, Cause]] = []
        released: list[Claim | None] = []
        answers: list[tuple[Claim, Response]] = []
        for booking, refusal in zip(bookings, refused, strict=True):
            if refusal is not None:
                results.append(refusal)
                continue
            wish = booking.wish
            room = rooms.get(wish.room_id)
            error = _error(room, booking) or ((fault := unfit(wish, policy, unit.now)) and NotBookable(fault))
            changed = (
                request(booking.session_id, wish, room.room, "member", policy, unit.now, room.specialty)
                if room is not None and error is None
                else None
            )
            if error is not None or not isinstance(changed, Changed):
                results.append(RoomClosed() if isinstance(changed, RoomClosedRefusal) else error or NoSuchRoom())
                released.append(booking.claim)
                continue
            made.append((changed, booking.cause))
            response = booking.accepted(changed.session) if booking.accepted else None
            if response is not None and booking.claim is not None:
                answers.append((booking.claim, response))
            results.append((changed.session, response))
        await release_many(released, unit)
        if made:
            await self._sessions.add(made, unit)
            await touch_rooms({changed.session.booked.room_id for changed, _ in made}, unit)
        if answers:
            await store_many(answers, unit)
        return results


def _error(room: RoomToBook | None, booking: Booking) -> Exception | None:
    return None if room is not None and room.room.member_id == booking.member_id else NoSuchRoom()

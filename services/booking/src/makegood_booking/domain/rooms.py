"""Rooms: the lasting pair of one member and one provider. They are closed, restarted, or left for another provider
(ROOM-1 to 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from makegood_calendar.slot_rules import Schedule
from makegood_contracts.events import Actor, Party, PlanKind, ProviderChanged, RoomClosed, RoomOpened, RoomRestarted
from makegood_contracts.reasons import Reason

from makegood_booking.domain.policy import Policy

ROOM_CLOSED: Final = Reason(code="room-closed", detail="The room is closed.")
RoomStatus = Literal["active", "closed"]


@dataclass(frozen=True, slots=True)
class Room:
    id: str
    member_id: str
    provider_id: str
    status: RoomStatus
    created_at: datetime
    last_activity_at: datetime
    version: int
    closed_by: Actor | None = None
    """Who closed it last. None for rooms that an earlier release closed."""


def open_room(room_id: str, member_id: str, provider_id: str, now: datetime) -> tuple[Room, RoomOpened]:
    """A member and a provider share a room from now on (ROOM-1)."""
    room = Room(room_id, member_id, provider_id, "active", now, now, 1)
    return room, RoomOpened(
        room_id=room_id, member_id=member_id, provider_id=provider_id, room_version=1, opened_at=now
    )


def close_room(
    room: Room, now: datetime, by: Actor = "system", *, erased: Party | None = None
) -> tuple[Room, RoomClosed | None]:
    """Closes the room to new bookings (ROOM-1). Closing a closed room changes nothing. `erased`: whose erasure
    closes it (NOTE-5)."""
    if room.status == "closed":
        return room, None
    closed = replace(room, status="closed", version=room.version + 1, closed_by=by)
    return closed, RoomClosed(
        room_id=room.id,
        member_id=room.member_id,
        provider_id=room.provider_id,
        room_version=closed.version,
        closed_at=now,
        erased=erased,
        closed_by=by,
    )


RestartRefusal = Literal["eap", "provider-gone", "another-room"]


def is_inactive(active_at: datetime, policy: Policy, now: datetime) -> bool:
    """ROOM-2: whether the member has been away for too long to book without a restart. `active_at`: last active, in
    any room."""
    return now - active_at > timedelta(days=policy.inactivity_days)


def room_reasons(room: Room, active_at: datetime, policy: Policy, now: datetime) -> tuple[Reason, ...]:
    """Booking needs an active room, and a member who was active recently (BOOK-7)."""
    reasons = []
    if room.status != "active":
        reasons.append(ROOM_CLOSED)
    if is_inactive(active_at, policy, now):
        detail = f"The member has been inactive for more than {policy.inactivity_days} days."
        reasons.append(Reason(code="room-inactive", detail=detail))
    return tuple(reasons)


def is_available(schedule: Schedule | None, now: datetime) -> bool:
    """Whether a provider still works here (ROOM-2): their published schedule has hours and kinds of sessions."""
    if schedule is None or not any(schedule.lengths.values()):
        return False
    hours = schedule.hours
    today = now.astimezone(hours.zone).date()
    return any(hours.weekly) or any(ranges for day, ranges in hours.exceptions.items() if day >= today)


def restart_room(
    room: Room,
    active_at: datetime,
    policy: Policy,
    now: datetime,
    *,
    plan_kind: PlanKind | None,
    sessions_left: bool,
    provider_available: bool,
    another_room: bool,
) -> tuple[Room, RoomRestarted | None] | RestartRefusal:
    """ROOM-1: therapy continues in a closed or inactive room (ROOM-2). In any other room, nothing changes.

    It is refused for EAP without `sessions_left`, because such members get more sessions first; for a provider who is
    no longer available; and if the two have `another_room` that is active.
    """
    if another_room:
        return "another-room"
    if room.status == "active" and not is_inactive(active_at, policy, now):
        return room, None
    if plan_kind == "eap" and not sessions_left:
        return "eap"
    if not provider_available:
        return "provider-gone"
    restarted = replace(room, status="active", last_activity_at=now, version=room.version + 1)
    return restarted, RoomRestarted(
        room_id=room.id,
        member_id=room.member_id,
        provider_id=room.provider_id,
        room_version=restarted.version,
        restarted_at=now,
    )


def leave_room(room: Room, new: Room, now: datetime) -> tuple[Room, ProviderChanged]:
    """The member continues with another provider in the room `new`. This room, already closed, points to it
    (ROOM-3)."""
    left = replace(room, version=room.version + 1)
    return left, ProviderChanged(
        room_id=room.id,
        member_id=room.member_id,
        provider_id=room.provider_id,
        room_version=left.version,
        new_room_id=new.id,
        new_provider_id=new.provider_id,
        changed_at=now,
    )

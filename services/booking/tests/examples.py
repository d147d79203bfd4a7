"""Sessions for the tests of the rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from makegood_booking.domain import booking
from makegood_booking.domain.attendance import confirm, join
from makegood_booking.domain.booking import BookingRequest
from makegood_booking.domain.policy import STANDARD
from makegood_booking.domain.rooms import Room
from makegood_booking.domain.session import Session, Transition
from makegood_contracts.events import Event, Party
from makegood_contracts.ids import new_id
from msgspec.structs import replace

from . import answers

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ROOM = Room(new_id(), "anna", "dr-lee", "active", NOW, NOW, 1)
START = NOW + timedelta(days=4)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def booking_request(starts_at: datetime = START, **other: Any) -> BookingRequest:
    values: dict[str, Any] = {
        "room_id": ROOM.id,
        "starts_at": starts_at,
        "length_minutes": 30,
        "modality": "video",
        "time_zone": "Europe/Berlin",
        "venue_id": None,
        **other,
    }
    return BookingRequest(**values)


def done(result: object) -> Session:
    """The session after a change that must not be refused."""
    assert isinstance(result, Transition), result
    return result.session


def names(result: object) -> list[str]:
    """The names of the events of a change that must not be refused."""
    assert isinstance(result, Transition), result
    return [type(event).__name__ for event in result.events]


def only_event(result: object) -> Event:
    assert isinstance(result, Transition), result
    (event,) = result.events
    return event


def requested(starts_at: datetime = START, now: datetime = NOW, **other: Any) -> Session:
    return done(booking.request_session(new_id(), booking_request(starts_at, **other), ROOM, "member", STANDARD, now))


def reserved(starts_at: datetime = START, now: datetime = NOW, *, co_pay: bool = False, **other: Any) -> Session:
    session = done(answers.slot_held(requested(starts_at, now, **other), now))
    return done(answers.credit_held(session, co_pay, now))


def confirmed(starts_at: datetime = START, now: datetime = NOW, **other: Any) -> Session:
    """Confirmed, and nobody asks the provider again (CONF-3 has tests of its own)."""
    return replace(done(confirm(reserved(starts_at, now, **other), now)), reconfirmation=None)


def attended(*parties: Party, late: timedelta = timedelta()) -> Session:
    """A confirmed session that these joined, `late` after its start."""
    session = confirmed()
    for party in parties:
        session = done(join(session, party, START + late))
    return session


def without_version(session: Session) -> Session:
    return replace(session, version=0)

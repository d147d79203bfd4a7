"""The topics: their names, owners and keys. Every topic exists before its first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Service = Literal["booking", "availability", "credits", "notifications"]

SERVICES: Final[tuple[Service, ...]] = ("booking", "availability", "credits", "notifications")

PARTITIONS: Final = 12
"""Partitions of an event topic: enough consumers can share it without ever changing the keys' homes."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `key` names the field of its events whose value is the record's key, and so the unit of order."""

    name: str
    owner: Service
    key: str
    about: str
    partitions: int = PARTITIONS


SESSIONS: Final = Topic(
    "booking.sessions.v1", "booking", "session_id", "What happens to a session, from request to end."
)
ROOMS: Final = Topic(
    "booking.rooms.v1", "booking", "room_id", "Rooms opened, closed, restarted and left for another provider."
)
POLICIES: Final = Topic(
    "booking.policies.v1", "booking", "scope", "The policy's numbers, each time ops changes them.", 1
)
WAITLIST: Final = Topic(
    "booking.waitlist.v1",
    "booking",
    "proposal_id",
    "Whether who is first in line for a slot could book it, and why not.",
)
RESERVATIONS: Final = Topic(
    "availability.reservations.v1",
    "availability",
    "session_id",
    "Slots held, refused and released for sessions.",
)
SCHEDULES: Final = Topic(
    "availability.schedules.v1",
    "availability",
    "provider_id",
    "What providers publish of their working time, and who waits for some of it.",
)
VENUES: Final = Topic(
    "availability.venues.v1",
    "availability",
    "venue_id",
    "Venues for sessions in person: what they are called and where.",
)
HOLDS: Final = Topic("credits.holds.v1", "credits", "session_id", "Credits or co-pays held or refused for sessions.")
LEDGER: Final = Topic(
    "credits.ledger.v1", "credits", "member_id", "Every settled movement of a member's credits and charges."
)
ENROLMENTS: Final = Topic("credits.enrolments.v1", "credits", "member_id", "Members' plans and coverage.")
DELIVERIES: Final = Topic(
    "notifications.deliveries.v1",
    "notifications",
    "delivery_id",
    "Messages handed over to their channel, or given up.",
)
MESSAGES: Final = Topic(
    "notifications.messages.v1", "notifications", "room_id", "That somebody wrote in a room's chat; never what."
)
PEOPLE: Final = Topic(
    "notifications.people.v1",
    "notifications",
    "person_id",
    "Personal data that was erased, sessions of people that were ended, and the public halves of their keys.",
)
ACCESS: Final[dict[Service, Topic]] = {
    service: Topic(f"{service}.access.v1", service, "chain", f"Who looked at or changed whose data in {service}.", 1)
    for service in SERVICES
}
"""By service. One partition, for its events are one chain."""

EVENT_TOPICS: Final[tuple[Topic, ...]] = (
    SESSIONS,
    ROOMS,
    POLICIES,
    WAITLIST,
    RESERVATIONS,
    SCHEDULES,
    VENUES,
    HOLDS,
    LEDGER,
    ENROLMENTS,
    DELIVERIES,
    MESSAGES,
    PEOPLE,
    *ACCESS.values(),
)


def dead_letters(service: Service) -> Topic:
    """Where the events go that `service` could not take; a record keeps the key it came with."""
    return Topic(f"{service}.dead-letters.v1", service, "original key", f"Events that {service} could not take.", 1)


TOPICS: Final[tuple[Topic, ...]] = (*EVENT_TOPICS, *(dead_letters(service) for service in SERVICES))
BY_NAME: Final[dict[str, Topic]] = {topic.name: topic for topic in TOPICS}

"""Kafka topics: their names, owners, keys and settings. All topics are created before their first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

ServiceName = Literal["booking", "availability", "credits", "notifications"]

SERVICES: Final[tuple[ServiceName, ...]] = ("booking", "availability", "credits", "notifications")

PARTITIONS: Final = 12
"""Partitions of an event topic: enough to add consumers without ever repartitioning."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. `key` is the event field that becomes the record key; events with the same key stay in order."""

    name: str
    owner: ServiceName
    key: str
    about: str
    partitions: int = PARTITIONS
    compacted: bool = False
    """Whether the broker keeps only the last record of each key. Readers of today's topics need the whole history."""
    retention_seconds: int | None = None
    """How long the broker keeps a record; None: for good, for `makegood audit` and for readers that come later."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of the topic at the broker. Whatever creates topics uses these."""
        return {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": "-1" if self.retention_seconds is None else str(1000 * self.retention_seconds),
        }


SESSIONS: Final = Topic(
    "booking.sessions.v1", "booking", "session_id", "The life of a session, from request to outcome."
)
ROOMS: Final = Topic(
    "booking.rooms.v1", "booking", "room_id", "Rooms opened, closed, restarted, and changes of provider."
)
POLICIES: Final = Topic(
    "booking.policies.v1", "booking", "scope", "The policy's numbers, each time ops changes them.", 1
)
WAITLIST: Final = Topic(
    "booking.waitlist.v1",
    "booking",
    "proposal_id",
    "Whether the first member on a waitlist could book a slot, and if not, why.",
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
    "Providers' schedules and time off, and their waitlists.",
)
VENUES: Final = Topic(
    "availability.venues.v1",
    "availability",
    "venue_id",
    "Venues for in-person sessions: their names and places.",
)
HOLDS: Final = Topic("credits.holds.v1", "credits", "session_id", "Credits or co-pays held or refused for sessions.")
LEDGER: Final = Topic(
    "credits.ledger.v1", "credits", "member_id", "Every settled movement of a member's credits, and charges."
)
ENROLMENTS: Final = Topic("credits.enrolments.v1", "credits", "member_id", "Members' plans and coverage.")
DELIVERIES: Final = Topic(
    "notifications.deliveries.v1",
    "notifications",
    "delivery_id",
    "Messages that were delivered to their channel, or failed.",
)
MESSAGES: Final = Topic(
    "notifications.messages.v1",
    "notifications",
    "room_id",
    "Chat messages in rooms: who wrote and when, never the text.",
)
PEOPLE: Final = Topic(
    "notifications.people.v1",
    "notifications",
    "person_id",
    "Erasures of personal data, revoked access tokens, and people's public keys.",
)
ACCESS: Final[dict[ServiceName, Topic]] = {
    service: Topic(f"{service}.access.v1", service, "chain", f"Who read or changed whose data in {service}.", 1)
    for service in SERVICES
}
"""Access log topics by service. They have one partition because their events form one chain."""

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


def dead_letters(service: ServiceName) -> Topic:
    """The topic for events that `service` could not process. Records keep their original key."""
    return Topic(f"{service}.dead-letters.v1", service, "original key", f"Events that {service} could not process.", 1)


TOPICS: Final[tuple[Topic, ...]] = (*EVENT_TOPICS, *(dead_letters(service) for service in SERVICES))
BY_NAME: Final[dict[str, Topic]] = {topic.name: topic for topic in TOPICS}

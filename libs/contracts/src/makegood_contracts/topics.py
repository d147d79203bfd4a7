"""Kafka topics: their names, owners, keys and settings. All topics are created before their first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

ServiceName = Literal["booking", "availability", "credits", "notifications"]

SERVICES: Final[tuple[ServiceName, ...]] = ("booking", "availability", "credits", "notifications")

PARTITIONS: Final = 12
"""Partitions of an event topic: enough to add consumers without ever repartitioning."""

STATE_PARTITIONS: Final = 3
"""Partitions of a state topic. Every partition of a batch costs the broker a request's part, and tables have few readers."""

_DAY: Final = 24 * 60 * 60 * 1000
_COMPACTION: Final[dict[str, str]] = {
    "max.compaction.lag.ms": str(_DAY),  # what was replaced or erased is gone from the broker about a day later
    "delete.retention.ms": str(7 * _DAY),  # so long a reader may be away and still see that something was erased
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. `key` is the event field that becomes the record key; events with the same key stay in order."""

    name: str
    owner: ServiceName
    key: str
    about: str
    partitions: int = PARTITIONS
    compacted: bool = False
    """Whether the broker keeps only the last record of each key. Readers of events need the whole history."""
    retention_seconds: int | None = None
    """How long the broker keeps a record; None: for good, for `makegood audit` and for readers that come later."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of the topic at the broker. Whatever creates topics uses these."""
        kept = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": "-1" if self.retention_seconds is None else str(1000 * self.retention_seconds),
        }
        return kept | _COMPACTION if self.compacted else kept


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


def _state(name: str, owner: ServiceName, key: str, about: str) -> Topic:
    return Topic(f"{owner}.{name}.state.v1", owner, key, about, STATE_PARTITIONS, compacted=True)


SESSIONS_STATE: Final = _state("sessions", "booking", "session_id", "Each session as it is now.")
ROOMS_STATE: Final = _state("rooms", "booking", "room_id", "Each room as it is now.")
HOLDS_STATE: Final = _state("holds", "availability", "session_id", "The slot of each session, and whether it is held.")
BALANCES_STATE: Final = _state("balances", "credits", "member_id", "How many credits each member has now.")
INVOICES_STATE: Final = _state("invoices", "credits", "invoice_id", "Each charge as it is now.")
ENROLMENTS_STATE: Final = _state("enrolments", "credits", "enrolment_id", "Each enrolment in a plan as it is now.")
DELIVERIES_STATE: Final = _state("deliveries", "notifications", "delivery_id", "Each message as it is now.")

STATE_TOPICS: Final[tuple[Topic, ...]] = (
    SESSIONS_STATE,
    ROOMS_STATE,
    HOLDS_STATE,
    BALANCES_STATE,
    INVOICES_STATE,
    ENROLMENTS_STATE,
    DELIVERIES_STATE,
)
"""The latest state of each entity. A record without a value is a tombstone: the entity is of somebody who was erased."""


def dead_letters(service: ServiceName) -> Topic:
    """The topic for events that `service` could not process. Records keep their original key."""
    return Topic(f"{service}.dead-letters.v1", service, "original key", f"Events that {service} could not process.", 1)


TOPICS: Final[tuple[Topic, ...]] = (*EVENT_TOPICS, *STATE_TOPICS, *(dead_letters(service) for service in SERVICES))
BY_NAME: Final[dict[str, Topic]] = {topic.name: topic for topic in TOPICS}

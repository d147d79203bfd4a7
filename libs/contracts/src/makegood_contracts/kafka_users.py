"""Who may do what on Kafka: a user for each service and for each job of people, with nothing more than it needs.

Everything that sets rights on a cluster is made from this: `deploy/kafka/make_users.py` and the charts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from makegood_contracts.topics import (
    ACCESS,
    ENROLMENTS,
    EVENT_TOPICS,
    HOLDS,
    LEDGER,
    MESSAGES,
    PEOPLE,
    POLICIES,
    RESERVATIONS,
    ROOMS,
    SCHEDULES,
    SERVICES,
    SESSIONS,
    STATE_TOPICS,
    TOPICS,
    VENUES,
    WAITLIST,
    ServiceName,
    Topic,
    dead_letters,
)

CONSUMES: Final[Mapping[ServiceName, tuple[Topic, ...]]] = {
    "booking": (RESERVATIONS, SCHEDULES, VENUES, HOLDS, LEDGER, ENROLMENTS, MESSAGES, PEOPLE),
    "availability": (SESSIONS, ROOMS, POLICIES, WAITLIST, PEOPLE),
    "credits": (SESSIONS, POLICIES, PEOPLE),
    "notifications": (SESSIONS, ROOMS, SCHEDULES, VENUES, LEDGER, ENROLMENTS),
}
"""The topics that each service reads: those of the events in its `handlers/routing.py`. A test compares the two."""

Operation = Literal["Read", "Write", "Describe", "Create", "DescribeConfigs", "AlterConfigs"]
"""`Read` and `Write` include `Describe`. An idempotent producer needs only `Write`, from Kafka 3.0 on."""


@dataclass(frozen=True, slots=True)
class Right:
    """What a user may do with a topic or consumer group. `prefixed`: with all whose names begin with `name`."""

    kind: Literal["topic", "group"]
    name: str
    operation: Operation
    prefixed: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """A user of Kafka and everything it may do. Whatever is not named is refused."""

    name: str
    about: str
    rights: tuple[Right, ...]


def users(prefix: str = "") -> tuple[User, ...]:
    """All users. `prefix`: what the names of topics and groups begin with (KAFKA_TOPIC_PREFIX)."""
    shared = [topic for topic in (*EVENT_TOPICS, *STATE_TOPICS) if topic not in ACCESS.values()]
    letters = [dead_letters(service) for service in SERVICES]
    groups = [Right("group", prefix + service, "Describe") for service in SERVICES]
    consumed = [topic for topic in EVENT_TOPICS if any(topic in topics for topics in CONSUMES.values())]
    return (
        *(User(service, f"The service {service}, in role work.", _of(service, prefix)) for service in SERVICES),
        User(
            "makegood-topics",
            "`make_topics.py`: creates topics and completes their settings, and reads no event.",
            tuple(
                right
                for operation in ("Create", "Describe", "DescribeConfigs", "AlterConfigs")
                for right in _topics(TOPICS, operation, prefix)
            ),
        ),
        User(
            "auditor",
            "`makegood audit`, `status` and `topics`: reads every topic, and how far the services have read.",
            (*_topics(TOPICS, "Read", prefix), *groups),
        ),
        User(
            "redrive",
            "`makegood topics redrive`: reads dead letters, and puts their events back.",
            (*_topics((*letters, *EVENT_TOPICS), "Read", prefix), *_topics(EVENT_TOPICS, "Write", prefix)),
        ),
        User(
            "scaler",
            "Scales by lag: sees how far the services have read, and no event.",
            (*_topics(consumed, "Describe", prefix), *groups),
        ),
        User(
            "data-team",
            "Reads events and states, without access logs and dead letters. Its groups begin with `data-team.`.",
            (*_topics(shared, "Read", prefix), Right("group", f"{prefix}data-team.", "Read", prefixed=True)),
        ),
        User(
            "connect",
            "Kafka Connect: reads what data teams read, into files or databases. Its groups begin with `connect-`.",
            (*_topics(shared, "Read", prefix), Right("group", f"{prefix}connect-", "Read", prefixed=True)),
        ),
    )


def _of(service: ServiceName, prefix: str) -> tuple[Right, ...]:
    owned = [topic for topic in TOPICS if topic.owner == service]
    return (
        *_topics(CONSUMES[service], "Read", prefix),
        *_topics(owned, "Write", prefix),
        Right("group", prefix + service, "Read"),
    )


def _topics(topics: Iterable[Topic], operation: Operation, prefix: str) -> Iterator[Right]:
    return (Right("topic", prefix + topic.name, operation) for topic in topics)

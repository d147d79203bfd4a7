"""The rights on Kafka follow the code: who reads a topic has the right to, and nobody else."""

from __future__ import annotations

from importlib import import_module

import pytest
from makegood_contracts.kafka_users import CONSUMES, users
from makegood_contracts.topics import EVENT_TOPICS, SERVICES, TOPICS, ServiceName

pytestmark = pytest.mark.rule("SEC-7")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_read_exactly_the_topics_that_its_routing_table_names(service: ServiceName) -> None:
    routing = import_module(f"makegood_{service}.handlers.routing")
    read = {kind.topic.name for kind in routing.EVENTS}
    assert {topic.name for topic in CONSUMES[service]} == read
    assert {kind.topic.name for kind in getattr(routing, "READ_MODELS", {})} <= read, "a rebuild reads nothing more"


def test_one_service_writes_a_topic_and_no_service_reads_its_own() -> None:
    writers = {
        topic.name: [user.name for user in users() if user.name in SERVICES and _may(user.name, topic.name, "Write")]
        for topic in TOPICS
    }
    assert writers == {topic.name: [topic.owner] for topic in TOPICS}
    for service in SERVICES:
        assert not any(topic.owner == service for topic in CONSUMES[service])


def test_only_those_who_put_letters_back_write_what_they_do_not_own() -> None:
    writing = {user.name for user in users() if any(right.operation == "Write" for right in user.rights)}
    assert writing == {*SERVICES, "redrive"}
    assert not any(_may("redrive", f"{service}.dead-letters.v1", "Write") for service in SERVICES)


def test_the_data_team_sees_no_access_log_and_no_dead_letter() -> None:
    hidden = {topic.name for topic in TOPICS if not _may("data-team", topic.name, "Read")}
    assert hidden == {f"{service}.{kind}.v1" for service in SERVICES for kind in ("access", "dead-letters")}


def test_every_name_has_the_prefix() -> None:
    for user in users("care."):
        assert all(right.name.startswith("care.") for right in user.rights)
        assert len(set(user.rights)) == len(user.rights)


def test_an_event_topic_without_a_reader_is_meant_to_have_none() -> None:
    """A new topic is read by a service, or is for people and their tools."""
    unread = {topic.name for topic in EVENT_TOPICS if not any(topic in topics for topics in CONSUMES.values())}
    assert unread == {"notifications.deliveries.v1", *(f"{service}.access.v1" for service in SERVICES)}


def _may(name: str, topic: str, operation: str) -> bool:
    (user,) = (user for user in users() if user.name == name)
    return any((right.kind, right.name, right.operation) == ("topic", topic, operation) for right in user.rights)

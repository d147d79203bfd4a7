"""Rights on a real broker that refuses what nobody was granted: the command that sets them, and what each user then may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, NoError
from makegood_chassis.kafka_connection import KafkaConnection
from makegood_contracts.kafka_users import Right, users
from makegood_contracts.topics import EVENT_TOPICS, SERVICES, STATE_TOPICS, TOPICS
from makegood_stack.embedded import EmbeddedServers
from makegood_stack.kafka_users import as_acl
from makegood_testkit.certificates import Authority
from makegood_testkit.production import PASSWORD
from makegood_testkit.waiting import until

from .kafka_cluster import Cluster, start_cluster

pytestmark = [pytest.mark.rule("SEC-7"), pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """All users have their passwords and rights, all topics exist."""
    with EmbeddedServers() as servers:
        yield start_cluster(
            servers, Authority(tmp_path_factory.mktemp("authority")), tmp_path_factory.mktemp("passwords")
        )


def allowed(cluster: Cluster, user: str) -> dict[str, set[str]]:
    """What the broker itself says that this user may do, by topic. Topics that it may not even see are left out."""
    with closing(KafkaAdminClient(**cluster.connection(user).arguments())) as client:
        found: dict[str, set[str]] = {}
        for topic in client.describe_topics([topic.name for topic in TOPICS]):
            if operations := set(topic["authorized_operations"] or ()):
                found[topic["name"]] = operations
        return found


READ, WRITE = {"READ", "DESCRIBE"}, {"WRITE", "DESCRIBE"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_what_it_handles_writes_what_it_owns_and_sees_nothing_else(
    service: str, cluster: Cluster
) -> None:
    events = import_module(f"makegood_{service}.handlers.routing").EVENTS
    owned = {topic.name for topic in TOPICS if topic.owner == service}
    expected = {kind.topic.name: READ for kind in events} | dict.fromkeys(owned, WRITE)
    assert allowed(cluster, service) == expected


def test_people_and_their_tools_read_and_only_redriving_writes(cluster: Cluster) -> None:
    everything = {topic.name for topic in TOPICS}
    events = {topic.name for topic in EVENT_TOPICS}
    states = {topic.name for topic in STATE_TOPICS}
    letters = everything - events - states
    assert allowed(cluster, "auditor") == dict.fromkeys(everything, READ)
    assert allowed(cluster, "redrive") == dict.fromkeys(letters, READ) | dict.fromkeys(events, READ | WRITE)
    for user in ("data-team", "connect"):
        assert allowed(cluster, user) == {name: READ for name in events | states if ".access." not in name}
    making = {"CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"}
    assert allowed(cluster, "makegood-topics") == dict.fromkeys(everything, making)
    assert set(map(frozenset, allowed(cluster, "scaler").values())) == {frozenset({"DESCRIBE"})}


def commits(connection: KafkaConnection, group: str, topic: str) -> bool:
    """Whether the broker takes an offset for this group. Nobody needs to be a member."""
    place = TopicPartition(topic, 0)
    with closing(KafkaAdminClient(**connection.arguments())) as client:
        try:
            taken: bool = client.alter_group_offsets(group, {place: OffsetAndMetadata(0, "", -1)})[place] is NoError
        except KafkaError:
            return False
        return taken


@pytest.mark.parametrize("user", [user.name for user in users()])
def test_everybody_keeps_offsets_in_a_group_of_their_own_alone(user: str, cluster: Cluster) -> None:
    readable = min(
        (name for name, operations in allowed(cluster, user).items() if "READ" in operations), default="none"
    )
    groups = (*SERVICES, "data-team.reports", "connect-reports", "somebody-elses")
    # Until the broker has made its own topic of offsets, it refuses everybody.
    until(lambda: all(commits(cluster.administrator, group, "booking.rooms.v1") for group in groups), seconds=60)
    kept = {group for group in groups if commits(cluster.connection(user), group, readable)}
    tools = {"data-team": "data-team.reports", "connect": "connect-reports"}
    assert kept == {user} & set(SERVICES) | ({tools[user]} if user in tools else set())


def test_the_command_changes_only_what_is_missing_and_revokes_on_request(cluster: Cluster) -> None:
    assert cluster.told("make_users.py") == ["passwords set: none", "rights granted: 0, revoked: 0"]
    with closing(KafkaAdminClient(**cluster.administrator.arguments())) as client:
        client.create_acls([as_acl("User:credits", Right("topic", "booking.sessions.v1", "Write"))])
    surplus = "not needed (--revoke takes it away): User:credits: allow write topic booking.sessions.v1 from *"
    assert cluster.told("make_users.py") == ["passwords set: none", "rights granted: 0, revoked: 0", surplus]
    assert allowed(cluster, "credits")["booking.sessions.v1"] == READ | WRITE
    assert cluster.told("make_users.py", "--revoke") == ["passwords set: none", "rights granted: 0, revoked: 1"]
    assert allowed(cluster, "credits")["booking.sessions.v1"] == READ


def test_a_changed_password_counts_from_the_next_connection_on(cluster: Cluster, tmp_path: Path) -> None:
    old = cluster.connection("data-team")
    (tmp_path / "data-team").write_text(PASSWORD[::-1])
    assert cluster.told("make_users.py", "--passwords", str(tmp_path))[0] == "passwords set: data-team"
    with pytest.raises(KafkaError), closing(KafkaAdminClient(**old.arguments(), bootstrap_timeout_ms=1000)):
        """Not reached."""
    with closing(KafkaAdminClient(**replace(old, password=PASSWORD[::-1]).arguments())) as client:
        assert client.describe_topics(["booking.sessions.v1"])
    cluster.told("make_users.py", "--passwords", str(cluster.passwords))


def test_the_command_says_what_is_wrong(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "weak").mkdir()
    (tmp_path / "weak" / "booking").write_text("booking-password")
    (tmp_path / "empty").mkdir()
    for options, says in (
        (["--passwords", str(tmp_path / "weak")], "the secret is easy to guess"),
        (["--passwords", str(tmp_path / "empty")], "name the files after the users: booking, availability"),
        (["--principal", "User:everybody"], "--principal must contain {user}"),
    ):
        refused = cluster.job("make_users.py", *options)
        assert (refused.returncode, says in refused.stderr) == (2, True), refused.stderr
    ordinary = {"KAFKA_SASL_USERNAME": "booking", "KAFKA_SASL_PASSWORD": cluster.connection("booking").password}
    refused = cluster.job("make_users.py", **ordinary)
    assert (refused.returncode, "this login may not set rights" in refused.stderr) == (1, True), refused.stderr
    assert PASSWORD not in refused.stdout + refused.stderr

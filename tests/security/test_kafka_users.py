"""Rights on a real broker that refuses what nobody was granted: the command that sets them, and what each user then may."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, NoError
from makegood_chassis.kafka_connection import KafkaConnection
from makegood_contracts.kafka_users import users
from makegood_contracts.topics import EVENT_TOPICS, SERVICES, TOPICS
from makegood_stack import kafka
from makegood_stack.embedded import EmbeddedServers
from makegood_stack.ports import free_port
from makegood_testkit.certificates import Authority
from makegood_testkit.production import PASSWORD
from makegood_testkit.waiting import until

pytestmark = [pytest.mark.rule("SEC-7"), pytest.mark.slow]

ROOT = Path(__file__).parents[2]
ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Cluster:
    """A broker that checks rights, and a folder with the password of each user."""

    administrator: KafkaConnection
    passwords: Path

    def job(self, script: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs one of deploy/kafka's scripts as the administrator."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")},
            "MAKEGOOD_ENVIRONMENT": "production",
            "KAFKA_BOOTSTRAP_SERVERS": self.administrator.servers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": self.administrator.username,
            "KAFKA_SASL_PASSWORD": self.administrator.password,
            "KAFKA_SSL_CAFILE": self.administrator.ca_file,
            **variables,
        }
        command = [sys.executable, str(ROOT / "deploy/kafka" / script), *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def told(self, *options: str) -> list[str]:
        """The lines of make_users.py, which has to succeed."""
        done = self.job("make_users.py", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def password(self, user: str) -> str:
        return (self.passwords / user).read_text().strip()

    def connection(self, user: str) -> KafkaConnection:
        return replace(self.administrator, username=user, password=self.password(user))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """All users have their passwords and rights, all topics exist."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    passwords = tmp_path_factory.mktemp("passwords")
    for number, user in enumerate(users()):
        (passwords / user.name).write_text(f"{PASSWORD}{number}\n")
    protection = kafka.Protection(
        authority.issue(kafka.NAME).both, authority.file, free_port(), {ADMINISTRATOR: PASSWORD}, ADMINISTRATOR
    )
    login = KafkaConnection("", "SASL_SSL", username=ADMINISTRATOR, password=PASSWORD, ca_file=str(authority.file))
    with EmbeddedServers() as servers:
        made = Cluster(replace(login, servers=servers.kafka(protection, login).url), passwords)
        topics = made.job("make_topics.py")
        assert topics.returncode == 0, topics.stderr
        rights = sum(len(user.rights) for user in users())
        assert made.told("--passwords", str(passwords)) == [
            f"passwords set: {', '.join(user.name for user in users())}",
            f"rights granted: {rights}, revoked: 0",
        ]
        yield made


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
    letters = everything - events
    assert allowed(cluster, "auditor") == dict.fromkeys(everything, READ)
    assert allowed(cluster, "redrive") == dict.fromkeys(letters, READ) | dict.fromkeys(events, READ | WRITE)
    assert allowed(cluster, "data-team") == {name: READ for name in events if ".access." not in name}
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
    groups = (*SERVICES, "data-team.reports", "somebody-elses")
    # Until the broker has made its own topic of offsets, it refuses everybody.
    until(lambda: all(commits(cluster.administrator, group, "booking.rooms.v1") for group in groups), seconds=60)
    kept = {group for group in groups if commits(cluster.connection(user), group, readable)}
    assert kept == ({user} & set(SERVICES) | ({"data-team.reports"} if user == "data-team" else set()))


def test_the_command_changes_only_what_is_missing_and_revokes_on_request(cluster: Cluster) -> None:
    assert cluster.told() == ["passwords set: none", "rights granted: 0, revoked: 0"]
    with closing(KafkaAdminClient(**cluster.administrator.arguments())) as client:
        client.create_acls([_too_much()])
    surplus = "not needed (--revoke takes it away): User:credits: allow write topic booking.sessions.v1 from *"
    assert cluster.told() == ["passwords set: none", "rights granted: 0, revoked: 0", surplus]
    assert allowed(cluster, "credits")["booking.sessions.v1"] == READ | WRITE
    assert cluster.told("--revoke") == ["passwords set: none", "rights granted: 0, revoked: 1"]
    assert allowed(cluster, "credits")["booking.sessions.v1"] == READ


def _too_much() -> Any:
    from makegood_contracts.kafka_users import Right
    from makegood_stack.kafka_users import _acl

    return _acl("User:credits", Right("topic", "booking.sessions.v1", "Write"))


def test_a_changed_password_counts_from_the_next_connection_on(cluster: Cluster, tmp_path: Path) -> None:
    old = cluster.connection("data-team")
    (tmp_path / "data-team").write_text(PASSWORD[::-1])
    assert cluster.told("--passwords", str(tmp_path))[0] == "passwords set: data-team"
    with pytest.raises(KafkaError), closing(KafkaAdminClient(**old.arguments(), bootstrap_timeout_ms=1000)):
        """Not reached."""
    with closing(KafkaAdminClient(**replace(old, password=PASSWORD[::-1]).arguments())) as client:
        assert client.describe_topics(["booking.sessions.v1"])
    cluster.told("--passwords", str(cluster.passwords))


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
    ordinary = {"KAFKA_SASL_USERNAME": "booking", "KAFKA_SASL_PASSWORD": cluster.password("booking")}
    refused = cluster.job("make_users.py", **ordinary)
    assert (refused.returncode, "this login may not set rights" in refused.stderr) == (1, True), refused.stderr
    assert PASSWORD not in refused.stdout + refused.stderr

"""A real broker behind TLS that refuses what nobody was granted, set up by the commands that operators run."""

from __future__ import annotations

import io
import os
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from makegood_chassis.kafka_connection import KafkaConnection
from makegood_contracts.kafka_users import users
from makegood_stack import kafka
from makegood_stack.embedded import EmbeddedServers
from makegood_stack.ports import free_port
from makegood_testkit.certificates import Authority
from makegood_testkit.production import PASSWORD

ROOT = Path(__file__).parents[2]
ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Cluster:
    """The broker, with its administrator, its port for certificates, and a folder with the password of each user."""

    administrator: KafkaConnection
    certificates_port: int
    passwords: Path

    def job(self, script: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs one of deploy/kafka's scripts as the administrator, in this process: starting another takes seconds."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")},
            "MAKEGOOD_ENVIRONMENT": "production",
            **self.variables(ADMINISTRATOR),
            **variables,
        }
        command = [str(ROOT / "deploy/kafka" / script), *options]
        code, out, err = 0, io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(sys, "argv", command),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                runpy.run_path(command[0], run_name="__main__")
            except SystemExit as end:
                code = int(end.code or 0)
        return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())

    def told(self, script: str, *options: str) -> list[str]:
        """The lines of a script that has to succeed."""
        done = self.job(script, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def variables(self, user: str) -> dict[str, str]:
        """The settings with which this user connects."""
        connection = self.connection(user)
        return {
            "KAFKA_BOOTSTRAP_SERVERS": connection.servers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": connection.password,
            "KAFKA_SSL_CAFILE": connection.ca_file,
        }

    def connection(self, user: str) -> KafkaConnection:
        if user == ADMINISTRATOR:
            return self.administrator
        return replace(self.administrator, username=user, password=(self.passwords / user).read_text().strip())


def start_cluster(servers: EmbeddedServers, authority: Authority, passwords: Path) -> Cluster:
    """Starts the broker, and makes its topics and users."""
    for number, user in enumerate(users()):
        (passwords / user.name).write_text(f"{PASSWORD}{number}\n")
    port = free_port()
    keys = authority.issue(kafka.NAME).both
    protection = kafka.Protection(keys, authority.file, port, {ADMINISTRATOR: PASSWORD}, ADMINISTRATOR)
    login = KafkaConnection("", "SASL_SSL", username=ADMINISTRATOR, password=PASSWORD, ca_file=str(authority.file))
    cluster = Cluster(replace(login, servers=servers.kafka(protection, login).url), port, passwords)
    assert cluster.told("make_users.py", "--passwords", str(passwords)) == [
        f"passwords set: {', '.join(user.name for user in users())}",
        f"rights granted: {sum(len(user.rights) for user in users())}, revoked: 0",
    ]
    topics = cluster.job("make_topics.py", **cluster.variables("makegood-topics"))
    assert topics.returncode == 0, topics.stderr
    return cluster

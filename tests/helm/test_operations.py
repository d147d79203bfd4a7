"""The command `makegood` finds, with what the chart gives it, the servers and logins that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from makegood_chassis.kafka_connection import KafkaConnection
from makegood_stack.config import Choices, Stack
from makegood_stack.home import Home, find_root
from makegood_stack.ports import SERVICES
from makegood_testkit.certificates import Authority

from .conftest import named, pods
from .test_pods import FOLDER, environment

OPERATIONS = [(values, name) for values in ("small", "production") for name in sorted(named(values, "CronJob"))]
JOBS = {"audit": {"auditor"}, "backup": {"owner"}, "console": {"", "owner", "pruner", "auditor"}}
"""Which logins of each database."""


def variable(service: str, job: str) -> str:
    return f"{service.upper()}_{job.upper() + '_' if job else ''}DATABASE_URL"


@pytest.mark.parametrize(("values", "name"), OPERATIONS)
def test_the_command_finds_its_servers_and_has_its_logins(
    values: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = pods(values)[name]
    given = {each: value.replace(FOLDER, f"{tmp_path}/") for each, value in environment(pod).items()}
    authority = Authority(tmp_path / "authority").file.read_text()
    for volume in pod["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            for item in (source.get("secret") or source["configMap"])["items"]:
                path = tmp_path / volume["name"] / item["path"]
                path.parent.mkdir(exist_ok=True)
                path.write_text(f"of-{item['path']}-9Qx" if volume["name"] == "secrets" else authority)
    for each, value in given.items():
        monkeypatch.setenv(each, value)
    stack = Stack.of(Home(find_root(), tmp_path / "state"), Choices())
    assert not stack.is_embedded("kafka")
    assert not stack.is_embedded("postgresql")
    secrets = {each.removesuffix("_FILE") for each in given if each.endswith("_FILE") and each != "JWKS_CA_FILE"}
    logins = {variable(service, job) for service in SERVICES for job in JOBS[name]}
    assert {each for each in secrets if each.endswith("_DATABASE_URL")} == logins
    for service in SERVICES:
        for job in JOBS[name]:
            assert stack.database_url(service, job) == f"of-{variable(service, job)}-9Qx"
    if values == "small":
        assert secrets == logins
        return
    users = {"": "auditor", "redrive": "redrive" if name == "console" else "auditor"}
    for job, user in users.items():
        connection = stack.kafka_as(job)
        assert isinstance(connection, KafkaConnection)
        password = "KAFKA_REDRIVE_SASL_PASSWORD" if user == "redrive" else "KAFKA_SASL_PASSWORD"
        assert (connection.username, connection.password) == (user, f"of-{password}-9Qx")
        assert connection.protocol == "SASL_SSL"
    assert secrets == logins | {"KAFKA_SASL_PASSWORD"} | (
        {"KAFKA_REDRIVE_SASL_PASSWORD"} if name == "console" else set()
    )


def test_a_console_is_never_started_by_a_clock_and_ends_by_itself() -> None:
    console = named("production", "CronJob")["console"]["spec"]
    assert console["suspend"] is True
    assert console["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 3660
    for name in ("audit", "backup"):
        job = named("production", "CronJob")[name]["spec"]
        assert "suspend" not in job
        assert job["concurrencyPolicy"] == "Forbid"

"""In production no service starts with a login that stands above its walls: a superuser, or an owner of its tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from makegood_stack.ports import free_ports
from makegood_testkit.certificates import Authority
from makegood_testkit.databases import Databases
from makegood_testkit.production import PASSWORD, production_environment
from makegood_testkit.waiting import until

pytestmark = [pytest.mark.rule("SEC-7"), pytest.mark.slow]

KINDS = {
    "superuser": "SUPERUSER",
    "owner": "IN ROLE credits_owner",
    "runtime": "IN ROLE credits",
    "pruner": "IN ROLE credits_pruner",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def logins(databases: Databases, postgres_admin: str) -> AsyncIterator[Mapping[str, str]]:
    """Kind → address of a migrated database of credits, with a login that has what this kind has."""
    database = await databases.make("credits")
    # Elsewhere production asks for TLS; a container's port is published on the loopback too.
    where = f"127.0.0.1:{urlsplit(database).port}{urlsplit(database).path}"
    names = {kind: f"{kind}_{uuid4().hex[:8]}" for kind in KINDS}
    admin = await asyncpg.connect(postgres_admin)
    try:
        for kind, rights in KINDS.items():
            await admin.execute(f"CREATE ROLE {names[kind]} LOGIN PASSWORD '{PASSWORD}' {rights}")
        yield {kind: f"postgresql://{name}:{PASSWORD}@{where}" for kind, name in names.items()}
        await databases.drop(database)
        for name in names.values():
            await admin.execute(f"DROP ROLE {name}")
    finally:
        await admin.close()


def environment(tmp_path: Path, url: str, pruner: str) -> dict[str, str]:
    """Production, with the database and nothing else within reach."""
    authority = Authority(tmp_path / "authority")
    http, probes = free_ports(2)
    return production_environment("credits", authority.file) | {
        "PATH": os.environ["PATH"],
        "CREDITS_DATABASE_URL": url,
        "CREDITS_PRUNER_DATABASE_URL": pruner,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "REDIS_URL": "",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "HTTP_PORT": str(http),
        "PROBE_PORT": str(probes),
    }


@pytest.mark.parametrize(
    ("role", "kind", "pruner", "says"),
    [
        ("serve", "superuser", "pruner", "is a superuser"),
        ("serve", "owner", "pruner", "owns"),
        ("work", "superuser", "pruner", "is a superuser"),
        ("all", "owner", "pruner", "owns"),
        ("work", "runtime", "owner", "owns"),
        ("all", "runtime", "superuser", "is a superuser"),
    ],
)
def test_a_login_above_the_walls_is_refused(
    role: str, kind: str, pruner: str, says: str, logins: Mapping[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "makegood_credits", role]
    values = environment(tmp_path, logins[kind], logins[pruner])
    process = subprocess.Popen(command, env=values, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        told = process.communicate(timeout=60)[1].splitlines()[-1]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 2
    assert told.startswith("CREDITS_DATABASE_URL: " if kind != "runtime" else "CREDITS_PRUNER_DATABASE_URL: ")
    assert says in told
    assert PASSWORD not in told


def test_borrowed_rights_do_not_hide_the_login(logins: Mapping[str, str], tmp_path: Path) -> None:
    """`role` in the address changes the current user, who can change back at any time."""
    command = [sys.executable, "-m", "makegood_credits", "serve"]
    values = environment(tmp_path, logins["superuser"] + "?role=credits", logins["pruner"])
    done = subprocess.run(command, env=values, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "is a superuser" in done.stderr) == (2, True)


def test_a_pooler_without_its_settings_is_refused_with_the_line_that_is_missing(
    logins: Mapping[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "makegood_credits", "serve"]
    values = environment(tmp_path, logins["runtime"], logins["pruner"])
    values["CREDITS_DIRECT_DATABASE_URL"] = logins["runtime"]
    done = subprocess.run(command, env=values, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "SET plan_cache_mode = force_generic_plan" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("role", ["serve", "work"])
def test_the_services_own_logins_are_accepted(role: str, logins: Mapping[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "makegood_credits", role]
        values = environment(tmp_path, logins["runtime"], logins["pruner"])
        process = subprocess.Popen(command, env=values, stdout=output, stderr=subprocess.STDOUT)
        try:
            until(lambda: process.poll() is not None or b'"started"' in log.read_bytes(), seconds=60)
            assert process.poll() is None, log.read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()

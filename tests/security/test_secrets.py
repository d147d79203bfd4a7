"""No secret shows, whatever goes wrong: canaries in every secret setting of every service, looked for in all that it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from makegood_chassis.checked_settings import advice
from makegood_chassis.secret_files import is_secret, variable
from makegood_stack.ports import SERVICES, free_port
from makegood_testkit.certificates import Authority
from makegood_testkit.production import production_environment
from makegood_testkit.settings_table import SETTINGS
from makegood_testkit.waiting import until
from pydantic import ValidationError

CANARY = "Gr4ssh0pper"
PASSWORD = f"{CANARY}-vT2qLm7_Rb4wZc"


def secrets(service: str) -> list[str]:
    """The variables of a service that hold secrets."""
    return [variable(name, info) for name, info in SETTINGS[service].model_fields.items() if is_secret(info)]


def test_every_service_has_secrets_to_look_for() -> None:
    for service in SERVICES:
        assert {f"{service.upper()}_DATABASE_URL", "REDIS_URL", "KAFKA_SASL_PASSWORD"} <= set(secrets(service))
    assert {"STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"} <= set(secrets("credits"))
    assert {"SMTP_PASSWORD", "WHATSAPP_TOKEN"} <= set(secrets("notifications"))


def bad_values(name: str) -> Iterator[str]:
    """What people write by mistake, a secret in it."""
    yield CANARY
    yield PASSWORD + "\n"
    if name.endswith("URL"):
        kind = "rediss" if name.startswith("REDIS") else "postgresql"
        yield f"{kind}://me:{CANARY}/and-more@db.example.org/d"
        yield f"{kind}://me:{CANARY}#and-more@db.example.org/d"
        yield f"{kind}://me:{CANARY}@and-more@db.example.org/d"
        yield f"{kind}://me:x@db.example.org:{CANARY}/d"
        yield f"{kind}://[{CANARY}/d"
        yield f"mysql://me:{CANARY}@db.example.org/d"
        yield f"{kind}://me:{CANARY}@db.example.org/d"


@pytest.mark.parametrize("environment", ["development", "production"])
@pytest.mark.parametrize("service", SERVICES)
def test_refusals_show_no_secret(
    service: str, environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = production_environment(service, Authority(tmp_path).file)
    refused = 0
    for name in secrets(service):
        for value in bad_values(name):
            with monkeypatch.context() as patched:
                for key, good in {**values, name: value, "MAKEGOOD_ENVIRONMENT": environment}.items():
                    patched.setenv(key, good)
                try:
                    told = [repr(SETTINGS[service]())]
                except ValidationError as error:
                    refused += 1
                    told = [advice(SETTINGS[service], error), repr(error), *traceback.format_exception(error)]
                assert CANARY not in "".join(told), name
    assert refused > 5


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_with_bad_secrets_says_which_and_shows_none(service: str) -> None:
    values = {"PATH": os.environ["PATH"], "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "JWKS_URL": "https://x.example.org"}
    values |= dict.fromkeys(secrets(service), CANARY)
    command = [sys.executable, "-m", f"makegood_{service}", "all"]
    done = subprocess.run(command, env=values, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"{service.upper()}_DATABASE_URL: " in done.stderr
    assert CANARY not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("role", ["all", "migrate"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_process_whose_servers_refuse_it_shows_no_secret(
    service: str, role: str, postgres_admin: str, tmp_path: Path
) -> None:
    """Well-formed secrets that PostgreSQL refuses, and servers that nobody finds; at the most talkative level of the log."""
    values = _development(service, postgres_admin, Authority(tmp_path / "authority"))
    log = tmp_path / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", f"makegood_{service}", role]
        process = subprocess.Popen(command, env=values, stdout=output, stderr=subprocess.STDOUT)
        try:
            if role == "migrate":
                assert process.wait(60) == 1
            else:
                until(lambda: process.poll() is not None or b"cannot start" in log.read_bytes(), seconds=60)
                assert process.poll() is None
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
    text = log.read_text()
    assert "InvalidPassword" in text
    assert CANARY not in text


def _development(service: str, admin: str, authority: Authority) -> dict[str, str]:
    where = re.sub(r".*@([^/?]*).*", r"\1", admin)
    port = free_port()
    values = production_environment(service, authority.file) | {
        "PATH": os.environ["PATH"],
        "MAKEGOOD_ENVIRONMENT": "development",
        "LOG_LEVEL": "DEBUG",
        "HTTP_PORT": str(port),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "REDIS_URL": f"rediss://me:{PASSWORD}@127.0.0.1:1/0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
    }
    values |= {name: PASSWORD for name in secrets(service) if name.startswith(("SMTP", "WHATSAPP", "STRIPE"))}
    return values | {
        name: f"postgresql://postgres:{PASSWORD}@{where}/postgres" for name in secrets(service) if "DATABASE" in name
    }

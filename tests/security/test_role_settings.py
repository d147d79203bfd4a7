"""A process in production needs what its role uses, and starts without the rest."""

from __future__ import annotations

import pytest
from makegood_chassis.checked_settings import advice
from makegood_chassis.roles import EVERY, ROLE, roles_of
from makegood_chassis.secret_files import is_secret, variable
from makegood_stack.ports import SERVICES
from makegood_testkit.certificates import Authority
from makegood_testkit.production import PASSWORD, production_environment
from makegood_testkit.settings_table import SETTINGS
from pydantic import ValidationError

OPTIONAL = {"REDIS_URL", "WHATSAPP_URL", "CLIENT_APP_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""Without them, a process does less."""
OTHERWISE = {"KAFKA_SASL_USERNAME", "KAFKA_SECURITY_PROTOCOL", "SMTP_PORT", "SMTP_TLS"}
"""Without them, another variable is refused."""


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Authority:
    for name in ("REDIS_URL", "JWKS_URL", "DATA_KEYS"):
        monkeypatch.delenv(name, raising=False)
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("role", EVERY)
@pytest.mark.parametrize("service", SERVICES)
def test_a_role_needs_what_it_uses_and_nothing_else(
    service: str, role: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {variable(name, info): info for name, info in SETTINGS[service].model_fields.items()}
    owner = {f"{service.upper()}_OWNER_DATABASE_URL": f"postgresql://{service}_owner:{PASSWORD}@127.0.0.1/makegood"}
    complete = production_environment(service, authority.file) | owner
    used = {name: value for name, value in complete.items() if role in roles_of(fields[name])}
    for name, value in used.items():
        monkeypatch.setenv(name, value)
    assert refusals(service, role) == set()
    demanded = {
        name
        for name in used
        if not name.endswith("_CAFILE") and not name.endswith("_CA_FILE") and name not in OPTIONAL | OTHERWISE
    } - {"PAYMENT_PROVIDER", "MAKEGOOD_ENVIRONMENT"}
    for name in sorted(demanded):
        with monkeypatch.context() as patched:
            patched.delenv(name)
            assert refusals(service, role) == {name}
    secrets = {name for name in used if is_secret(fields[name])}
    assert secrets <= demanded | OPTIONAL


def test_what_a_role_is_given_without_needing_it_must_be_possible(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in production_environment("booking", authority.file).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EVENT_SIGNING_KEY", "no key")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "kafka")
    assert refusals("booking", "serve") == {"EVENT_SIGNING_KEY", "KAFKA_SASL_PASSWORD"}


def refusals(service: str, role: str) -> set[str]:
    """The variables that a process of the service in this role refuses."""
    running = ROLE.set(role)
    try:
        SETTINGS[service]()
    except ValidationError as error:
        return {line.partition(":")[0] for line in advice(SETTINGS[service], error).splitlines()}
    finally:
        ROLE.reset(running)
    return set()

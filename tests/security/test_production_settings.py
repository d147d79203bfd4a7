"""Production accepts nothing of development: each unsafe value is refused at start with advice, and all of them together."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from makegood_chassis.checked_settings import advice
from makegood_chassis.roles import ROLE
from makegood_stack.ports import SERVICES
from makegood_testkit.certificates import Authority
from makegood_testkit.production import PASSWORD, production_environment
from makegood_testkit.settings_table import SETTINGS
from pydantic import ValidationError

DATABASE = "BOOKING_DATABASE_URL"
AWAY = "db.example.org:5432/makegood_booking"

# (service, variable that is refused, its value; None: not set, what the advice says)
FAULTS = [
    ("booking", "TOKEN_ISSUER", None, "is required"),
    ("booking", "TOKEN_ISSUER", "", "is required"),
    ("booking", "TOKEN_ISSUER", " ", "is required"),
    ("booking", "TOKEN_ISSUER", "x", "https://"),
    ("booking", "TOKEN_ISSUER", "http://identity.example.org", "https://"),
    ("booking", "TOKEN_ISSUER", " https://identity.example.org", "space"),
    ("booking", "TOKEN_ISSUER", "https://identity.makegood.invalid", "development issuer"),
    ("booking", "TOKEN_ISSUER", "https://identity.makegood.invalid/", "development issuer"),
    ("booking", "JWKS_URL", "http://identity.example.org/jwks.json", "https://"),
    ("booking", "JWKS_URL", "https://me:word@identity.example.org/jwks.json", "not contain a login"),
    ("booking", "JWKS_URL", "/nowhere/jwks.json", "No such file"),
    ("booking", "EVENT_SIGNING_KEY", None, "is required"),
    ("booking", "EVENT_SIGNING_KEY", "no key", "private key in PEM"),
    ("booking", "EVENT_KEYS_URL", None, "is required"),
    ("booking", "EVENT_KEYS_URL", "http://identity.example.org/event-keys.json", "https://"),
    ("booking", "EVENT_KEYS_URL", "/nowhere/event-keys.json", "No such file"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@{AWAY}", "verify-full"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@{AWAY}?sslmode=disable", "verify-full"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@{AWAY}?sslmode=prefer", "verify-full"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@{AWAY}?sslmode=require", "verify-full"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@{AWAY}?sslmode=verify-ca&sslrootcert=AUTHORITY", "verify-full"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@127.0.0.1,{AWAY}", "verify-full"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@{AWAY}?sslmode=verify-full", "sslrootcert"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@{AWAY}?sslmode=verify-full&sslrootcert=/nowhere.pem", "No such"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@/makegood?host=db.example.org", "verify-full"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@/makegood", "include the host"),
    ("booking", DATABASE, f"postgresql://booking:{PASSWORD}@127.0.0.1/makegood?service=other", "include the host"),
    ("booking", DATABASE, f"postgresql://booking@{AWAY}?sslmode=verify-full&sslrootcert=AUTHORITY", "must include a password"),
    ("booking", DATABASE, "postgresql://booking:secret@127.0.0.1/makegood_booking", "shorter than 12"),
    ("booking", DATABASE, "postgresql://booking:booking@127.0.0.1/makegood_booking", "shorter than 12"),
    ("booking", DATABASE, "postgresql://booking:Booking-Password-1@127.0.0.1/makegood_booking", "easy to guess"),
    ("booking", DATABASE, "postgresql://care:makegood_care2026@127.0.0.1/makegood_care", "easy to guess"),
    ("booking", DATABASE, "postgresql://booking:aaaaaaaaaaaaaaaaaaaa@127.0.0.1/makegood_booking", "easy to guess"),
    ("booking", DATABASE, "postgresql://booking@127.0.0.1/makegood_booking?password=secret", "shorter than 12"),
    ("booking", "REDIS_URL", f"redis://:{PASSWORD}@redis.example.org:6379/0", "rediss://"),
    ("booking", "REDIS_URL", "rediss://redis.example.org:6379/0", "must include a password"),
    ("booking", "REDIS_URL", "rediss://:redis-password@redis.example.org:6379/0", "easy to guess"),
    ("booking", "REDIS_URL", f"rediss://:{PASSWORD}@redis.example.org/0?ssl_cert_reqs=none", "verification of the server"),
    ("booking", "REDIS_URL", f"rediss://:{PASSWORD}@redis.example.org/0?ssl_check_hostname=False", "verification of the server"),
    ("booking", "REDIS_URL", f"rediss://:{PASSWORD}@r.example.org/0?ssl_cert_reqs=none&ssl_cert_reqs=required", "verification of"),
    ("booking", "KAFKA_SASL_PASSWORD", "kafka-secret-1", "easy to guess"),
    ("booking", "KAFKA_SASL_PASSWORD", None, "is required with"),
    ("booking", "PUBLIC_BASE_URL", None, "is required"),
    ("booking", "PUBLIC_BASE_URL", "http://api.example.org", "https://"),
    ("booking", "PUBLIC_BASE_URL", "", "is required"),
    ("booking", DATABASE, None, "is required: set it, or BOOKING_DATABASE_URL_FILE"),
    ("booking", "KAFKA_BOOTSTRAP_SERVERS", None, "is required: set it"),
    ("booking", "JWKS_URL", None, "is required: set it"),
    ("booking", "KAFKA_BOOTSTRAP_SERVERS", "", "must not be empty"),
    ("booking", "JWKS_URL", "", "must not be empty"),
    ("booking", "TOKEN_AUDIENCE", "", "must not be empty"),
    ("credits", "STRIPE_API_BASE", "", "must not be empty"),
    ("booking", "CLIENT_APP_URL", "http://app.example.org", "https://"),
    ("booking", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel.example.org:4318", "https://"),
    ("booking", "MAKEGOOD_MIGRATE", "1", "migrate"),
    ("booking", "LOG_LEVEL", "DEBUG", "INFO"),
    ("booking", "JOIN_LINK_KEY", None, "openssl"),
    ("booking", "JOIN_LINK_KEY", PASSWORD, "at least 32"),
    ("booking", "JOIN_LINK_KEY", "join-link-secret-join-link-secret-", "easy to guess"),
    ("credits", "PAYMENT_PROVIDER", "development", "stripe or none"),
    ("credits", "STRIPE_API_BASE", "https://api.stripe.com.example.org", "https://api.stripe.com"),
    ("credits", "STRIPE_API_BASE", "http://api.stripe.com", "https://api.stripe.com"),
    ("credits", "STRIPE_API_BASE", "https://api.stripe.com@example.org", "not contain a login"),
    ("credits", "STRIPE_SECRET_KEY", f"pk_live_{PASSWORD}", "sk_"),
    ("credits", "STRIPE_SECRET_KEY", None, "needs it"),
    ("credits", "STRIPE_WEBHOOK_SECRET", "whsec_secret", "openssl"),
    ("credits", "STRIPE_WEBHOOK_SECRET", PASSWORD, "whsec_"),
    ("notifications", "SMTP_HOST", None, "is required"),
    ("notifications", "SMTP_TLS", "none", "starttls"),
    ("notifications", "SMTP_PASSWORD", None, "both or neither"),
    ("notifications", "SMTP_PASSWORD", "mail-password-1", "easy to guess"),
    ("notifications", "MAIL_FROM", None, "is required"),
    ("notifications", "WHATSAPP_URL", "http://graph.facebook.com", "https://graph.facebook.com"),
    ("notifications", "WHATSAPP_URL", "https://graph.example.org", "https://graph.facebook.com"),
    ("notifications", "WHATSAPP_URL", "http://127.0.0.1:8025/whatsapp", "https://graph.facebook.com"),
    ("notifications", "WHATSAPP_TOKEN", "development", "shorter than 12"),
]  # fmt: skip


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def judge(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Judge:
    for name in list(os.environ):
        if re.match(r"KAFKA_|REDIS_|.*DATABASE|.*_FILE$", name):
            monkeypatch.delenv(name)
    return Judge(authority, monkeypatch)


class Judge:
    """Reads a service's settings from the good environment with changes; answers what was refused, by variable."""

    def __init__(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        self.authority = authority
        self._monkeypatch = monkeypatch

    def __call__(self, service: str, **changes: str | None) -> dict[str, str]:
        environment: dict[str, str | None] = {**production_environment(service, self.authority.file), **changes}
        for name, value in environment.items():
            if value is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, value.replace("AUTHORITY", str(self.authority.file)))
        try:
            SETTINGS[service]()
        except ValidationError as error:
            lines = advice(SETTINGS[service], error).splitlines()
            return dict(line.split(": ", 1) for line in lines)
        return {}


@pytest.mark.parametrize("service", SERVICES)
def test_a_good_environment_is_accepted(service: str, judge: Judge) -> None:
    assert judge(service) == {}


@pytest.mark.parametrize(("service", "variable", "value", "says"), FAULTS)
def test_production_refuses(service: str, variable: str, value: str | None, says: str, judge: Judge) -> None:
    refused = judge(service, **{variable: value})
    assert refused.keys() == {variable}
    assert says in refused[variable]
    assert PASSWORD not in refused[variable]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (DATABASE, f"postgresql://booking:{PASSWORD}@127.0.0.1/makegood_booking"),
        (DATABASE, f"postgresql://booking:{PASSWORD}@localhost/makegood_booking?sslmode=disable"),
        (DATABASE, f"postgresql://booking:{PASSWORD}@[::1]:5432/makegood_booking"),
        (DATABASE, "postgresql://booking@/makegood_booking?host=/var/run/postgresql"),
        (DATABASE, "postgresql://booking@%2Fvar%2Frun%2Fpostgresql/makegood_booking"),
        (DATABASE, f"postgresql://booking@{AWAY}?sslmode=verify-full&sslrootcert=AUTHORITY&sslcert=c&sslkey=k"),
        (DATABASE, f"postgresql://a:{PASSWORD}@db-1.example.org:5432,db-2.example.org:5432/m?sslmode=verify-full&sslrootcert=AUTHORITY"),
        ("REDIS_URL", ""),
        ("JWKS_URL", "http://127.0.0.1:8025/jwks.json"),
        ("JWKS_URL", "AUTHORITY"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
        ("CLIENT_APP_URL", ""),
    ],
)  # fmt: skip
def test_the_loopback_files_and_certificates_are_accepted(variable: str, value: str, judge: Judge) -> None:
    assert judge("booking", **{variable: value}) == {}


def test_redis_on_the_loopback_needs_no_tls(judge: Judge) -> None:
    assert judge("booking", REDIS_URL="redis://127.0.0.1:6379/0", REDIS_CA_FILE=None) == {}


@pytest.mark.parametrize("environment", ["development", "production"])
@pytest.mark.parametrize(
    ("variable", "says", "changes"),
    [
        ("REDIS_CA_FILE", "REDIS_URL without TLS", {"REDIS_URL": "redis://127.0.0.1:6379/0"}),
        ("JWKS_CA_FILE", "JWKS_URL and EVENT_KEYS_URL without TLS", {
            "JWKS_URL": "http://127.0.0.1:1/jwks", "EVENT_KEYS_URL": "http://127.0.0.1:1/keys", "JWKS_CA_FILE": "AUTHORITY"}),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_ENDPOINT without TLS", {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_CERTIFICATE": "AUTHORITY"}),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "No such file", {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere.pem"}),
        ("SMTP_CA_FILE", "uses no certificates", {
            "SMTP_HOST": "127.0.0.1", "SMTP_PORT": "26", "SMTP_TLS": "none", "SMTP_USERNAME": None, "SMTP_PASSWORD": None,
            "SMTP_CA_FILE": "AUTHORITY"}),
        ("SMTP_TLS", "use tls", {"SMTP_PORT": "465"}),
        ("SMTP_TLS", "use starttls", {"SMTP_TLS": "tls"}),
        ("SMTP_TLS", "use starttls", {"SMTP_TLS": "tls", "SMTP_PORT": "25"}),
    ],
)  # fmt: skip
def test_what_cannot_be_true_together_is_refused_everywhere(
    environment: str, variable: str, says: str, changes: dict[str, str | None], judge: Judge
) -> None:
    refused = judge("notifications", MAKEGOOD_ENVIRONMENT=environment, **changes)
    assert refused.keys() == {variable}
    assert says in refused[variable]


PLAIN_KAFKA = {
    "KAFKA_SECURITY_PROTOCOL": None,
    "KAFKA_SASL_USERNAME": None,
    "KAFKA_SASL_PASSWORD": None,
    "KAFKA_SSL_CAFILE": None,
}


def test_kafka_needs_protection_and_a_login_unless_it_is_on_the_loopback(judge: Judge) -> None:
    assert judge("booking", **PLAIN_KAFKA).keys() == {"KAFKA_SECURITY_PROTOCOL"}
    mixed = "127.0.0.1:9092,kafka.example.org:9092"
    assert judge("booking", **PLAIN_KAFKA, KAFKA_BOOTSTRAP_SERVERS=mixed).keys() == {"KAFKA_SECURITY_PROTOCOL"}
    assert judge("booking", **PLAIN_KAFKA, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9092,[::1]:9093") == {}
    in_the_clear = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SSL_CAFILE": None}
    assert judge("booking", **in_the_clear, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9092").keys() == {
        "KAFKA_SECURITY_PROTOCOL"
    }
    only_tls = {**PLAIN_KAFKA, "KAFKA_SECURITY_PROTOCOL": "SSL"}
    assert judge("booking", **only_tls).keys() == {"KAFKA_SSL_CERTFILE"}
    own = judge.authority.issue("booking")
    files = {"KAFKA_SSL_CERTFILE": str(own.certificate), "KAFKA_SSL_KEYFILE": str(own.key)}
    assert judge("booking", **(only_tls | files)) == {}


def test_mail_on_the_loopback_is_accepted_but_not_that_of_development(judge: Judge) -> None:
    relay = {"SMTP_HOST": "127.0.0.1", "SMTP_TLS": "none", "SMTP_USERNAME": None, "SMTP_PASSWORD": None}
    assert judge("notifications", **relay, SMTP_PORT="25") == {}
    assert judge("notifications", **relay, SMTP_PORT="1025").keys() == {"SMTP_PORT"}


def test_all_faults_come_together_even_beside_values_that_are_none(judge: Judge) -> None:
    """What an environment of development looks like to production, and an impossible number and a missing address beside."""
    refused = judge(
        "notifications",
        **PLAIN_KAFKA,
        NOTIFICATIONS_DATABASE_URL="postgresql://notifications:secret@postgres:5432/makegood_notifications",
        REDIS_URL="redis://redis:6379/0",
        JWKS_URL=None,
        TOKEN_ISSUER=None,
        PUBLIC_BASE_URL=None,
        CLIENT_APP_URL="http://127.0.0.1:8025",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://otel:4318",
        MAKEGOOD_MIGRATE="1",
        LOG_LEVEL="DEBUG",
        DATABASE_POOL="none",
        STOP_TIMEOUT="20",
        SMTP_HOST="mail",
        SMTP_TLS=None,
        SMTP_USERNAME=None,
        SMTP_PASSWORD=None,
        MAIL_FROM=None,
        WHATSAPP_URL="http://mail:8025/whatsapp",
        WHATSAPP_TOKEN="development",
    )
    assert refused.keys() == {
        "NOTIFICATIONS_DATABASE_URL", "REDIS_URL", "JWKS_URL", "TOKEN_ISSUER", "PUBLIC_BASE_URL", "CLIENT_APP_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT", "MAKEGOOD_MIGRATE", "LOG_LEVEL", "DATABASE_POOL", "STOP_TIMEOUT", "SMTP_TLS",
        "SMTP_USERNAME", "MAIL_FROM", "WHATSAPP_URL", "WHATSAPP_TOKEN", "KAFKA_SECURITY_PROTOCOL",
    }  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
def test_the_process_ends_with_exit_code_2_and_the_whole_list(service: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        f"{service.upper()}_DATABASE_URL": f"postgresql://{service}:secret@postgres/makegood_{service}?sslmode=disable",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "REDIS_URL": "redis://redis:6379/0",
        "JWKS_URL": "http://mail:8025/.well-known/jwks.json",
    }
    done = subprocess.run(
        [sys.executable, "-m", f"makegood_{service}", "all"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    told = {line.partition(":")[0] for line in done.stderr.splitlines()}
    assert {*environment, "KAFKA_SECURITY_PROTOCOL", "TOKEN_ISSUER", "PUBLIC_BASE_URL"} - told == {
        "PATH", "KAFKA_BOOTSTRAP_SERVERS"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "owner", "refused"),
    [("migrate", "booking_owner", False), ("migrate", "", True), ("migrate", "booking", True)]
    + [(role, owner, bool(owner)) for role in ("serve", "work", "all") for owner in ("", "booking_owner")],
)  # fmt: skip
def test_the_owner_of_the_tables_is_for_migrations_alone(role: str, owner: str, refused: bool, judge: Judge) -> None:
    told = as_role(judge, role, BOOKING_OWNER_DATABASE_URL=_booking_as(owner) if owner else None)
    assert told.keys() == ({"BOOKING_OWNER_DATABASE_URL"} if refused else set())


PRUNER = "BOOKING_PRUNER_DATABASE_URL"


@pytest.mark.parametrize(
    ("role", "pruner", "says"),
    [("serve", "", ""), ("serve", "booking", "a different login")]
    + [(role, "", "is required") for role in ("migrate", "work", "all")]
    + [(role, "booking", "a different login") for role in ("migrate", "work", "all")]
    + [("migrate", "booking_owner", "a different login"), ("work", "booking_pruner", "")],
)  # fmt: skip
def test_what_is_old_is_deleted_by_a_login_of_its_own(role: str, pruner: str, says: str, judge: Judge) -> None:
    """Otherwise the service's own login may delete rows of the access log and ids of handled events."""
    owner = _booking_as("booking_owner") if role == "migrate" else None
    told = as_role(
        judge, role, **{PRUNER: _booking_as(pruner) if pruner else None, "BOOKING_OWNER_DATABASE_URL": owner}
    )
    assert told.keys() == ({PRUNER} if says else set())
    assert says in told.get(PRUNER, "")


def test_a_login_counts_wherever_the_address_names_it(judge: Judge) -> None:
    elsewhere = f"postgresql://127.0.0.1/makegood_booking?user=booking&password={PASSWORD}"
    assert as_role(judge, "work", **{PRUNER: elsewhere}).keys() == {PRUNER}
    nobody = f"postgresql://127.0.0.1/makegood_booking?password={PASSWORD}"
    assert as_role(judge, "work", **{PRUNER: nobody}).keys() == {PRUNER}


def _booking_as(login: str) -> str:
    return f"postgresql://{login}:{PASSWORD}@127.0.0.1/makegood_booking"


def as_role(judge: Judge, role: str, **changes: str | None) -> dict[str, str]:
    """What a process of booking in this role is told."""
    running = ROLE.set(role)
    try:
        return judge("booking", **changes)
    finally:
        ROLE.reset(running)


def test_the_example_of_the_operators_guide_is_accepted(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's environment, read line by line, with files in place of those that it names."""
    guide = (Path(__file__).parents[2] / "docs/how-to/operators.md").read_text()
    match = re.search(r"## Run in production\n.*?```sh\n(.*?)```", guide, flags=re.DOTALL)
    assert match is not None
    example = dict(line.split("=", 1) for line in match[1].splitlines() if line and not line.startswith("#"))
    assert len(example) > 25
    folder = judge.authority.file.parent
    for name, value in list(example.items()):
        if name.endswith("_FILE") and "/run/secrets/" in value:
            (folder / name).write_text(_of_a_kind(name))
            example[name] = str(folder / name)
        else:
            example[name] = re.sub(r"/etc/makegood/[\w.-]+", str(judge.authority.file), value)
    for service in SERVICES:
        with monkeypatch.context() as patched:
            for name in production_environment(service, judge.authority.file):
                patched.delenv(name, raising=False)
            for name, value in example.items():
                patched.setenv(name, value)
            for role in ("serve", "work", "all"):
                running = ROLE.set(role)
                SETTINGS[service]()
                ROLE.reset(running)


def _of_a_kind(name: str) -> str:
    service = name.partition("_")[0].lower()
    if name.endswith("DATABASE_URL_FILE"):
        login = f"{service}_pruner" if "PRUNER" in name else service
        return f"postgresql://{login}:{PASSWORD}@127.0.0.1/makegood_{service}"
    if name == "REDIS_URL_FILE":
        return f"rediss://makegood:{PASSWORD}@redis.example.org:6379/0"
    if name == "DATA_KEYS_FILE":
        return production_environment("booking", Path())["DATA_KEYS"]
    if name == "JOIN_LINK_KEY_FILE":
        return PASSWORD * 2
    if name == "DATA_KEYS_FILE":
        return production_environment("booking", Path())["DATA_KEYS"]
    if name == "EVENT_SIGNING_KEY_FILE":
        return production_environment("booking", Path())["EVENT_SIGNING_KEY"]
    return {"STRIPE_SECRET_KEY_FILE": "sk_live_", "STRIPE_WEBHOOK_SECRET_FILE": "whsec_"}.get(name, "") + PASSWORD

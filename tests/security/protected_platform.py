"""The four services in production on one machine: every server is real, asks for TLS, and for a login of each service."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from makegood_devtools.client import Person
from makegood_devtools.event_keys import make_event_keys, private_key_file, public_keys_file
from makegood_stack.embedded import EmbeddedServers
from makegood_stack.packages import Programs
from makegood_stack.ports import SERVICES, free_port, free_ports
from makegood_testkit.certificates import Authority, Certificate
from makegood_testkit.collector import Collector
from makegood_testkit.identity import Identity
from makegood_testkit.production import PASSWORD, production_environment
from makegood_testkit.tls import documents, server_context, tls_before

from .kafka_cluster import ROOT, Cluster, start_cluster

ISSUER = "https://identity.example.org"
JOBS = ("", "_owner", "_pruner", "_auditor")


class Mails:
    """What the mail server took, from those who know the password."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append(envelope.content)
        return "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"care", PASSWORD.encode()))

    def subjects(self) -> list[str]:
        return [str(message_from_bytes(mail, policy=policy.default)["Subject"]) for mail in self.taken]


@dataclass
class Token:
    """A login that the client of the development tools takes: a token of the tests' identity provider."""

    identity: Identity
    role: str
    subject: str

    @property
    def token(self) -> str:
        now = int(datetime.now(UTC).timestamp())
        return self.identity.token(self.subject, self.role, iss=ISSUER, iat=now, jti=f"{self.subject}-{now}")


@dataclass
class Protected:
    """The running platform, and everything that a test needs to look at it from outside."""

    authority: Authority
    cluster: Cluster
    database_port: int
    redis_port: int
    mails: Mails
    traces: Collector
    identity: Identity
    clock_file: Path
    folder: Path
    ports: Mapping[str, tuple[int, int]]
    common: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def database_url(self, service: str, job: str = "", *, database: str = "") -> str:
        where = f"127.0.0.1:{self.database_port}/makegood_{database or service}"
        return f"postgresql://{service}{job}:{PASSWORD}@{where}?sslmode=verify-full&sslrootcert={self.authority.file}"

    def redis_url(self, service: str) -> str:
        return f"rediss://{service}:{PASSWORD}@127.0.0.1:{self.redis_port}/0"

    def environment(self, service: str) -> dict[str, str]:
        """As in the guide for operators, with the servers of this machine."""
        http, probes = self.ports[service]
        name = service.upper()
        values = production_environment(service, self.authority.file) | dict(self.common)
        values |= {
            f"{name}_DATABASE_URL": self.database_url(service),
            f"{name}_PRUNER_DATABASE_URL": self.database_url(service, "_pruner"),
            "REDIS_URL": self.redis_url(service),
            "EVENT_SIGNING_KEY": private_key_file(self.folder / "event-keys", service).read_text(),
            "HTTP_PORT": str(http),
            "PROBE_PORT": str(probes),
            "PATH": os.environ["PATH"],
            "CLOCK_FILE": str(self.clock_file),
            **self._kafka(service),
        }
        # A payment provider and WhatsApp are reached at their own addresses only.
        values |= {"PAYMENT_PROVIDER": "none"} if service == "credits" else {}
        without = (
            "STRIPE_SECRET_KEY",
            "STRIPE_WEBHOOK_SECRET",
            "WHATSAPP_URL",
            "WHATSAPP_PHONE_NUMBER_ID",
            "WHATSAPP_TOKEN",
        )
        return {name: value for name, value in values.items() if name not in without}

    def _kafka(self, service: str) -> dict[str, str]:
        """Credits shows a certificate, the others know a password."""
        if service != "credits":
            return self.cluster.variables(service)
        own = self.authority.issue("credits", password=PASSWORD)
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.cluster.certificates_port}",
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SASL_USERNAME": "",
            "KAFKA_SASL_PASSWORD": "",
            "KAFKA_SSL_CERTFILE": str(own.certificate),
            "KAFKA_SSL_KEYFILE": str(own.key),
            "KAFKA_SSL_KEY_PASSWORD": PASSWORD,
        }

    def migrate(self) -> None:
        """Each service's own migrations, as jobs with the owner's login."""
        running = []
        for service in SERVICES:
            owner = {f"{service.upper()}_OWNER_DATABASE_URL": self.database_url(service, "_owner")}
            command = [sys.executable, "-m", f"makegood_{service}", "migrate"]
            environment = self.environment(service) | owner
            running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        for job in running:
            said, _ = job.communicate(timeout=120)
            assert job.returncode == 0, said.decode()

    def start(self) -> None:
        for service in SERVICES:
            command = [sys.executable, str(Path(__file__).with_name("clocked_service.py")), service, "all"]
            with (self.folder / f"{service}.log").open("wb") as log:
                self.processes[service] = subprocess.Popen(
                    command, env=self.environment(service), stdout=log, stderr=subprocess.STDOUT
                )

    def ready(self, service: str) -> bool:
        """Whether a process is ready. Fails the test if it has ended."""
        assert self.processes[service].poll() is None, (self.folder / f"{service}.log").read_text()[-3000:]
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[service][1]}/readyz", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def person(self, role: str, subject: str, service: str) -> Person:
        """Somebody who speaks to one service."""
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.ports[service][0]}", timeout=40, trust_env=False)
        login: Any = Token(self.identity, role, subject)
        return Person(client, login)

    def move_clock(self, by: timedelta) -> None:
        ahead = float(self.clock_file.read_text()) + by.total_seconds()
        fresh = self.clock_file.with_suffix(".part")
        fresh.write_text(str(ahead))
        fresh.replace(self.clock_file)


@contextmanager
def protected_platform(folder: Path) -> Iterator[Protected]:
    """Starts servers, makes databases, topics and users as the guide for operators says, and starts the services."""
    with ExitStack() as stack:
        # Outside of pytest's folder, which every run of pytest closes to other users, and PostgreSQL may be one.
        place = Path(stack.enter_context(TemporaryDirectory(prefix="makegood-test-")))
        place.chmod(0o711)
        authority = Authority(place)
        shown = authority.issue("server")
        servers = stack.enter_context(EmbeddedServers())
        (folder / "passwords").mkdir()
        cluster = start_cluster(servers, authority, folder / "passwords")
        plain = servers.redis(dict.fromkeys(SERVICES, PASSWORD))
        redis_port = stack.enter_context(tls_before(plain.port, shown))
        database_port = _start_postgresql(servers, authority, place)
        identity = Identity(folder / "jwks.json")
        make_event_keys(folder / "event-keys")
        published = {
            "/jwks.json": identity.path.read_bytes(),
            "/event-keys.json": public_keys_file(folder / "event-keys").read_bytes(),
        }
        keys = stack.enter_context(documents(published, shown))
        traces = stack.enter_context(Collector(server_context(shown)))
        mails = Mails()
        mail_port = stack.enter_context(_mail_server(mails, shown))
        (folder / "clock").write_text("0")
        ports = iter(free_ports(2 * len(SERVICES)))
        common = {
            "TOKEN_ISSUER": ISSUER,
            "JWKS_URL": f"{keys}/jwks.json",
            "JWKS_CA_FILE": str(authority.file),
            "EVENT_KEYS_URL": f"{keys}/event-keys.json",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(mail_port),
            "SMTP_CA_FILE": str(authority.file),
            "OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint,
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.file),
        }
        platform = Protected(
            authority, cluster, database_port, redis_port, mails, traces, identity, folder / "clock", folder,
            {service: (next(ports), next(ports)) for service in SERVICES}, common,
        )  # fmt: skip
        platform.migrate()
        stack.callback(platform.stop)
        platform.start()
        yield platform


def _start_postgresql(servers: EmbeddedServers, authority: Authority, folder: Path) -> int:
    """A server that takes only connections with TLS and a password, with the databases that the script makes."""
    own = authority.issue("postgres")
    rules = folder / "pg_hba.conf"
    rules.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    _let_postgresql_read(own.key, rules)
    settings = {
        "ssl": "on",
        "ssl_cert_file": str(own.certificate),
        "ssl_key_file": str(own.key),
        "hba_file": str(rules),
    }
    server = servers.postgres(settings)
    logins = {f"{service}{job}".upper() + "_PASSWORD": PASSWORD for service in SERVICES for job in JOBS}
    programs: Programs = servers.programs
    environment = {
        "PATH": f"{programs.postgres / 'bin'}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PGPASSWORD": "secret",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(authority.file),
        **logins,
    }
    script = ["bash", str(ROOT / "deploy/postgres/databases.sh")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return server.port


def _let_postgresql_read(*files: Path) -> None:
    """PostgreSQL started by root runs as somebody else, and takes no key that others may read."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for file in files:
            os.chown(file, nobody.pw_uid, nobody.pw_gid)


@contextmanager
def _mail_server(mails: Mails, shown: Certificate) -> Iterator[int]:
    """It takes nothing before STARTTLS and a login."""
    controller = Controller(
        mails, "127.0.0.1", free_port(), tls_context=server_context(shown), require_starttls=True,
        authenticator=mails.login, auth_required=True, auth_require_tls=True,
    )  # fmt: skip
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()

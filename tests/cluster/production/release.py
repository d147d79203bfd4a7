"""A release with values-production.yaml, on servers that ask everybody for TLS and a login."""

from __future__ import annotations

import base64
import secrets
import ssl
import string
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from makegood_contracts.kafka_users import users
from makegood_devtools.client import Person
from makegood_devtools.event_keys import make_event_keys, private_key_file, public_keys_file
from makegood_stack import postgres, redis
from makegood_stack.ports import SERVICES, free_ports
from makegood_testkit.certificates import Authority, Certificate
from makegood_testkit.identity import Identity
from makegood_testkit.waiting import until

from ..forwards import Forward, forwarded
from ..kube import Cluster, config_map, secret
from ..operations import volume_claim
from ..release import CHART
from ..servers import JOBS, ROOT

HERE = Path(__file__).parent
VALUES = CHART / "values-production.yaml"
CLOCKED = ROOT / "tests" / "security" / "clocked_service.py"
ISSUER = "https://identity.example.org"
BROKER = "makegood-kafka-bootstrap"
DATABASE = "makegood-postgresql-rw"
LAST = "booking"
"""Its clock is moved last: an event from the future would be refused."""


def word() -> str:
    return secrets.token_urlsafe(24)


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
class Production:
    """The release, in the namespace of `cluster`. `folder` has what it is made of."""

    cluster: Cluster
    folder: Path
    tag: str
    gateway_port: int
    outside_port: int
    logins: dict[str, str] = field(
        default_factory=lambda: {
            name: word()
            for name in (
                "superuser",
                "administrator",
                redis.LOGIN,
                "smtp",
                *_database_logins(),
                *(u.name for u in users()),
            )
        },
        repr=False,
    )

    @cached_property
    def authority(self) -> Authority:
        return Authority(self.folder / "authority")

    @cached_property
    def identity(self) -> Identity:
        return Identity(self.folder / "jwks.json")

    def prepare(self) -> None:
        """Starts the servers, and makes every Secret and ConfigMap that the values name."""
        make_event_keys(self.folder / "event-keys")
        self._start_servers()
        authority = self.authority.file.read_text()
        published = public_keys_file(self.folder / "event-keys")
        self.cluster.apply(
            config_map("makegood-authority", {"ca.crt": authority}),
            config_map("makegood-event-keys", {"event-keys.json": published.read_text()}),
            config_map("clock", {CLOCKED.name: CLOCKED.read_text()}),
            secret("makegood-postgresql-ca", {"ca.crt": authority}),
            secret("makegood-cluster-ca-cert", {"ca.crt": authority}),
            secret("makegood-shared", {"data-keys": f"test:{base64.b64encode(secrets.token_bytes(32)).decode()}"}),
            *(secret(f"makegood-{service}", self._secrets_of(service)) for service in SERVICES),
            *(secret(user.name, {"password": self.logins[user.name]}) for user in users()),
            volume_claim("makegood-backups"),
        )
        self.cluster.rolled_out("statefulset/postgresql", "statefulset/kafka", "deployment/redis", "deployment/outside")
        self._make_databases()
        self.cluster.wait("job/kafka-users-and-topics", "condition=Complete")

    def _start_servers(self) -> None:
        authority = self.authority.file.read_text()
        names = {"NAMESPACE": self.cluster.namespace, "TOOLS_IMAGE": f"makegood-tools:{self.tag}"}
        kafka = self._shown("kafka", BROKER, f"{BROKER}.{self.cluster.namespace}.svc", "localhost")
        properties = string.Template((HERE / "server.properties").read_text()).substitute(names)
        locked = redis.configuration(self.logins[redis.LOGIN], Path("/data"), 0, "0.0.0.0")
        locked += "tls-port 6379\ntls-auth-clients no\n"
        locked += "tls-cert-file /secrets/certificate.pem\ntls-key-file /secrets/key.pem\n"
        rules = "local all all scram-sha-256\nhostssl all all all scram-sha-256\n"
        self.cluster.apply(
            secret("postgresql", {"superuser": self.logins["superuser"], "pg_hba.conf": rules, **self._tls(DATABASE)}),
            secret(
                "kafka",
                {
                    "server.properties": properties,
                    "kafka.pem": kafka.both.read_text(),
                    "authority.pem": authority,
                    "administrator": self.logins["administrator"],
                },
            ),
            secret("kafka-passwords", {user.name: self.logins[user.name] for user in users()}),
            secret("redis", {"redis.conf": locked, **self._tls("redis")}),
            secret(
                "outside",
                {
                    "outside.py": (HERE / "outside.py").read_text(),
                    "jwks.json": self.identity.path.read_text(),
                    "smtp-password": self.logins["smtp"],
                    **self._tls("outside"),
                },
            ),
            string.Template((HERE / "servers.yaml").read_text()).substitute(names),
        )

    def _shown(self, name: str, *names: str) -> Certificate:
        return self.authority.issue(name, names=names)

    def _tls(self, name: str) -> dict[str, str]:
        own = self._shown(name, name)
        return {"certificate.pem": own.certificate.read_text(), "key.pem": own.key.read_text()}

    def _secrets_of(self, service: str) -> dict[str, str]:
        jobs = {"database-url": "", **{f"{job}-database-url": job for job in postgres.JOBS}}
        return {
            **{key: self.database_url(service, job) for key, job in jobs.items()},
            "redis-url": f"rediss://{redis.LOGIN}:{self.logins[redis.LOGIN]}@redis:6379/0",
            "event-signing-key": private_key_file(self.folder / "event-keys", service).read_text(),
            "join-link-key": word() * 2,
            "stripe-secret-key": f"sk_live_{word()}",
            "stripe-webhook-secret": f"whsec_{word()}",
            "smtp-password": self.logins["smtp"],
        }

    def database_url(self, service: str, job: str = "") -> str:
        """A service's database, as pods reach it."""
        login = f"{service}_{job}" if job else service
        trust = "sslmode=verify-full&sslrootcert=/etc/makegood/files/postgresql-authority.pem"
        return f"postgresql://{login}:{self.logins[login]}@{DATABASE}:5432/makegood_{service}?{trust}"

    def _make_databases(self) -> None:
        passwords = [f"{login.upper()}_PASSWORD={self.logins[login]}" for login in _database_logins()]
        script = (ROOT / "deploy" / "postgres" / "databases.sh").read_text()
        self._within_postgresql(*passwords, "bash", "-s", given=script)

    def _within_postgresql(self, *words: str, given: str) -> str:
        superuser = [
            "PGHOST=127.0.0.1",
            "PGUSER=postgres",
            "PGSSLMODE=require",
            f"PGPASSWORD={self.logins['superuser']}",
        ]
        return self.cluster.kubectl("exec", "--stdin", "postgresql-0", "--", "env", *superuser, *words, given=given)

    def install(self) -> float:
        """Installs the chart, and waits until everything runs. Returns the seconds it took. Raises Failed."""
        values = self.folder / "values.yaml"
        values.write_text(string.Template((HERE / "values.yaml").read_text()).substitute(TAG=self.tag))
        began = time.monotonic()
        self.cluster.helm(
            "install", "makegood", str(CHART), f"--values={VALUES}", f"--values={values}",
            f"--post-renderer={sys.executable}", f"--post-renderer-args={HERE / 'clocked.py'}",
            "--wait", "--wait-for-jobs", "--timeout=300s", seconds=900,
        )  # fmt: skip
        return time.monotonic() - began

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Keeps the gateway, and what is outside, on ports of this machine."""
        with forwarded(
            Forward(self.cluster, "makegood-gateway", 80, self.gateway_port),
            Forward(self.cluster, "outside", 443, self.outside_port),
        ):
            paths = [f"http://127.0.0.1:{self.gateway_port}/v1/{service}/openapi.json" for service in SERVICES]
            until(lambda: all(map(_is_well, paths)), seconds=60, what="answers through the gateway")
            yield

    def person(self, role: str, subject: str) -> Person:
        """Somebody who speaks to the gateway."""
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.gateway_port}", timeout=40, trust_env=False)
        login: Any = Token(self.identity, role, subject)
        return Person(client, login)

    def outside(self, path: str) -> Any:
        """What the servers outside have got: `mails` or `traced`."""
        trusted = ssl.create_default_context(cafile=str(self.authority.file))
        return httpx.get(f"https://127.0.0.1:{self.outside_port}/{path}", verify=trusted, trust_env=False).json()

    def move_clock(self, seconds: float) -> None:
        """Sets how far the services' clocks are ahead, and tells the audit, which reads it from the databases."""
        for service in sorted(SERVICES, key=lambda name: name == LAST):
            statement = f"UPDATE clock SET offset_seconds = {seconds}"
            self._within_postgresql("psql", "-qd", f"makegood_{service}", given=statement)
            pods = self.cluster.get("pods", "", "--selector", f"makegood/service={service}")
            for pod in pods:
                script = f"echo {seconds} > /tmp/clock.part && mv /tmp/clock.part /tmp/clock"
                self.cluster.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c", script)

    def sessions_in_the_clear(self) -> list[str]:
        """The logins of PostgreSQL that have a connection without TLS."""
        asked = (
            "SELECT DISTINCT usename FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) "
            "WHERE client_addr IS NOT NULL AND client_addr <> '127.0.0.1' AND NOT ssl"
        )
        return self._within_postgresql("psql", "-qAt", given=asked).split()


def _database_logins() -> list[str]:
    return [f"{service}_{job}" if job else service for service in SERVICES for job in JOBS]


def _is_well(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def production(cluster: Cluster, folder: Path, tag: str) -> Production:
    """A release that is not prepared yet."""
    gateway, outside = free_ports(2)
    return Production(cluster, folder, tag, gateway, outside)

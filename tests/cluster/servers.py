"""PostgreSQL, Kafka, Redis, mail and the development identity in the cluster, with what a release needs from them."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from pathlib import Path

from makegood_devtools import keys
from makegood_devtools.event_keys import make_event_keys, private_key_file, public_keys_file
from makegood_stack import postgres, redis
from makegood_stack.home import Home
from makegood_stack.ports import SERVICES, Ports

from .kube import Cluster, config_map, secret

ROOT = Path(__file__).parents[2]
MANIFEST = Path(__file__).with_name("servers.yaml")
JOBS = ("", *postgres.JOBS)


def _login(service: str, job: str) -> str:
    return f"{service}_{job}" if job else service


def _database_logins() -> list[str]:
    return [_login(service, job) for service in SERVICES for job in JOBS]


@dataclass(frozen=True)
class Servers:
    """The servers, in the namespace of `cluster`. `home` has the keys, `offset` is that of the ports on this machine."""

    cluster: Cluster
    home: Home
    offset: int
    tag: str
    """Of the images that compose builds."""
    logins: dict[str, str] = field(
        default_factory=lambda: {
            name: secrets.token_urlsafe(24) for name in (postgres.SUPERUSER, redis.LOGIN, *_database_logins())
        },
        repr=False,
    )

    @property
    def tools_image(self) -> str:
        return f"makegood-tools:{self.tag}"

    @property
    def ports(self) -> Ports:
        """The ports on this machine."""
        return Ports(self.offset)

    @property
    def redis_url(self) -> str:
        """Redis, as pods reach it."""
        return f"redis://{redis.LOGIN}:{self.logins[redis.LOGIN]}@redis:6379/0"

    def database_url(self, service: str, job: str = "") -> str:
        """A service's database, as pods reach it."""
        return self._database_url(service, job, "postgres:5432")

    def database_url_here(self, service: str, job: str = "") -> str:
        """The same, as this machine reaches it."""
        return self._database_url(service, job, f"127.0.0.1:{self.ports.of('postgresql')}")

    def _database_url(self, service: str, job: str, host: str) -> str:
        login = _login(service, job)
        return f"postgresql://{login}:{self.logins[login]}@{host}/makegood_{service}"

    def event_signing_key(self, service: str) -> str:
        return private_key_file(self.home.event_keys, service).read_text()

    def start(self) -> None:
        """Creates everything, and returns when it answers. Databases have their logins, and no tables."""
        self.home.make()
        key = keys.signing_key(self.home.identity)
        make_event_keys(self.home.event_keys)
        event_keys = public_keys_file(self.home.event_keys)
        identity = next(self.home.identity.glob(f"*{key.kid}*.pem"))
        configuration = redis.configuration(self.logins[redis.LOGIN], Path("/data"), 6379, "0.0.0.0")
        values = {
            "NAMESPACE": self.cluster.namespace,
            "KAFKA_PORT": str(self.ports.of("kafka")),
            "TOOLS_IMAGE": self.tools_image,
        }
        self.cluster.apply(
            secret("postgres", {"superuser": self.logins[postgres.SUPERUSER]}),
            secret("redis", {"redis.conf": configuration}),
            secret("identity", {identity.name: identity.read_text()}),
            config_map("event-keys", {event_keys.name: event_keys.read_text()}),
            string.Template(MANIFEST.read_text()).substitute(values),
        )
        self.cluster.rolled_out("statefulset/postgres", "statefulset/kafka", "deployment/redis", "deployment/mail")
        self._make_databases()

    def _make_databases(self) -> None:
        passwords = [f"{login.upper()}_PASSWORD={self.logins[login]}" for login in _database_logins()]
        script = (ROOT / "deploy" / "postgres" / "databases.sh").read_text()
        superuser = ["PGHOST=127.0.0.1", "PGUSER=postgres", f"PGPASSWORD={self.logins[postgres.SUPERUSER]}"]
        self.cluster.kubectl(
            "exec", "--stdin", "postgres-0", "--", "env", *superuser, *passwords, "bash", "-s", given=script
        )

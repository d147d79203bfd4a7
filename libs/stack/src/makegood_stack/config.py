"""The configuration of a stack: ports, scale, role, and which servers are external."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from makegood_devtools.errors import UserError

from makegood_stack import kafka, postgres, redis, scale
from makegood_stack.home import Home
from makegood_stack.ports import LISTEN, SERVICES, Ports
from makegood_stack.scale import ROLES, ServiceProcess

if TYPE_CHECKING:
    from makegood_chassis.kafka_connection import Brokers

PARTS = (kafka.NAME, postgres.NAME, redis.NAME, "mail", *SERVICES, "gateway")


_JOBS = ("", *postgres.JOBS)


def _address_of(service: str, job: str = "") -> str:
    """The setting with the database address for this job."""
    return f"{service.upper()}_{job.upper() + '_' if job else ''}DATABASE_URL"


@dataclass(frozen=True)
class Choices:
    """The options of `up`. They are stored, so that later commands use the same ones."""

    port_offset: int = 0
    role: str = "all"
    scale: dict[str, int] = field(default_factory=dict)

    @classmethod
    def remembered(cls, home: Home) -> Choices:
        try:
            return cls(**json.loads((home.state / "choices.json").read_text()))
        except (OSError, ValueError, TypeError):
            return cls()

    def remember(self, home: Home) -> None:
        path = home.state / "choices.json"
        fresh = path.with_suffix(".part")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(path)

    def changed(self, port_offset: int | None, role: str | None, scaled: list[str]) -> Choices:
        """These choices, changed by command line options. Raises UserError for an invalid option."""
        new = self
        if port_offset is not None:
            new = replace(new, port_offset=port_offset)
        if role is not None:
            if role not in ROLES:
                raise UserError(f"--role {role}: choose one of {', '.join(ROLES)}", exit_code=2)
            new = replace(new, role=role)
        return replace(new, scale=scale.changed(new.scale, scaled))

    @property
    def words(self) -> str:
        """The options of `makegood up` that differ from the defaults."""
        told = [f"--port-offset {self.port_offset}"] if self.port_offset else []
        told += [f"--role {self.role}"] if self.role != "all" else []
        told += [f"--scale {name}={count}" for name, count in sorted(self.scale.items()) if count != 1 or "-" in name]
        return " ".join(told)


@dataclass(frozen=True)
class Stack:
    """A stack: everything known about it without looking at its processes."""

    home: Home
    choices: Choices
    external: dict[str, str] = field(default_factory=dict, repr=False)
    logins: dict[str, str] = field(default_factory=dict, repr=False)
    """Passwords of PostgreSQL's logins in containers; empty if the server runs outside of containers."""

    @classmethod
    def of(cls, home: Home, choices: Choices | None = None) -> Stack:
        """The stack of this home. Servers that the environment names replace our own."""
        names = ["KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", *(_address_of(s, job) for s in SERVICES for job in _JOBS)]
        external = {n: value for n in names if (value := _given(n))}
        return cls(home, choices or Choices.remembered(home), external, logins_of_containers(home))

    @property
    def ports(self) -> Ports:
        return Ports(self.choices.port_offset)

    @property
    def bootstrap(self) -> str:
        return self.external.get("KAFKA_BOOTSTRAP_SERVERS") or f"{LISTEN}:{self.ports.of('kafka')}"

    @property
    def kafka(self) -> Brokers:
        """How to connect to the brokers. For external brokers, protocol and login come from the environment
        (KAFKA_SECURITY_PROTOCOL …). Raises UserError if these settings are not valid."""
        return self.kafka_as("")

    def kafka_as(self, job: str) -> Brokers:
        """The same with the login of a job, as in KAFKA_REDRIVE_SASL_USERNAME and …_PASSWORD, if it has one."""
        if self.is_embedded(kafka.NAME) or not os.environ.get("KAFKA_SECURITY_PROTOCOL"):
            return self.bootstrap
        # Imported late, because it is slow and most commands do not need it.
        from makegood_chassis.checked_settings import advice
        from makegood_chassis.kafka_settings import KafkaSettings
        from pydantic import ValidationError

        environment: Any = os.environ.get("MAKEGOOD_ENVIRONMENT", "development")
        parts = ("username", "password") if job else ()
        login: Any = {f"kafka_sasl_{part}": _given(f"KAFKA_{job}_SASL_{part}".upper()) for part in parts}
        login = {name: value for name, value in login.items() if value}
        try:
            return KafkaSettings(environment=environment, kafka_bootstrap_servers=self.bootstrap, **login).kafka
        except ValidationError as error:
            raise UserError(advice(KafkaSettings, error), exit_code=2) from None

    @property
    def redis_url(self) -> str:
        return self.external.get("REDIS_URL") or redis.url(self.folder(redis.NAME), self.ports.of("redis"))

    def database_url(self, service: str, job: str = "") -> str:
        """A service's database with the service's login, or that of a job: `owner`, `pruner`, `auditor`.

        An external server without a login for the job is used with the service's login.
        """
        given = self.external.get(_address_of(service, job)) or self.external.get(_address_of(service))
        own = postgres.service_url(self.ports.of("postgresql"), service, job)
        password = self.logins.get(f"{service}_{job}" if job else service, postgres.PASSWORD)
        return given or own.replace(f":{postgres.PASSWORD}@", f":{password}@")

    @property
    def base_url(self) -> str:
        """The gateway's address."""
        return f"http://{LISTEN}:{self.ports.of('gateway')}"

    @property
    def mail_url(self) -> str:
        return f"http://{LISTEN}:{self.ports.of('mail')}"

    def processes(self, service: str) -> list[ServiceProcess]:
        return scale.processes(service, self.choices.role, self.choices.scale)

    def ports_of(self, process: ServiceProcess) -> dict[str, int]:
        """What for → number, the probe port last."""
        return self.ports.of_process(process.name, process.service, process.place, serves=process.serves)

    def is_embedded(self, part: str) -> bool:
        """Whether we run `part` on this machine."""
        if part == kafka.NAME:
            return "KAFKA_BOOTSTRAP_SERVERS" not in self.external
        if part == redis.NAME:
            return "REDIS_URL" not in self.external
        if part == postgres.NAME:
            return not all(any(_address_of(s, job) in self.external for job in _JOBS) for s in SERVICES)
        return True

    def topic_prefix(self) -> str:
        return os.environ.get("KAFKA_TOPIC_PREFIX", "")

    def folder(self, part: str) -> Path:
        return self.home.postgres_folder() if part == postgres.NAME else self.home.state / part


def logins_of_containers(home: Home) -> dict[str, str]:
    """The passwords made by the job `passwords` of docker-compose.yml; empty if PostgreSQL is our own process."""
    if (home.run / f"{postgres.NAME}.json").exists():
        return {}
    try:
        return dict(json.loads((home.state / "secrets" / "logins.json").read_text()))
    except (OSError, ValueError):
        return {}


def _given(name: str) -> str:
    """A setting from the environment or from the file in `<name>_FILE`; empty if not set. Raises UserError for a bad file."""
    if not os.environ.get(f"{name}_FILE"):
        return os.environ.get(name, "")
    # Imported late, because it is slow and most commands do not need it.
    from makegood_chassis.secret_files import UnreadableSecret, from_file

    value = from_file(name)
    if isinstance(value, UnreadableSecret):
        raise UserError(value.reason, exit_code=2)
    return value or ""


def without_password(url: str) -> str:
    """The address without its password, to print it."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if ":" not in login:
        return url
    return urlunsplit(parts._replace(netloc=f"{login.partition(':')[0]}:***{at}{host}"))

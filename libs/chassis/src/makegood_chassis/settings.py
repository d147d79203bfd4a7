"""Settings of a service process, from the environment or, for secrets, from files. An impossible value stops the process at start.

The table of all settings, `docs/settings.md`, is generated from these classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr

from makegood_chassis import production
from makegood_chassis.checked_settings import Fault, in_development
from makegood_chassis.database_settings import DatabaseSettings
from makegood_chassis.kafka_settings import KafkaSettings
from makegood_chassis.keys import MAXIMUM_AGE, REFRESH
from makegood_chassis.personal_data.master_keys import FORM, MasterKeys
from makegood_chassis.roles import ROLE, SERVE, WORK, used_by
from makegood_chassis.signing_settings import SigningSettings

MAXIMUM_LIFETIME: Final = 3600.0
"""Seconds that an access token may live."""
PROBES_ABOVE: Final = 1000
"""How far above HTTP_PORT the default port of probes is, so that processes with different ports never collide."""

OTLP_CA: Final = "OTEL_EXPORTER_OTLP_CERTIFICATE"
Port = Annotated[int, Field(ge=1, le=65535)]

DEVELOPMENT_ISSUER: Final = "https://identity.makegood.invalid"
"""`iss` of the tokens that `makegood token` makes. Its key is on the developer's disk, so production refuses it."""


class ServiceSettings(SigningSettings, KafkaSettings, DatabaseSettings):
    """The settings that every service has. Durations are in seconds."""

    kafka_topic_prefix: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="KAFKA_TOPIC_PREFIX",
        description="Prefix of every topic and group name, for a shared cluster.",
    )
    data_keys: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="DATA_KEYS",
        description="Master keys that encrypt people's data keys, `<id>:<32 bytes in base64>[,…]`; the first encrypts, the others "
        "only decrypt. Required in production; development uses a built-in key that protects nothing.",
    )
    redis_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="REDIS_URL",
        description="Redis for wake-ups across processes, `redis://host:port/0`; empty: none. Production: "
        "`rediss://login:secret@host:port/0` unless it is on the loopback interface.",
    )
    redis_ca_file: str = Field(
        "",
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="REDIS_CA_FILE",
        description="PEM file of the certificate authorities for Redis; empty: the system's own.",
    )
    jwks_url: str = Field(
        "",
        json_schema_extra=used_by(SERVE, required=True),
        validation_alias="JWKS_URL",
        description="JWKS with the keys that sign access tokens: http(s) address or file. Production: https unless it is "
        "on the loopback interface, or a file.",
    )
    jwks_ca_file: str = Field(
        "",
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="JWKS_CA_FILE",
        description="PEM file of the certificate authorities for JWKS_URL; empty: the system's own.",
    )
    token_issuer: str = Field(
        "",
        json_schema_extra=in_development(DEVELOPMENT_ISSUER) | used_by(SERVE),
        validation_alias="TOKEN_ISSUER",
        description="`iss` of access tokens. Production: required, and https.",
    )
    token_audience: str = Field(
        "makegood", validation_alias="TOKEN_AUDIENCE", min_length=1, description="`aud` of access tokens."
    )
    token_max_lifetime: float = Field(
        MAXIMUM_LIFETIME,
        validation_alias="TOKEN_MAX_LIFETIME",
        gt=0,
        le=12 * 3600,
        description="Maximum lifetime of an access token in seconds, 12 h at most; tokens with a longer one are refused.",
    )
    jwks_refresh: float = Field(
        REFRESH,
        validation_alias="JWKS_REFRESH",
        gt=0,
        le=MAXIMUM_AGE,
        description="Seconds between two fetches of JWKS_URL; a withdrawn key is refused after this time at the latest.",
    )
    jwks_max_age: float = Field(
        MAXIMUM_AGE,
        validation_alias="JWKS_MAX_AGE",
        gt=0,
        le=MAXIMUM_AGE,
        description="Seconds, 300 at most: if JWKS_URL has not answered for this long, no key is trusted and requests get 503.",
    )
    http_host: str = Field(
        "127.0.0.1", validation_alias="HTTP_HOST", description="Address that the process listens on."
    )
    http_port: Port = Field(8000, validation_alias="HTTP_PORT", description="Port that the process listens on.")
    probe_port: int = Field(
        0,
        validation_alias="PROBE_PORT",
        ge=0,
        le=65535,
        description="Port of /livez, /readyz, /startupz and /metrics, on HTTP_HOST; 0: HTTP_PORT + 1000.",
    )
    public_base_url: str = Field(
        "",
        json_schema_extra=in_development("http://127.0.0.1:8080") | used_by(SERVE, WORK),
        validation_alias="PUBLIC_BASE_URL",
        description="Public address of the gateway, as people's devices reach it. Production: required, and https.",
    )
    client_app_url: str = Field(
        "",
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="CLIENT_APP_URL",
        description="Start of the links into the client app (`…/sessions/<id>`, `…/rooms/<id>/book`, "
        "`…/join/<id>`); empty: PUBLIC_BASE_URL. Production: https.",
    )
    migrate: bool = Field(
        False,
        validation_alias="MAKEGOOD_MIGRATE",
        description="Every role runs the migrations at start, as the role `migrate` does; for a single machine. "
        "Not allowed in production, where only the role `migrate` has the owner's login.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        validation_alias="LOG_LEVEL",
        description="Lowest log level that is written. Production: not `DEBUG`, at which libraries log what they send.",
    )
    request_deadline: PositiveFloat = Field(
        30.0, validation_alias="REQUEST_DEADLINE", description="Maximum duration of a request in seconds."
    )
    stop_timeout: PositiveFloat = Field(
        12.0,
        validation_alias="STOP_TIMEOUT",
        description="Maximum time in seconds that a process takes to finish its work after SIGTERM.",
    )
    consumer_batch: PositiveInt = Field(
        500, validation_alias="CONSUMER_BATCH", description="Maximum events of one poll, and so of one transaction."
    )
    relay_batch: PositiveInt = Field(
        1000, validation_alias="RELAY_BATCH", description="Maximum rows that the relay sends at once."
    )
    poison_limit: PositiveInt = Field(
        200,
        validation_alias="POISON_LIMIT",
        description="Maximum dead letters within POISON_WINDOW; with more, the consumer stops.",
    )
    poison_window: PositiveFloat = Field(
        60.0, validation_alias="POISON_WINDOW", description="Seconds; see POISON_LIMIT."
    )
    inbox_retention: PositiveFloat = Field(
        14 * 86400.0,
        validation_alias="INBOX_RETENTION",
        description="How long the ids of handled events are kept, in seconds. An event that is read again later takes effect twice.",
    )
    person_requests: PositiveInt = Field(
        4,
        validation_alias="PERSON_REQUESTS",
        description="Maximum concurrent requests of one person in one process; further ones are queued.",
    )
    requests_at_once: PositiveInt = Field(
        2000,
        validation_alias="REQUESTS_AT_ONCE",
        description="Maximum concurrent requests in one process.",
    )
    person_expensive_requests: PositiveInt = Field(
        1,
        validation_alias="PERSON_EXPENSIVE_REQUESTS",
        description="Maximum concurrent expensive requests (slot search, bookability, exports, calendars) of one person in "
        "one process; further ones are queued.",
    )
    expensive_requests_at_once: PositiveInt = Field(
        8,
        validation_alias="EXPENSIVE_REQUESTS_AT_ONCE",
        description="Maximum concurrent expensive requests in one process; further ones are queued.",
    )
    person_waits: PositiveInt = Field(
        10,
        validation_alias="PERSON_WAITS",
        description="Maximum requests of one person that wait for their outcome (`Prefer: wait`) in one process; further ones "
        "get 202 at once.",
    )
    waits_at_once: PositiveInt = Field(
        2000,
        validation_alias="WAITS_AT_ONCE",
        description="Maximum requests that wait for their outcome in one process; further ones get 202 at once.",
    )
    person_work: PositiveFloat = Field(
        0.2,
        validation_alias="PERSON_WORK",
        description="Share of one process's time that one person may use: seconds of work per second.",
    )
    person_work_burst: PositiveFloat = Field(
        1.0,
        validation_alias="PERSON_WORK_BURST",
        description="Seconds of work that one person may use at once; see PERSON_WORK.",
    )
    otlp_endpoint: str = Field(
        "",
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OpenTelemetry collector; empty: no traces. Production: https unless it is on the loopback interface. "
        "The exporter's other variables (`OTEL_EXPORTER_OTLP_…`) apply too.",
    )
    otlp_certificate: str = Field(
        "",
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias=OTLP_CA,
        description="PEM file of the collector's authorities; empty: the system's own.",
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        given = self.data_keys.get_secret_value()
        if given:
            try:
                MasterKeys.parse(given)
            except ValueError as error:
                yield Fault("DATA_KEYS", str(error))
        elif not self.development:
            yield Fault("DATA_KEYS", f"is required: personal data is encrypted at rest; {FORM}")
        if self.jwks_refresh >= self.jwks_max_age:
            yield Fault("JWKS_REFRESH", "must be less than JWKS_MAX_AGE, or the keys expire between two fetches")
        if self.stop_timeout >= 15:
            yield Fault(
                "STOP_TIMEOUT", "must be less than 15 seconds, or orchestrators kill the process while it drains"
            )
        if self.probes_at == self.http_port or self.probes_at > 65535:
            yield Fault("PROBE_PORT", "must differ from HTTP_PORT and be 1 to 65535; 0 means HTTP_PORT + 1000")
        for name, url in self.databases().items():
            if url and production.database_hosts(url) is None:
                yield Fault(
                    name,
                    "must be postgresql://login:secret@host:port/database; percent-encode / # ? @ : in the secret as %2F %23 %3F %40 %3A",
                )
        if self.redis_url and production.split(self.redis_url.get_secret_value()) is None:
            yield Fault(
                "REDIS_URL",
                "must be redis://login:secret@host:port/0; percent-encode / # ? @ : in the secret as %2F %23 %3F %40 %3A",
            )
        strict = not self.development
        for name, path, links in (
            ("REDIS_CA_FILE", self.redis_ca_file, {"REDIS_URL": self.redis_url.get_secret_value()}),
            ("JWKS_CA_FILE", self.jwks_ca_file, {"JWKS_URL": self.jwks_url, "EVENT_KEYS_URL": self.event_keys_url}),
            (OTLP_CA, self.otlp_certificate, {"OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp_endpoint}),
        ):
            yield from production.authorities(name, path, links, production=strict)
        if self.jwks_url.startswith(("http://", "https://")):
            yield from production.web_address("JWKS_URL", self.jwks_url, production=strict, loopback=True)
        yield from production.web_address("PUBLIC_BASE_URL", self.public_base_url, production=strict)
        yield from production.web_address("CLIENT_APP_URL", self.client_app_url, production=strict)
        yield from production.web_address(
            "OTEL_EXPORTER_OTLP_ENDPOINT", self.otlp_endpoint, production=strict, loopback=True
        )
        if strict:
            yield from self._unsafe()

    def _unsafe(self) -> Iterator[Fault]:
        """What is not allowed in production, in addition to the faults of each address."""
        databases = self.databases()
        for name, url in databases.items():
            yield from production.postgresql(name, url)
        yield from self._owner_elsewhere(databases)
        yield from self._pruner_apart()
        yield from production.redis("REDIS_URL", self.redis_url.get_secret_value())
        if not self.jwks_url.startswith(("http://", "https://")):
            why = self.jwks_url and production.unreadable(self.jwks_url.removeprefix("file://"))
            if why:
                yield Fault("JWKS_URL", f"must be an https address or a file: {why}")
        if not self.token_issuer.strip():
            yield Fault("TOKEN_ISSUER", "is required in production: the `iss` of your identity provider's tokens")
        elif (production.host(self.token_issuer) or self.token_issuer).endswith(".invalid"):
            yield Fault(
                "TOKEN_ISSUER", "is the development issuer, whose key is not secret; set your identity provider's"
            )
        elif self.token_issuer.strip() != self.token_issuer:
            yield Fault("TOKEN_ISSUER", "must not begin or end with a space")
        else:
            yield from production.web_address("TOKEN_ISSUER", self.token_issuer, production=True)
        if not self.public_base_url:
            yield Fault("PUBLIC_BASE_URL", "is required in production: the https address of the gateway")
        if self.migrate:
            yield Fault(
                "MAKEGOOD_MIGRATE",
                "is not allowed in production; run the role `migrate` once, as a job with the owner's login",
            )
        if self.log_level == "DEBUG":
            yield Fault(
                "LOG_LEVEL", "DEBUG is not allowed in production, because libraries then log what they send; use INFO"
            )

    def _owner_elsewhere(self, databases: dict[str, str]) -> Iterator[Fault]:
        """The owner may change and drop tables, which the service's own login must not, so only `migrate` may have it."""
        name = self.variable_of("owner_database_url")
        owner, own = databases.get(name, ""), self.database_url.get_secret_value()
        role = ROLE.get()
        if role == "migrate" and not owner:
            yield Fault(name, "is required for the role `migrate` in production: the login that owns the tables")
        elif role not in ("", "migrate") and owner:
            yield Fault(
                name, f"is only for the role `migrate`; unset it for `{role}`, which must not be able to drop tables"
            )
        elif owner and production.login(owner) == production.login(own):
            yield Fault(name, "must use a different login than the service's own")

    def _pruner_apart(self) -> Iterator[Fault]:
        """If there is no separate login, `migrate` lets the service's own delete rows of the access log and ids of
        handled events.
        """
        name = self.variable_of("pruner_database_url")
        pruner = self.pruner_database_url.get_secret_value()
        others = {
            "",
            *(production.login(url.get_secret_value()) for url in (self.database_url, self.owner_database_url)),
        }
        if pruner and production.login(pruner) in others:
            yield Fault(name, "must use a different login than the service and the owner")
        elif not pruner and ROLE.get() in ("migrate", "work", "all"):
            yield Fault(
                name,
                f"is required for the role `{ROLE.get()}` in production: the login that deletes expired rows. "
                "Without it, the service's own login could delete rows of the access log",
            )

    @property
    def probes_at(self) -> int:
        """The port of probes and metrics."""
        return self.probe_port or self.http_port + PROBES_ABOVE

    @property
    def master_keys(self) -> MasterKeys:
        """The keys that encrypt people's keys."""
        given = self.data_keys.get_secret_value()
        return MasterKeys.parse(given) if given else MasterKeys.development()

    @property
    def links_start(self) -> str:
        """The client app's address, without a slash at the end."""
        return (self.client_app_url or self.public_base_url).rstrip("/")


class AccessLogSettings(ServiceSettings):
    """Settings of a service that keeps personal data or credits, and so an access log (SEC-5)."""

    access_retention: PositiveFloat = Field(
        6 * 365 * 86400.0,
        validation_alias="ACCESS_RETENTION",
        description="How long the access log is kept (SEC-5), in seconds; six years.",
    )

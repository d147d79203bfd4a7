"""Settings of a service process, from the environment or, for secrets, from files. An impossible value is refused at start.

The one table of all settings, `docs/settings.md`, is made from these classes.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator

from makegood_chassis.checked_settings import CheckedSettings
from makegood_chassis.keys import MAXIMUM_AGE, REFRESH
from makegood_chassis.secret_files import is_secret, variable

MAXIMUM_LIFETIME: Final = 3600.0
"""Seconds that an access token may live."""

Port = Annotated[int, Field(ge=1, le=65535)]


class ServiceSettings(CheckedSettings):
    """What every service takes. Durations are seconds."""

    database_url: SecretStr = Field(
        description="PostgreSQL of this service, `postgresql://login:secret@host:port/database`."
    )
    database_pool: PositiveInt = Field(
        16, validation_alias="DATABASE_POOL", description="Most connections of one process to PostgreSQL."
    )
    kafka_bootstrap_servers: str = Field(
        validation_alias="KAFKA_BOOTSTRAP_SERVERS", description="Kafka brokers, `host:port[,host:port]`."
    )
    kafka_topic_prefix: str = Field(
        "",
        validation_alias="KAFKA_TOPIC_PREFIX",
        description="Put before every topic and group name on a shared cluster.",
    )
    redis_url: SecretStr = Field(
        SecretStr(""),
        validation_alias="REDIS_URL",
        description="Redis for wake-ups across processes; empty: work without.",
    )
    jwks_url: str = Field(
        validation_alias="JWKS_URL",
        description="Where the keys that sign access tokens stand: http(s) address or file.",
    )
    token_issuer: str = Field(
        "https://identity.makegood.invalid", validation_alias="TOKEN_ISSUER", description="`iss` of access tokens."
    )
    token_audience: str = Field("makegood", validation_alias="TOKEN_AUDIENCE", description="`aud` of access tokens.")
    token_max_lifetime: float = Field(
        MAXIMUM_LIFETIME,
        validation_alias="TOKEN_MAX_LIFETIME",
        gt=0,
        le=12 * 3600,
        description="Longest that an access token may live, seconds, 12 h at most; one that lives longer is refused.",
    )
    jwks_refresh: float = Field(
        REFRESH,
        validation_alias="JWKS_REFRESH",
        gt=0,
        le=MAXIMUM_AGE,
        description="Seconds between two looks at JWKS_URL; a withdrawn key is refused that long after its withdrawal.",
    )
    jwks_max_age: float = Field(
        MAXIMUM_AGE,
        validation_alias="JWKS_MAX_AGE",
        gt=0,
        le=MAXIMUM_AGE,
        description="Seconds, 300 at most: when JWKS_URL has not answered for so long, no key is used and requests get 503.",
    )
    http_host: str = Field(
        "127.0.0.1", validation_alias="HTTP_HOST", description="Address that the process listens on."
    )
    http_port: Port = Field(8000, validation_alias="HTTP_PORT", description="Port that the process listens on.")
    public_base_url: str = Field(
        "http://127.0.0.1:8080",
        validation_alias="PUBLIC_BASE_URL",
        description="Address of the gateway as people's devices see it.",
    )
    client_app_url: str = Field(
        "",
        validation_alias="CLIENT_APP_URL",
        description="Start of the links that lead people into the client app (`…/sessions/<id>`, `…/rooms/<id>/book`, "
        "`…/join/<id>`); empty: PUBLIC_BASE_URL.",
    )
    migrate: bool = Field(
        False,
        validation_alias="MAKEGOOD_MIGRATE",
        description="Every role brings the database up to date at its start, as the role `migrate` does; for one machine.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="LOG_LEVEL", description="Least severe log line that is written."
    )
    request_deadline: PositiveFloat = Field(
        30.0, validation_alias="REQUEST_DEADLINE", description="Longest that a request may take, seconds."
    )
    stop_timeout: PositiveFloat = Field(
        12.0,
        validation_alias="STOP_TIMEOUT",
        description="Longest that a process takes to finish its work at SIGTERM, seconds.",
    )
    consumer_batch: PositiveInt = Field(
        500, validation_alias="CONSUMER_BATCH", description="Most events of one poll, and so of one transaction."
    )
    relay_batch: PositiveInt = Field(
        1000, validation_alias="RELAY_BATCH", description="Most rows the relay sends at once."
    )
    poison_limit: PositiveInt = Field(
        200,
        validation_alias="POISON_LIMIT",
        description="Most dead letters in `poison_window` before the consumer stops instead.",
    )
    poison_window: PositiveFloat = Field(
        60.0, validation_alias="POISON_WINDOW", description="Seconds; see `poison_limit`."
    )
    inbox_retention: PositiveFloat = Field(
        14 * 86400.0,
        validation_alias="INBOX_RETENTION",
        description="How long the ids of handled events are kept, seconds; longer than the topics keep events.",
    )
    otlp_endpoint: str = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OpenTelemetry collector; empty: no traces leave.",
    )

    @field_validator("database_url")
    @classmethod
    def _postgresql_only(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError(
                "must be a postgresql:// address, for example postgresql://booking:secret@127.0.0.1/makegood_booking"
            )
        return url

    @model_validator(mode="after")
    def _sensible_together(self) -> Self:
        if self.jwks_refresh >= self.jwks_max_age:
            raise ValueError("JWKS_REFRESH must be under JWKS_MAX_AGE, or the keys are too old between two looks")
        if self.stop_timeout >= 15:
            raise ValueError("STOP_TIMEOUT must be under 15 seconds, or orchestrators kill the process while it drains")
        return self

    @property
    def links_start(self) -> str:
        """The client app's address, without a slash at its end."""
        return (self.client_app_url or self.public_base_url).rstrip("/")


class AccessLogSettings(ServiceSettings):
    """Further ones of a service that keeps personal data or credits, and so an access log (SEC-5)."""

    access_retention: PositiveFloat = Field(
        6 * 365 * 86400.0,
        validation_alias="ACCESS_RETENTION",
        description="How long the access log keeps who read or changed whose data (SEC-5), seconds; six years.",
    )


def table(settings: type[ServiceSettings]) -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting, for the documentation."""
    rows: list[tuple[str, str, str]] = []
    for name, info in settings.model_fields.items():
        default = "required" if info.is_required() else str(info.default)
        meaning = info.description or ""
        rows.append((variable(name, info), default, f"**Secret.** {meaning}" if is_secret(info) else meaning))
    return rows

"""The settings of the job that makes topics."""

from __future__ import annotations

from collections.abc import Iterator

from makegood_chassis import production
from makegood_chassis.checked_settings import Fault
from makegood_chassis.kafka_settings import KafkaSettings
from pydantic import Field, SecretStr

from makegood_stack.schema_registry import Registry


class TopicSettings(KafkaSettings):
    """What `deploy/kafka/make_topics.py` reads."""

    topic_prefix: str = Field(
        "", validation_alias="KAFKA_TOPIC_PREFIX", description="What the names of topics begin with."
    )
    replication: int = Field(1, validation_alias="KAFKA_REPLICATION", ge=1, description="Copies of each partition.")
    schema_registry_url: str = Field(
        "",
        validation_alias="SCHEMA_REGISTRY_URL",
        description="Schema registry with Confluent's API, in which each topic's schema is registered; empty: none. "
        "Production: https unless it is on the loopback interface.",
    )
    schema_registry_ca_file: str = Field(
        "",
        validation_alias="SCHEMA_REGISTRY_CA_FILE",
        description="PEM file of the certificate authorities for the registry; empty: the system's own.",
    )
    schema_registry_username: str = Field(
        "", validation_alias="SCHEMA_REGISTRY_USERNAME", description="User name at the registry; empty: no login."
    )
    schema_registry_password: SecretStr = Field(
        SecretStr(""), validation_alias="SCHEMA_REGISTRY_PASSWORD", description="Password at the registry."
    )

    @property
    def registry(self) -> Registry | None:
        """The registry. None if there is none."""
        if not self.schema_registry_url:
            return None
        return Registry(
            self.schema_registry_url.rstrip("/"),
            self.schema_registry_username,
            self.schema_registry_password.get_secret_value(),
            self.schema_registry_ca_file,
        )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        strict, url = not self.development, self.schema_registry_url
        yield from production.web_address("SCHEMA_REGISTRY_URL", url, production=strict, loopback=True)
        yield from production.authorities(
            "SCHEMA_REGISTRY_CA_FILE", self.schema_registry_ca_file, {"SCHEMA_REGISTRY_URL": url}, production=strict
        )
        name, secret = self.schema_registry_username, self.schema_registry_password.get_secret_value()
        if name and not secret:
            yield Fault("SCHEMA_REGISTRY_PASSWORD", "is required with SCHEMA_REGISTRY_USERNAME")
        if secret and not name:
            yield Fault("SCHEMA_REGISTRY_USERNAME", "is required with SCHEMA_REGISTRY_PASSWORD")
        if strict and secret and (why := production.weakness(secret, name)):
            yield Fault("SCHEMA_REGISTRY_PASSWORD", why)

"""The settings behind a connection to Kafka."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, SecretStr

from makegood_chassis import production
from makegood_chassis.checked_settings import CheckedSettings, Fault
from makegood_chassis.kafka_connection import KafkaConnection, Mechanism, Protocol
from makegood_chassis.roles import WORK, used_by


class KafkaSettings(CheckedSettings):
    """The settings behind a KafkaConnection."""

    kafka_bootstrap_servers: str = Field(
        "",
        json_schema_extra=used_by(WORK, required=True),
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka brokers, `host:port[,host:port]`.",
    )
    kafka_security_protocol: Protocol = Field(
        "PLAINTEXT",
        json_schema_extra=used_by(WORK),
        validation_alias="KAFKA_SECURITY_PROTOCOL",
        description="`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`. Production: `SASL_SSL`, or `SSL` with "
        "KAFKA_SSL_CERTFILE, unless the brokers are on the loopback interface.",
    )
    kafka_sasl_mechanism: Mechanism = Field(
        "SCRAM-SHA-512",
        json_schema_extra=used_by(WORK),
        validation_alias="KAFKA_SASL_MECHANISM",
        description="`SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`.",
    )
    kafka_sasl_username: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="KAFKA_SASL_USERNAME",
        description="User name at Kafka.",
    )
    kafka_sasl_password: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(WORK),
        validation_alias="KAFKA_SASL_PASSWORD",
        description="Password at Kafka.",
    )
    kafka_ssl_cafile: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="KAFKA_SSL_CAFILE",
        description="PEM file of the certificate authorities for the brokers; empty: the system's own.",
    )
    kafka_ssl_certfile: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="KAFKA_SSL_CERTFILE",
        description="PEM file of the service's client certificate, for brokers that require one (mTLS).",
    )
    kafka_ssl_keyfile: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="KAFKA_SSL_KEYFILE",
        description="PEM file of the client certificate's key.",
    )
    kafka_ssl_key_password: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(WORK),
        validation_alias="KAFKA_SSL_KEY_PASSWORD",
        description="Password of the client certificate's key, if it has one.",
    )

    @property
    def kafka(self) -> KafkaConnection:
        return KafkaConnection(
            servers=self.kafka_bootstrap_servers,
            protocol=self.kafka_security_protocol,
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_sasl_username,
            password=self.kafka_sasl_password.get_secret_value(),
            ca_file=self.kafka_ssl_cafile,
            certificate_file=self.kafka_ssl_certfile,
            key_file=self.kafka_ssl_keyfile,
            key_password=self.kafka_ssl_key_password.get_secret_value(),
        )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        servers = production.servers(self.kafka_bootstrap_servers)
        if servers is None:
            yield Fault("KAFKA_BOOTSTRAP_SERVERS", "must be host:port; separate several brokers with commas")
        yield from _incomplete(self.kafka)
        if not self.development and servers:
            yield from _unsafe(self.kafka, all(map(production.is_loopback, servers)))


def _incomplete(kafka: KafkaConnection) -> Iterator[Fault]:
    """Settings that contradict each other, in any environment."""
    login = {"KAFKA_SASL_USERNAME": kafka.username, "KAFKA_SASL_PASSWORD": kafka.password}
    files = {
        "KAFKA_SSL_CAFILE": kafka.ca_file,
        "KAFKA_SSL_CERTFILE": kafka.certificate_file,
        "KAFKA_SSL_KEYFILE": kafka.key_file,
    }
    for name, value in login.items():
        if kafka.logs_in and not value:
            yield Fault(name, f"is required with KAFKA_SECURITY_PROTOCOL={kafka.protocol}")
        if not kafka.logs_in and value:
            yield Fault(name, f"KAFKA_SECURITY_PROTOCOL={kafka.protocol} sends no login; use SASL_SSL, or unset this")
    for name, value in files.items():
        if not kafka.encrypted and value:
            yield Fault(name, f"KAFKA_SECURITY_PROTOCOL={kafka.protocol} uses no certificates; use SASL_SSL or SSL")
    for name, value, other in (
        ("KAFKA_SSL_CERTFILE", kafka.certificate_file, kafka.key_file),
        ("KAFKA_SSL_KEYFILE", kafka.key_file, kafka.certificate_file),
    ):
        if other and not value:
            yield Fault(name, "set both the certificate and its key, or neither")
    if kafka.key_password and not kafka.key_file:
        yield Fault("KAFKA_SSL_KEY_PASSWORD", "needs KAFKA_SSL_KEYFILE; set that, or unset this")
    if kafka.encrypted and bool(kafka.certificate_file) == bool(kafka.key_file):
        yield from _unusable(kafka, files)


def _unusable(kafka: KafkaConnection, files: dict[str, str]) -> Iterator[Fault]:
    """Files that cannot be read, or contain something else."""
    whys = {name: production.unreadable(path) for name, path in files.items() if path}
    if kafka.ca_file:
        whys["KAFKA_SSL_CAFILE"] = production.not_certificates(kafka.ca_file)
    yield from (Fault(name, why) for name, why in whys.items() if why)
    if not any(whys.values()):
        try:
            kafka.context()
        except OSError:
            yield Fault(
                "KAFKA_SSL_KEYFILE", "is not the PEM key of KAFKA_SSL_CERTFILE, or KAFKA_SSL_KEY_PASSWORD is wrong"
            )


def _unsafe(kafka: KafkaConnection, on_loopback: bool) -> Iterator[Fault]:
    """What is not allowed in production."""
    if kafka.protocol == "SASL_PLAINTEXT":
        # Even on the loopback, because brokers tell clients other addresses to continue with.
        yield Fault("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT sends the login unencrypted; use SASL_SSL")
    elif kafka.protocol == "PLAINTEXT" and not on_loopback:
        yield Fault(
            "KAFKA_SECURITY_PROTOCOL",
            "events could be read and forged on the network; use SASL_SSL, or SSL with a certificate",
        )
    elif kafka.protocol == "SSL" and not kafka.certificate_file and not on_loopback:
        yield Fault("KAFKA_SSL_CERTFILE", "is required with SSL, which sends no login; or use SASL_SSL")
    if kafka.logs_in and kafka.password and (why := production.weakness(kafka.password, kafka.username)):
        yield Fault("KAFKA_SASL_PASSWORD", why)

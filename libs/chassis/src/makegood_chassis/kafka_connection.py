"""How to connect to Kafka: brokers, transport and login. Only this module makes the arguments of aiokafka's clients."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """`servers`: `host:port[,host:port]`; files are paths of PEM files. A name in a certificate is always checked."""

    servers: str
    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.servers

    @property
    def encrypted(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def logs_in(self) -> bool:
        return self.protocol.startswith("SASL_")

    def arguments(self) -> dict[str, Any]:
        """The arguments for a client of aiokafka. Files are read each time, so that renewed certificates are used.
        Raises OSError (such as ssl.SSLError) if the files cannot be used.
        """
        arguments: dict[str, Any] = {"bootstrap_servers": self.servers, "security_protocol": self.protocol}
        if self.encrypted:
            arguments["ssl_context"] = self.context()
        if self.logs_in:
            arguments |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments

    def context(self) -> ssl.SSLContext:
        """Trusts `ca_file`, or what the system trusts. Presents the client's certificate if there is one."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.certificate_file:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(self.certificate_file, self.key_file, lambda: self.key_password)
        return context


Brokers: TypeAlias = str | KafkaConnection
"""Brokers that are given without further settings are reached without encryption."""


def kafka_arguments(brokers: Brokers) -> dict[str, Any]:
    """The arguments for a client of aiokafka: brokers, transport and login. Raises OSError if files cannot be used."""
    return (KafkaConnection(brokers) if isinstance(brokers, str) else brokers).arguments()

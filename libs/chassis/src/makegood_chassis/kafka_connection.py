"""How to connect to Kafka: brokers, transport and login. Only this module makes the arguments of aiokafka's clients."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import structlog

_log = structlog.get_logger(__name__)

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
        """The arguments for a client of aiokafka. Raises OSError (such as ssl.SSLError) if the files cannot be used."""
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
        """Trusts `ca_file`, or what the system trusts. Presents the client's certificate if there is one. A file that
        changes counts from the next connection on.
        """
        context = _RenewedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.files = self
        context.renew()
        return context


class _RenewedContext(ssl.SSLContext):
    """Makes a context from its files before a connection if they have changed: clients live for weeks, certificates may not.

    A context forgets no authority that it has read, so each change needs a new one.
    """

    files: KafkaConnection
    _current: ssl.SSLContext | None = None
    _read: tuple[int, ...] = ()

    def renew(self) -> None:
        """Raises OSError (such as ssl.SSLError) if the files cannot be used."""
        files = self.files
        paths = [path for path in (files.ca_file, files.certificate_file, files.key_file) if path]
        changed = tuple(Path(path).stat().st_mtime_ns for path in paths)
        if self._current is not None and changed == self._read:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if files.ca_file:
            context.load_verify_locations(cafile=files.ca_file)
        else:
            context.load_default_certs()
        if files.certificate_file:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(files.certificate_file, files.key_file, lambda: files.key_password)
        self._current, self._read = context, changed

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        return self._now().wrap_bio(*arguments, **options)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        return self._now().wrap_socket(*arguments, **options)

    def _now(self) -> ssl.SSLContext:
        try:
            self.renew()
        except OSError as error:
            # Certificate and key may be in the middle of being replaced: the earlier ones still serve.
            _log.warning("certificate files cannot be read again", error=type(error).__name__)
        assert self._current is not None
        return self._current


Brokers: TypeAlias = str | KafkaConnection
"""Brokers that are given without further settings are reached without encryption."""


def kafka_arguments(brokers: Brokers) -> dict[str, Any]:
    """The arguments for a client of aiokafka: brokers, transport and login. Raises OSError if files cannot be used."""
    # Imported late: whoever makes a client imports aiokafka anyway, and nobody else needs it.
    from makegood_chassis.messaging import lost_connections

    lost_connections.install()
    return (KafkaConnection(brokers) if isinstance(brokers, str) else brokers).arguments()

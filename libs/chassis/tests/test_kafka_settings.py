"""What is said of Kafka must fit together, in development too; and one place makes the arguments of its clients."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from makegood_chassis.kafka_connection import KafkaConnection, kafka_arguments
from makegood_chassis.kafka_settings import KafkaSettings
from makegood_testkit.certificates import Authority
from makegood_testkit.tls import server_context
from pydantic import ValidationError

LOGIN = {"kafka_sasl_username": "booking", "kafka_sasl_password": "kX9-vT2qLm7_Rb4wZc"}
IMPOSSIBLE: list[tuple[dict[str, str], set[str]]] = [
    ({"kafka_bootstrap_servers": "kafka"}, {"KAFKA_BOOTSTRAP_SERVERS"}),
    ({"kafka_bootstrap_servers": "me:word@kafka:9092"}, {"KAFKA_BOOTSTRAP_SERVERS"}),
    ({"kafka_bootstrap_servers": "kafka:9092,kafka:port"}, {"KAFKA_BOOTSTRAP_SERVERS"}),
    ({"kafka_security_protocol": "SSL_PLAIN"}, {"KAFKA_SECURITY_PROTOCOL"}),
    ({"kafka_security_protocol": "SASL_SSL"}, {"KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"}),
    ({"kafka_security_protocol": "SASL_PLAINTEXT", **LOGIN, "kafka_sasl_mechanism": "GSSAPI"}, {"KAFKA_SASL_MECHANISM"}),
    (LOGIN, {"KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"}),
    ({"kafka_security_protocol": "SSL", **LOGIN}, {"KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"}),
    ({"kafka_ssl_cafile": "AUTHORITY"}, {"KAFKA_SSL_CAFILE"}),
    ({"kafka_security_protocol": "SASL_PLAINTEXT", **LOGIN, "kafka_ssl_cafile": "AUTHORITY"}, {"KAFKA_SSL_CAFILE"}),
    ({"kafka_security_protocol": "SSL", "kafka_ssl_cafile": "/nowhere.pem"}, {"KAFKA_SSL_CAFILE"}),
    ({"kafka_security_protocol": "SSL", "kafka_ssl_cafile": "KEY"}, {"KAFKA_SSL_CAFILE"}),
    ({"kafka_security_protocol": "SSL", "kafka_ssl_certfile": "CERTIFICATE"}, {"KAFKA_SSL_KEYFILE"}),
    ({"kafka_security_protocol": "SSL", "kafka_ssl_keyfile": "KEY"}, {"KAFKA_SSL_CERTFILE"}),
    ({"kafka_security_protocol": "SSL", "kafka_ssl_key_password": "x"}, {"KAFKA_SSL_KEY_PASSWORD"}),
    (
        {"kafka_security_protocol": "SSL", "kafka_ssl_certfile": "CERTIFICATE", "kafka_ssl_keyfile": "OTHER"},
        {"KAFKA_SSL_KEYFILE"},
    ),
    (
        {"kafka_security_protocol": "SSL", "kafka_ssl_certfile": "LOCKED-CERTIFICATE", "kafka_ssl_keyfile": "LOCKED"},
        {"KAFKA_SSL_KEYFILE"},
    ),
]  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    authority = Authority(tmp_path)
    own, other, locked = authority.issue("own"), authority.issue("other"), authority.issue("locked", password="word")
    return {
        "AUTHORITY": str(authority.file),
        "CERTIFICATE": str(own.certificate),
        "KEY": str(own.key),
        "OTHER": str(other.key),
        "LOCKED": str(locked.key),
        "LOCKED-CERTIFICATE": str(locked.certificate),
    }


def read(files: dict[str, str], **values: str) -> KafkaSettings:
    given: dict[str, Any] = {"environment": "development", "kafka_bootstrap_servers": "kafka:9092,[::1]:9093", **values}
    return KafkaSettings(**{name: files.get(value, value) for name, value in given.items()})


@pytest.mark.parametrize(("values", "refused"), IMPOSSIBLE)
def test_what_does_not_fit_together_is_refused(
    values: dict[str, str], refused: set[str], files: dict[str, str]
) -> None:
    with pytest.raises(ValidationError) as refusal:
        read(files, **values)
    assert {str(each["loc"][0]).upper() for each in refusal.value.errors()} == refused


def test_the_arguments_check_the_certificate_and_its_name(files: dict[str, str]) -> None:
    settings = read(
        files,
        kafka_security_protocol="SASL_SSL",
        **LOGIN,
        kafka_ssl_cafile="AUTHORITY",
        kafka_ssl_certfile="LOCKED-CERTIFICATE",
        kafka_ssl_keyfile="LOCKED",
        kafka_ssl_key_password="word",
    )
    arguments = settings.kafka.arguments()
    context = arguments.pop("ssl_context")
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert arguments == {
        "bootstrap_servers": "kafka:9092,[::1]:9093",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": LOGIN["kafka_sasl_username"],
        "sasl_plain_password": LOGIN["kafka_sasl_password"],
    }
    assert LOGIN["kafka_sasl_password"] not in repr(settings.kafka) + str(settings.kafka) + repr(settings)


def test_brokers_that_are_named_alone_are_reached_without_protection() -> None:
    assert kafka_arguments("kafka:9092") == {"bootstrap_servers": "kafka:9092", "security_protocol": "PLAINTEXT"}
    assert kafka_arguments(KafkaConnection("kafka:9092")) == kafka_arguments("kafka:9092")


def test_what_a_library_says_is_shown_without_secrets(files: dict[str, str]) -> None:
    settings = read(files, kafka_security_protocol="SASL_PLAINTEXT", **LOGIN)
    said = f"cannot log in as booking with {LOGIN['kafka_sasl_password']!r}"
    assert settings.without_secrets(said) == "cannot log in as booking with '***'"


async def test_a_renewed_certificate_counts_from_the_next_connection_on(tmp_path: Path) -> None:
    """One context, as a client has it for weeks. A server says whom it sees."""
    authority = Authority(tmp_path / "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    shown = authority.issue("server")
    context.load_cert_chain(shown.certificate, shown.key)
    context.verify_mode = ssl.CERT_REQUIRED
    paths = {name: tmp_path / name for name in ("certificate", "key")}

    def replace(name: str, parts: tuple[str, ...] = ("certificate", "key")) -> None:
        made = authority.issue(name)
        for part in parts:
            getattr(made, part).replace(paths[part])

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject = dict(field[0] for field in writer.get_extra_info("peercert")["subject"])
        writer.write(subject["commonName"].encode())
        writer.close()

    replace("first")
    connection = KafkaConnection(
        "kafka:9093",
        "SSL",
        ca_file=str(authority.file),
        certificate_file=str(paths["certificate"]),
        key_file=str(paths["key"]),
    )
    own = connection.arguments()["ssl_context"]
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]

        async def seen() -> str:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=own)
            try:
                return (await reader.read()).decode()
            finally:
                writer.close()

        assert await seen() == "first"
        replace("second")
        assert await seen() == "second"
        replace("third", ("certificate",))
        assert await seen() == "second", "the key is not there yet"
        replace("fourth")
        assert await seen() == "fourth"
        paths["key"].unlink()
        assert await seen() == "fourth"


async def test_an_authority_that_was_taken_out_of_the_file_is_not_trusted_any_more(tmp_path: Path) -> None:
    old, new = (Authority(tmp_path / name, name) for name in ("old", "new"))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(old.file.read_bytes() + new.file.read_bytes())
    connection = KafkaConnection("kafka:9093", "SSL", ca_file=str(trusted))
    own = connection.arguments()["ssl_context"]

    async def accepted(authority: Authority) -> bool:
        shown = server_context(authority.issue("server"))
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=shown) as server:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1], ssl=own)
            except ssl.SSLCertVerificationError:
                return False
            writer.close()
            return True

    assert [await accepted(one) for one in (old, new)] == [True, True]
    trusted.write_bytes(new.file.read_bytes())
    assert [await accepted(one) for one in (old, new)] == [False, True]
    trusted.unlink()
    assert [await accepted(one) for one in (old, new)] == [False, True], "in the middle of being replaced"

"""Links to PostgreSQL, Redis and the identity provider behind TLS: real servers, and what is refused."""

from __future__ import annotations

import asyncio
import os
import pwd
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfile
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from makegood_chassis.clock import Clock
from makegood_chassis.database import Database
from makegood_chassis.keys import fetch_document
from makegood_chassis.migrations import engine_for
from makegood_chassis.signals import Signals
from makegood_stack.embedded import EmbeddedServers
from makegood_testkit.certificates import Authority, Certificate
from makegood_testkit.tls import tls_before
from makegood_testkit.waiting import eventually
from redis.exceptions import RedisError
from sqlalchemy import text

PASSWORD = "kX9-vT2qLm7_Rb4wZc"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "Somebody else")


# -- PostgreSQL


@pytest.fixture(scope="module")
def postgres_with_tls(authority: Authority) -> Iterator[str]:
    """The superuser's address, without what it says of TLS. The server's certificate is for 127.0.0.1 alone."""
    certificate = authority.issue("postgres")
    _for_postgres(certificate)
    settings = {"ssl": "on", "ssl_cert_file": str(certificate.certificate), "ssl_key_file": str(certificate.key)}
    with EmbeddedServers() as servers:
        yield servers.postgres(settings).url


def _for_postgres(certificate: Certificate) -> None:
    """PostgreSQL started by root runs as somebody else, and takes no key that others may read."""
    if os.geteuid() == 0:
        for folder in (certificate.key.parent, *certificate.key.parent.parents):
            if str(folder).startswith("/tmp/"):
                folder.chmod(folder.stat().st_mode | 0o011)
        nobody = pwd.getpwnam("nobody")
        os.chown(certificate.key, nobody.pw_uid, nobody.pw_gid)


@pytest.mark.slow
async def test_postgresql_is_talked_to_only_when_its_certificate_and_name_are_right(
    postgres_with_tls: str, authority: Authority, stranger: Authority
) -> None:
    """The pool of a service, and the engine of its migrations, take the same address."""
    good = f"{postgres_with_tls}?sslmode=verify-full&sslrootcert={authority.file}"
    database = Database(good, Clock())
    await database.open()
    async with database.reading() as queries:
        assert await queries.fetch_value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
    await database.close()
    engine = engine_for(good)
    async with engine.connect() as connection:
        answer = await connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
        assert answer.scalar() is True
    await engine.dispose()
    for wrong in (
        good.replace(str(authority.file), str(stranger.file)),
        good.replace("127.0.0.1", "localhost"),
    ):
        with pytest.raises((ssl.SSLCertVerificationError, ConnectionError)):
            await Database(wrong, Clock()).open()
        with pytest.raises((ssl.SSLCertVerificationError, ConnectionError)):
            async with engine_for(wrong).connect():
                """Not reached."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await Database(good.replace(":secret@", f":{PASSWORD}@"), Clock()).open()


@pytest.mark.slow
async def test_postgresql_is_not_trusted_once_its_authority_was_taken_out_of_the_file(
    postgres_with_tls: str, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    trusted = copyfile(authority.file, tmp_path / "trusted.pem")
    database = Database(f"{postgres_with_tls}?sslmode=verify-full&sslrootcert={trusted}", Clock())
    await database.open()
    try:
        async with database.reading():
            copyfile(stranger.file, trusted)
            with pytest.raises((ssl.SSLCertVerificationError, ConnectionError)):
                async with database.reading():  # needs one more connection
                    """Not reached."""
    finally:
        await database.close()


# -- Redis


@pytest.mark.slow
async def test_signals_go_through_redis_with_tls_and_a_password(authority: Authority, stranger: Authority) -> None:
    with EmbeddedServers() as servers:
        plain = servers.redis().url
        login = plain.removeprefix("redis://").partition("@")[0]
        password = login.partition(":")[2]
        assert password
        # The build of Redis here has no TLS.
        with tls_before(urlsplit(plain).port or 6379, authority.issue("redis")) as port:
            good = f"rediss://{login}@127.0.0.1:{port}/0"
            assert await _hears(good, str(authority.file))
            assert not await _hears(good, str(stranger.file))
            assert not await _hears(good, "")
            assert not await _hears(good.replace("127.0.0.1", "localhost"), str(authority.file))
            assert not await _hears(good.replace(password, "wrong"), str(authority.file))
            assert not await _hears(good.replace("rediss", "redis"), "")


@pytest.mark.slow
async def test_redis_is_not_trusted_once_its_authority_was_taken_out_of_the_file(
    authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    trusted = copyfile(authority.file, tmp_path / "trusted.pem")
    with EmbeddedServers() as servers:
        plain = servers.redis().url
        login = plain.removeprefix("redis://").partition("@")[0]
        with tls_before(urlsplit(plain).port or 6379, authority.issue("redis")) as port:
            signals = Signals(f"rediss://{login}@127.0.0.1:{port}/0", "one", ca_file=str(trusted))
            await signals.open()
            try:
                await eventually(lambda: signals.connected)
                redis = signals._redis
                assert redis is not None
                await redis.ping()
                copyfile(stranger.file, trusted)
                await redis.connection_pool.disconnect()
                with pytest.raises(RedisError, match="CERTIFICATE_VERIFY_FAILED"):
                    await redis.ping()
                await eventually(lambda: not signals.connected)
                copyfile(authority.file, trusted)
                await eventually(lambda: signals.connected)
            finally:
                await signals.close()


async def _hears(url: str, ca_file: str) -> bool:
    signals = Signals(url, "one", ca_file=ca_file)
    await signals.open()
    try:
        for _ in range(30):
            if signals.connected:
                return True
            await asyncio.sleep(0.1)
        return False
    finally:
        await signals.close()


# -- The identity provider


class _Keys(BaseHTTPRequestHandler):
    """Shows keys; at /moved it sends elsewhere, without encryption."""

    def do_GET(self) -> None:
        moved = self.path == "/moved"
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", "http://127.0.0.1:1/jwks.json")
        self.end_headers()
        self.wfile.write(b"keys")

    def log_message(self, *_: Any) -> None:
        """Silence."""


@pytest.fixture
def identity_with_tls(authority: Authority) -> Iterator[int]:
    certificate = authority.issue("identity")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Keys)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_keys_come_only_from_the_server_that_the_authority_vouches_for(
    identity_with_tls: int, authority: Authority, stranger: Authority
) -> None:
    url = f"https://127.0.0.1:{identity_with_tls}/jwks.json"
    assert fetch_document(url, str(authority.file)) == b"keys"
    for address, trusted in (
        (url, str(stranger.file)),
        (url, ""),
        (url.replace("127.0.0.1", "localhost"), str(authority.file)),
    ):
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            fetch_document(address, trusted)
    with pytest.raises(ValueError, match="unencrypted address"):
        fetch_document(url.replace("jwks.json", "moved"), str(authority.file))


def test_keys_are_not_taken_once_the_authority_was_taken_out_of_the_file(
    identity_with_tls: int, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    url, trusted = (
        f"https://127.0.0.1:{identity_with_tls}/jwks.json",
        copyfile(authority.file, tmp_path / "trusted.pem"),
    )
    assert fetch_document(url, str(trusted)) == b"keys"
    copyfile(stranger.file, trusted)
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_document(url, str(trusted))


def test_certificates_of_the_tests_are_what_they_say(authority: Authority, tmp_path: Path) -> None:
    """A key with a password opens with it alone, so the tests of such keys mean something."""
    made = authority.issue("locked", password=PASSWORD)
    context = ssl.create_default_context()
    context.load_cert_chain(made.certificate, made.key, PASSWORD)
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(made.certificate, made.key, "wrong")

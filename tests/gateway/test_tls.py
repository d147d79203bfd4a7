"""The gateway ends TLS itself: 1.2 at least, HSTS on every answer, and certificates that are renewed while it runs."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gateway_harness import Gateway, Identity, Server, running_gateway
from gateway_upstream import Upstream, application
from makegood_gateway import WebServer
from makegood_gateway.config import KEYS_PATH
from makegood_testkit.waiting import until

pytestmark = pytest.mark.rule("SEC-2")


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *more: x509.ExtensionType) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, folder: Path) -> int:
        """Writes certificate and key for 127.0.0.1, the key first. Answers the serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = self._sign(name, key, names)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for file, content in (("tls.key", pem), ("tls.crt", made.public_bytes(serialization.Encoding.PEM))):
            fresh = folder / f".{file}"
            fresh.write_bytes(content)
            fresh.replace(folder / file)
        return made.serial_number

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=self.certificate.public_bytes(serialization.Encoding.PEM).decode())
        return context


def port_of(gateway: Gateway) -> int:
    return int(httpx.URL(gateway.url).port or 0)


def handshake(gateway: Gateway, context: ssl.SSLContext) -> tuple[str | None, int]:
    """The version that was agreed on, and the serial number of the certificate that was shown."""
    with (
        socket.create_connection(("127.0.0.1", port_of(gateway)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        return secure.version(), x509.load_der_x509_certificate(shown).serial_number


def test_over_tls_every_answer_tells_browsers_to_stay_there(tmp_path: Path) -> None:
    authority = Authority()
    first = authority.issue(tmp_path)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    with running_gateway(tmp_path, tls_certificate=certificate, tls_key=key) as gateway:
        trusting = authority.trusting()
        with httpx.Client(base_url=f"https://127.0.0.1:{port_of(gateway)}", verify=trusting) as client:
            for path, status in (("/v1/sessions", 200), ("/docs", 200), ("/nowhere", 404)):
                answer = client.get(path, headers=gateway.headers())
                assert answer.status_code == status
                assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
            refused = client.get("/v1/sessions")
            assert (refused.status_code, refused.headers["strict-transport-security"][:8]) == (401, "max-age=")
            assert (
                client.get("/v1/sessions", headers=gateway.headers()).json()["headers"]["x-forwarded-proto"] == "https"
            )

        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port_of(gateway)}/docs")
        old = authority.trusting()
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError):
            handshake(gateway, old)
        middle = authority.trusting()
        middle.maximum_version = ssl.TLSVersion.TLSv1_2
        assert handshake(gateway, middle) == ("TLSv1.2", first)
        assert handshake(gateway, trusting) == ("TLSv1.3", first)

        second = authority.issue(tmp_path)
        until(lambda: handshake(gateway, trusting)[1] == second, what="the renewed certificate is shown")


def test_without_tls_nothing_is_promised(gateway: Gateway, client: httpx.Client) -> None:
    assert "strict-transport-security" not in client.get("/docs").headers


def test_keys_are_fetched_over_tls_and_only_from_who_proves_its_name(tmp_path: Path) -> None:
    authority = Authority()
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    for name, signed_by in (("known", authority), ("unknown", Authority())):
        (folder := tmp_path / name).mkdir()
        signed_by.issue(folder)
        identity = Identity()
        keys = application(Upstream("identity", identity.jwks))
        server = Server(keys, ssl_certfile=folder / "tls.crt", ssl_keyfile=folder / "tls.key")
        try:
            at = WebServer.parse(f"https://127.0.0.1:{server.port}{KEYS_PATH}")
            with running_gateway(folder, identity=at, identity_ca=ca) as gateway:
                headers = {"Authorization": f"Bearer {identity.token()}"}
                sessions = f"{gateway.url}/v1/sessions"
                if name == "known":
                    until(lambda: httpx.get(sessions, headers=headers).status_code == 200, what="the keys are used")  # noqa: B023
                else:
                    stats = f"{gateway.admin}/stats?filter=cluster.identity.ssl.fail_verify_error"
                    until(lambda: not httpx.get(stats).text.endswith(" 0\n"), what="the server was refused")  # noqa: B023
                    assert httpx.get(sessions, headers=headers).status_code == 401
        finally:
            server.stop()

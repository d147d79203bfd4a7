"""In a pod: the keys of an identity provider and a collector of traces behind https, and a mail server that asks for STARTTLS and a login.

`GET /mails` answers with the mails that were taken.
"""

from __future__ import annotations

import gzip
import json
import ssl
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from makegood_contracts.topics import SERVICES

SECRETS = Path("/secrets")
TAKEN: list[dict[str, str]] = []
TRACED: set[str] = set()


def context() -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(SECRETS / "certificate.pem", SECRETS / "key.pem")
    return made


class Mails:
    """Takes what comes after a login."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        TAKEN.append({"to": str(mail["To"]), "subject": str(mail["Subject"])})
        return "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        known = (b"care", (SECRETS / "smtp-password").read_bytes())
        return AuthResult(success=(data.login, data.password) == known)


class Answers(BaseHTTPRequestHandler):
    """The keys, and what came so far."""

    def do_GET(self) -> None:
        contents = {
            "/jwks.json": (SECRETS / "jwks.json").read_bytes(),
            "/mails": json.dumps(TAKEN).encode(),
            "/traced": json.dumps(sorted(TRACED)).encode(),
        }
        self._answer(contents.get(self.path))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else b""
        self.close_connection = True
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        TRACED.update(name for name in SERVICES if f"makegood-{name}".encode() in body)
        self._answer(b"")

    def _answer(self, content: bytes | None) -> None:
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: Any) -> None:
        """Silence."""


def main() -> None:
    mails = Mails()
    Controller(
        mails, "0.0.0.0", 2587, tls_context=context(), require_starttls=True,
        authenticator=mails.login, auth_required=True, auth_require_tls=True,
    ).start()  # fmt: skip
    server = ThreadingHTTPServer(("0.0.0.0", 8443), Answers)
    server.socket = context().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()

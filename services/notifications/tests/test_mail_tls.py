"""E-mails go over TLS with a login, to the very server whose certificate the authority signed, or not at all (NOTE-1)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from makegood_notifications.channels import Unreachable
from makegood_notifications.mail.composer import Mail
from makegood_notifications.mail.smtp import SmtpMailer, SmtpServer
from makegood_testkit.certificates import Authority, Certificate

PASSWORD = "kX9-vT2qLm7_Rb4wZc"
Tls = Literal["starttls", "tls"]


class Inbox:
    """What the server took, and the logins that it saw."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        return "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode())


@asynccontextmanager
async def mail_server(inbox: Inbox, tls: Tls | Literal["none"], certificate: Certificate) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)
    offered: dict[str, Any] = {"tls_context": context, "require_starttls": True} if tls == "starttls" else {}

    def session() -> SMTP:
        return SMTP(
            inbox, authenticator=inbox.login, auth_required=tls != "none", auth_require_tls=tls == "starttls", **offered
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=context if tls == "tls" else None)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def send(server: SmtpServer) -> None:
    mailer = SmtpMailer(server)
    try:
        await mailer.send(lambda: Mail("a@example.org", "b@example.org", b"Subject: x\r\n\r\ny\r\n"))
    finally:
        await mailer.close()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mail_goes_over_tls_with_a_login(tls: Tls, tmp_path: Path) -> None:
    authority, inbox = Authority(tmp_path), Inbox()
    async with mail_server(inbox, tls, authority.issue("mail")) as port:
        await send(SmtpServer("127.0.0.1", port, "care", PASSWORD, tls, ca_file=str(authority.file), timeout=30))
    assert len(inbox.mails) == 1
    assert inbox.logins == [(b"care", PASSWORD.encode())]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_no_other_server_gets_the_mail_or_the_login(tls: Tls, tmp_path: Path) -> None:
    authority, stranger, inbox = Authority(tmp_path), Authority(tmp_path / "stranger"), Inbox()
    async with mail_server(inbox, tls, authority.issue("mail")) as port:
        for host, trusted in (("127.0.0.1", stranger.file), ("localhost", authority.file), ("127.0.0.1", "")):
            with pytest.raises(Unreachable):
                await send(SmtpServer(host, port, "care", PASSWORD, tls, ca_file=str(trusted), timeout=5))
        assert inbox.logins == []
        with pytest.raises(Unreachable):
            await send(SmtpServer("127.0.0.1", port, "care", "wrong", tls, ca_file=str(authority.file), timeout=5))
    assert inbox.mails == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_server_without_tls_gets_neither(tls: Tls, tmp_path: Path) -> None:
    authority, inbox = Authority(tmp_path), Inbox()
    async with mail_server(inbox, "none", authority.issue("mail")) as port:
        with pytest.raises(Unreachable):
            await send(SmtpServer("127.0.0.1", port, "care", PASSWORD, tls, ca_file=str(authority.file), timeout=2))
    assert (inbox.mails, inbox.logins) == ([], [])

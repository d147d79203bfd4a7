"""E-mail over SMTP: the interface `Mailer`, and its implementation with a few connections that stay open (NOTE-1)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import aiosmtplib
from aiosmtplib import errors

from makegood_notifications.channels import PutOff, Refused, Trouble, Unreachable
from makegood_notifications.mail.composer import Mail
from makegood_notifications.settings import NotificationsSettings

_ABOUT_THIS_MAIL: Final = frozenset({452, 552, 555})
"""Replies to MAIL FROM that are about this mail: no room for it now, too large, an unsupported option."""
_ABOUT_US: Final = frozenset({421, 454, 530, 534, 535, 538})
"""The server is closing, or requires a login (RFC 4954 §6). This affects every mail until an operator fixes it."""


class Mailer(Protocol):
    """Hands e-mails to a mail server."""

    async def send(self, compose: Callable[[], Mail]) -> None:
        """Composes the message when its turn comes, and returns once the server has accepted it. Raises Unreachable,
        PutOff, Refused, or what `compose` raises.
        """

    async def close(self) -> None:
        """Closes the connections."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The server to which e-mails go. Durations are in seconds."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Literal["none", "starttls", "tls"] = "none"
    ca_file: str = ""
    """PEM file of the authorities that sign the server's certificate; empty: those that the system trusts."""
    connections: int = 8
    timeout: float = 20.0
    idle: float = 30.0
    """A connection that was idle for longer is not used again, because servers drop such connections silently."""

    @classmethod
    def of(cls, settings: NotificationsSettings) -> SmtpServer:
        """The mail server that the settings name."""
        return cls(
            host=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value(),
            tls=settings.smtp_tls,
            ca_file=settings.smtp_ca_file,
            connections=settings.smtp_connections,
            timeout=settings.smtp_timeout,
        )


class SmtpMailer:
    """Sends over at most `connections` connections. The one used last is used first, so that a quiet service keeps only
    one.
    """

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._free = asyncio.Semaphore(server.connections)
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []

    async def send(self, compose: Callable[[], Mail]) -> None:
        async with self._free:
            mail = compose()
            client, fresh = await self._connection()
            try:
                try:
                    await self._hand_over(client, mail)
                except errors.SMTPServerDisconnected:
                    if fresh:
                        raise
                    # The connection was lost while it was idle. If the server took the message, it gets it again with
                    # the same Message-ID.
                    client = await self._connect()
                    await self._hand_over(client, mail)
            except Trouble:
                self._keep(client)
                raise
            except (errors.SMTPException, OSError, TimeoutError) as error:
                client.close()
                raise Unreachable(type(error).__name__) from None
            except BaseException:
                client.close()
                raise
            self._keep(client)

    async def close(self) -> None:
        clients, self._idle = self._idle, []
        for client, _ in clients:
            try:
                await client.quit(timeout=1)
            except (errors.SMTPException, OSError, TimeoutError):
                client.close()

    async def _connection(self) -> tuple[aiosmtplib.SMTP, bool]:
        while self._idle:
            client, since = self._idle.pop()
            if client.is_connected and time.monotonic() - since < self._server.idle:
                return client, False
            client.close()
        return await self._connect(), True

    async def _connect(self) -> aiosmtplib.SMTP:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username or None,
            password=server.password or None,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            cert_bundle=server.ca_file or None,
            timeout=server.timeout,
            local_hostname="makegood",
        )
        try:
            await client.connect()
        except (errors.SMTPException, OSError, TimeoutError) as error:
            client.close()
            raise Unreachable(type(error).__name__) from None
        return client

    def _keep(self, client: aiosmtplib.SMTP) -> None:
        if client.is_connected:
            self._idle.append((client, time.monotonic()))
        else:
            client.close()

    @staticmethod
    async def _hand_over(client: aiosmtplib.SMTP, mail: Mail) -> None:
        """One SMTP transaction. Distinguishes replies about this message or recipient from those about the server."""
        # Not `sendmail`, which would process the whole mail once more to compute its size (RFC 1870).
        options = [f"SIZE={len(mail.content)}"] if client.supports_extension("size") else []
        try:
            try:
                await client.mail(mail.sender, options=options)
            except errors.SMTPSenderRefused as refusal:
                if refusal.code in _ABOUT_THIS_MAIL:
                    raise
                # Nothing is wrong with this mail (login needed, sender not allowed). An operator must fix it.
                raise Unreachable(f"sender refused with {refusal.code}") from None
            await client.rcpt(mail.recipient)
            await client.data(mail.content)
        except errors.SMTPResponseException as refusal:
            await _start_anew(client)
            raise _verdict(refusal.code) from None
        except Unreachable:
            await _start_anew(client)
            raise


async def _start_anew(client: aiosmtplib.SMTP) -> None:
    """Resets the session, so that nothing of this mail affects the next one."""
    with suppress(OSError, errors.SMTPException):
        await client.rset()


def _verdict(code: int) -> Trouble:
    """RFC 5321 §4.2.1: 4yz is temporary, 5yz is permanent. But some replies are about us, whatever the mail."""
    if code in _ABOUT_US:
        return Unreachable(str(code))
    return Refused(str(code)) if code >= 500 else PutOff(str(code))

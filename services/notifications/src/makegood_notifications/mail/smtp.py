"""E-mail over SMTP: the interface `Mailer`, and its implementation with a few connections that stay open (NOTE-1)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import aiosmtplib
from aiosmtplib import errors
from makegood_chassis.messaging import failpoints

from makegood_notifications.channels import PutOff, Refused, Trouble, Unreachable
from makegood_notifications.mail.composer import Mail
from makegood_notifications.mail.smtp_connection import SmtpConnection
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
        self._idle: list[tuple[SmtpConnection, float]] = []

    async def send(self, compose: Callable[[], Mail]) -> None:
        async with self._free:
            mail = compose()
            connection, fresh = await self._connection()
            try:
                try:
                    await self._hand_over(connection, mail)
                except errors.SMTPServerDisconnected:
                    if fresh:
                        raise
                    # The connection was lost while it was idle. If the server took the message, it gets it again with
                    # the same Message-ID.
                    connection = await self._connect()
                    await self._hand_over(connection, mail)
            except Trouble:
                self._keep(connection)
                raise
            except (errors.SMTPException, OSError, TimeoutError) as error:
                connection.close()
                raise Unreachable(type(error).__name__) from None
            except BaseException:
                connection.close()
                raise
            self._keep(connection)

    async def close(self) -> None:
        connections, self._idle = self._idle, []
        for connection, _ in connections:
            await connection.quit()

    async def _connection(self) -> tuple[SmtpConnection, bool]:
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_open and time.monotonic() - since < self._server.idle:
                return connection, False
            connection.close()
        return await self._connect(), True

    async def _connect(self) -> SmtpConnection:
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
            if client.is_ehlo_or_helo_needed:
                await _greet(client)
        except (errors.SMTPException, OSError, TimeoutError) as error:
            client.close()
            raise Unreachable(type(error).__name__) from None
        return SmtpConnection(client, server.timeout)

    def _keep(self, connection: SmtpConnection) -> None:
        if connection.is_open:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()

    @staticmethod
    async def _hand_over(connection: SmtpConnection, mail: Mail) -> None:
        """One SMTP transaction. Distinguishes replies about this message or recipient from those about the server."""
        try:
            await connection.hand_over(mail)
            failpoints.reached("mail.answered")
        except errors.SMTPResponseException as refusal:
            await connection.reset()
            if isinstance(refusal, errors.SMTPSenderRefused) and refusal.code not in _ABOUT_THIS_MAIL:
                # Nothing is wrong with this mail (login needed, sender not allowed). An operator must fix it.
                raise Unreachable(f"sender refused with {refusal.code}") from None
            raise _verdict(refusal.code) from None


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except errors.SMTPHeloError:
        await client.helo()


def _verdict(code: int) -> Trouble:
    """RFC 5321 §4.2.1: 4yz is temporary, 5yz is permanent. But some replies are about us, whatever the mail."""
    if code in _ABOUT_US:
        return Unreachable(str(code))
    return Refused(str(code)) if code >= 500 else PutOff(str(code))

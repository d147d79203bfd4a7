"""Mails over one SMTP connection (RFC 5321). All commands of a mail go out in one write if the server allows it (RFC 2920).

aiosmtplib connects, encrypts and logs in. Then its transport is taken over: it waits for each answer before the next command,
and so a mail takes four round trips and three times as much processor time.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any, Final, cast

import aiosmtplib
from aiosmtplib import errors
from aiosmtplib.email import quote_address

from makegood_notifications.mail.composer import CRLF, Mail

_ACCEPTED: Final = ((250,), (250, 251), (354,))
"""The answers to MAIL, RCPT and DATA with which a mail goes on."""
_SEND_MAIL: Final = 354
_GOES_AWAY: Final = 421
_LONGEST_LINE: Final = 8192
_GOODBYE: Final = 1.0
"""Seconds that the server has to answer QUIT."""
_PLAIN: Final = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[a-z0-9]+(?:[.-]+[a-z0-9]+)*",
    re.IGNORECASE | re.ASCII,
)
"""An address that needs no quotes (RFC 5321, 4.1.2)."""
_CONTROLS: Final = re.compile(rb"[\x00-\x1f\x7f]")


class SmtpConnection(asyncio.Protocol):
    """An open connection. If it raises SMTPServerDisconnected, TimeoutError or OSError, close it."""

    def __init__(self, client: aiosmtplib.SMTP, timeout: float) -> None:
        """`client` is connected and has sent EHLO; it is used up. `timeout`: seconds that the server has for its answers."""
        self._client = client
        self._timeout = timeout
        self._pipelining = client.supports_extension("pipelining")
        self._takes_size = client.supports_extension("size")
        self._transport = cast(Any, client.transport)  # uvloop's transports are not asyncio's
        self._buffer = bytearray()
        self._codes: list[int] = []
        self._awaited = 0
        self._answered: asyncio.Future[list[int]] | None = None
        self._transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    async def hand_over(self, mail: Mail) -> None:
        """Returns once the server answers for the mail. Raises SMTPSenderRefused, SMTPRecipientRefused or SMTPDataError, after which
        `reset` must follow."""
        size = f" SIZE={len(mail.content)}" if self._takes_size else ""
        commands = (_command("MAIL FROM:", mail.sender, size), _command("RCPT TO:", mail.recipient), b"DATA\r\n")
        content = _in_transit(mail.content)
        codes = await self._envelope(commands)
        for at, code in enumerate(codes):
            if code not in _ACCEPTED[at]:
                if codes[-1] == _SEND_MAIL:
                    await self._ask(b".\r\n")  # the server expects a mail all the same: an empty one, for nobody
                raise _refused(at, code, mail)
        if len(codes) < len(commands):
            raise errors.SMTPServerDisconnected("connection lost")
        (code,) = await self._ask(content)
        if code != 250:
            raise errors.SMTPDataError(code, "")

    async def reset(self) -> None:
        """Ends a transaction that was refused, so that the next mail does not meet what is left of it."""
        if self.is_open:
            with suppress(errors.SMTPServerDisconnected, TimeoutError):
                await self._ask(b"RSET\r\n")
                return
        self.close()

    async def quit(self) -> None:
        """Says goodbye and closes."""
        with suppress(errors.SMTPServerDisconnected, TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self._ask(b"QUIT\r\n")
                self._transport.close()  # over TLS, this says goodbye as well
        self.close()

    def close(self) -> None:
        """Closes at once. What the server has not taken from us by now is never sent."""
        self._transport.abort()
        self._client.close()

    async def _envelope(self, commands: tuple[bytes, ...]) -> list[int]:
        """The answers to the commands, up to the first refusal unless they were sent together."""
        if self._pipelining:
            return await self._ask(b"".join(commands), len(commands))
        codes: list[int] = []
        for command, accepted in zip(commands, _ACCEPTED, strict=True):
            codes += await self._ask(command)
            if codes[-1] not in accepted:
                break
        return codes

    async def _ask(self, sent: bytes, answers: int = 1) -> list[int]:
        """The codes of so many answers; fewer if the connection is lost after some of them."""
        if not self.is_open:
            raise errors.SMTPServerDisconnected("connection lost")
        self._codes, self._awaited = [], answers
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(sent)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._answered
        finally:
            self._answered = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if not line[:3].isdigit():
                self.close()
                return
            if line[3:4] != b"-":  # else the answer goes on
                self._take(int(line[:3]))
        if len(self._buffer) > _LONGEST_LINE:
            self.close()

    def _take(self, code: int) -> None:
        waiting = self._answered
        if waiting is None or waiting.done():  # nothing was asked: the next answer could be mistaken for another one's
            self.close()
            return
        self._codes.append(code)
        if len(self._codes) == self._awaited:
            waiting.set_result(self._codes)
        if code == _GOES_AWAY:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            if self._codes:
                self._answered.set_result(self._codes)
            else:
                self._answered.set_exception(errors.SMTPServerDisconnected("connection lost"))


def _command(verb: str, address: str, options: str = "") -> bytes:
    # The library's check takes longer than the rest of the dialogue.
    path = f"<{address}>" if _PLAIN.fullmatch(address) else quote_address(address)
    command = f"{verb}{path}{options}".encode("ascii")
    if _CONTROLS.search(command):
        raise ValueError("an address has a control character")
    return command + CRLF


def _in_transit(content: bytes) -> bytes:
    """The content with its end, dots at the beginning of lines doubled (RFC 5321, 4.5.2)."""
    # Some servers end a mail at a lone line feed, and would take what follows for commands.
    within_lines = content.replace(CRLF, b"")
    if b"\n" in within_lines or b"\r" in within_lines or not content.endswith(CRLF):
        raise ValueError("a mail has lines that do not end with CRLF")
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return (b"." if content.startswith(b".") else b"") + stuffed + b".\r\n"


def _refused(at: int, code: int, mail: Mail) -> errors.SMTPResponseException:
    """Which command was refused decides what that means. The server's text is left out: it may repeat addresses."""
    if at == 0:
        return errors.SMTPSenderRefused(code, "", mail.sender)
    if at == 1:
        return errors.SMTPRecipientRefused(code, "", mail.recipient)
    return errors.SMTPDataError(code, "")

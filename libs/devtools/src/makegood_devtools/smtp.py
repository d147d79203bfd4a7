"""The SMTP side (RFC 5321, with SIZE, 8BITMIME, SMTPUTF8 and PIPELINING): takes mails as they come, for anybody, and keeps them.

Written out here because a library that reads a mail line by line costs the machine as much as everything that led to the mail.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, cast

from makegood_devtools.mailbox import Mail, Mailbox

MOST_MAIL_BYTES: Final = 10 << 20
_LONGEST_LINE: Final = 4096
_MOST_RECIPIENTS: Final = 1000
_END: Final = b"\r\n.\r\n"
_PATH: Final = re.compile(r"\s*<([^<>\s]*)>(.*)", re.DOTALL)
_EXTENSIONS: Final = (f"SIZE {MOST_MAIL_BYTES}", "8BITMIME", "SMTPUTF8", "PIPELINING")
_CAN: Final = "214 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT"


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._searched = 0
        self._greeted = False
        self._in_data = False
        self._too_much = False
        self._sender: str | None = None
        self._recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports don't inherit from asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(b"220 makegood ESMTP Makegood\r\n")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Takes all that is whole; what was asked together is answered together."""
        self._buffer += data
        answers: list[str] = []
        while self._transport is not None and (answer := self._mail() if self._in_data else self._command()):
            answers.append(answer)
            if answer.startswith(("221", "421")):
                break
        if answers and self._transport is not None:
            self._transport.write(("\r\n".join(answers) + "\r\n").encode())
            if answers[-1].startswith(("221", "421")):
                self._transport.close()

    def _command(self) -> str | None:
        """The answer to the first command of the buffer, if it is there."""
        end = self._buffer.find(b"\n")
        if end < 0 or end > _LONGEST_LINE:
            return "421 4.5.2 Line too long" if len(self._buffer) > _LONGEST_LINE else None
        line = self._buffer[:end].decode(errors="surrogateescape").strip()
        del self._buffer[: end + 1]
        verb, _, words = line.partition(" ")
        match verb.upper():
            case "EHLO" if words:
                self._forget(greeted=True)
                return "\r\n".join(["250-makegood", *(f"250-{each}" for each in _EXTENSIONS), "250 HELP"])
            case "HELO" if words:
                self._forget(greeted=True)
                return "250 makegood"
            case "EHLO" | "HELO":
                return f"501 5.5.4 Syntax: {verb.upper()} hostname"
            case "MAIL":
                return self._mail_from(words)
            case "RCPT":
                return self._rcpt_to(words)
            case "DATA":
                return self._data(words)
            case "RSET":
                self._forget()
                return "250 2.0.0 Ok"
            case "NOOP":
                return "250 2.0.0 Ok"
            case "VRFY":
                return "252 2.0.0 Everybody has a mailbox here"
            case "HELP":
                return _CAN
            case "QUIT":
                return "221 2.0.0 Bye"
        return "500 5.5.2 Command not recognized"

    def _mail_from(self, words: str) -> str:
        if not self._greeted:
            return "503 5.5.1 Send EHLO first"
        if self._sender is not None:
            return "503 5.5.1 Nested MAIL command"
        found = _path(words, "FROM:")
        if found is None:
            return "501 5.5.4 Syntax: MAIL FROM:<address>"
        self._sender, options = found
        for option in options.upper().split():
            name, _, value = option.partition("=")
            if name == "SIZE" and value.isdecimal() and int(value) > MOST_MAIL_BYTES:
                self._sender = None
                return "552 5.3.4 Message too big"
        return "250 2.1.0 Ok"

    def _rcpt_to(self, words: str) -> str:
        if self._sender is None:
            return "503 5.5.1 Send MAIL first"
        found = _path(words, "TO:")
        if found is None or not found[0]:
            return "501 5.5.4 Syntax: RCPT TO:<address>"
        if len(self._recipients) == _MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        self._recipients.append(found[0])
        return "250 2.1.5 Ok"

    def _data(self, words: str) -> str:
        if not self._recipients:
            return "503 5.5.1 Send RCPT first"
        if words:
            return "501 5.5.4 Syntax: DATA"
        self._in_data, self._searched, self._too_much = True, 0, False
        # The end is a dot on a line of its own: with this, also on the first one.
        self._buffer[:0] = b"\r\n"
        return "354 End data with <CR><LF>.<CR><LF>"

    def _mail(self) -> str | None:
        """Keeps the mail at the head of the buffer, once it is whole."""
        end = self._buffer.find(_END, self._searched)
        if end < 0:
            if len(self._buffer) > MOST_MAIL_BYTES:
                # Read to its end all the same, for only then is the sender listening.
                self._too_much = True
                del self._buffer[: -len(_END)]
            self._searched = max(0, len(self._buffer) - len(_END))
            return None
        content = bytes(self._buffer[: end + 2])
        del self._buffer[: end + len(_END)]
        sender, recipients = self._sender or "", tuple(self._recipients)
        self._in_data = False
        self._forget()
        if self._too_much or len(content) > MOST_MAIL_BYTES:
            return "552 5.3.4 Message too big"
        mail = Mail(content.replace(b"\r\n.", b"\r\n")[2:], sender, recipients)
        self._mailbox.add(mail)
        return f"250 2.0.0 Ok: queued as {mail.id}"

    def _forget(self, *, greeted: bool | None = None) -> None:
        """The envelope starts anew."""
        self._greeted = greeted or self._greeted
        self._sender, self._recipients = None, []


def _path(words: str, keyword: str) -> tuple[str, str] | None:
    """The address of `FROM:<address> options`, and the options; None if it is no such thing."""
    if words[: len(keyword)].upper() != keyword:
        return None
    found = _PATH.fullmatch(words[len(keyword) :])
    return (found[1], found[2]) if found else None

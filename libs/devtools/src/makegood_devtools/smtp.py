"""The SMTP server: accepts and stores e-mails for any address (RFC 5321).

Every mail of a load or a demonstration comes here, on the same processors as what is measured. So it reads each piece that arrives
once and answers all commands in it together, which takes a fifth of the time of a server that reads line by line.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final, cast

from makegood_devtools.mailbox import Mail, Mailbox

MOST_MAIL_BYTES: Final = 10 << 20
_LONGEST_LINE: Final = 1 << 14
_IDLE_SECONDS: Final = 300.0
_END: Final = b"\r\n.\r\n"
_PATH: Final = re.compile(r"<([^<>\s]*)>(?: (.*))?")
_SIZE: Final = re.compile(r"\bSIZE=(\d{1,20})\b", re.IGNORECASE)
_GREETING: Final = "220 makegood Makegood"
_OFFERS: Final = ("makegood", f"SIZE {MOST_MAIL_BYTES}", "8BITMIME", "SMTPUTF8", "PIPELINING", "HELP")
_TOO_BIG: Final = "552 5.3.4 Message too big"


def receiver(mailbox: Mailbox) -> Callable[[], asyncio.Protocol]:
    """Makes the protocol of each connection, for `loop.create_server`."""
    return lambda: _Connection(mailbox)


class _Connection(asyncio.Protocol):
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._unread = bytearray()
        self._searched = 0
        """Up to where `_unread` has no end of the mail that is being received."""
        self._too_big = False
        self._receives_mail = False
        self._greeted = False
        self._ended = False
        """Whether the connection is closed after the answers so far."""
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._commands: dict[str, Callable[[str], str]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": lambda _: "250 2.0.0 OK",
            "HELP": lambda _: "250 Supported commands: EHLO HELO MAIL RCPT DATA RSET NOOP VRFY QUIT",
            "VRFY": lambda _: "252 2.0.0 Cannot VRFY user, but will accept message",
            "QUIT": self._quit,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = cast(Any, transport)  # uvloop's transports are not asyncio's
        self._heard = asyncio.get_running_loop().time()
        self._answer([_GREETING])
        self._watch()

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()
        self._unread += data
        answers: list[str] = []
        while (answer := self._next()) is not None:
            answers.append(answer)
        if answers:
            self._answer(answers)
        if self._ended:
            self._transport.close()

    def _watch(self) -> None:
        """Closes the connection when nothing has been heard for long."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard >= _IDLE_SECONDS:
            self._answer(["421 4.4.2 Connection timeout"])
            self._transport.close()
            return
        self._timer = loop.call_at(self._heard + _IDLE_SECONDS, self._watch)

    def _answer(self, answers: list[str]) -> None:
        self._transport.write("".join([f"{answer}\r\n" for answer in answers]).encode())

    def _next(self) -> str | None:
        """The answer to the next mail or command; None if it has not arrived in full."""
        if self._ended:
            return None
        if self._receives_mail:
            return self._end_of_mail()
        end = self._unread.find(b"\n")
        if end < 0 and len(self._unread) <= _LONGEST_LINE:
            return None
        line = bytes(self._unread[: end + 1 if end >= 0 else len(self._unread)])
        del self._unread[: len(line)]
        if len(line) > _LONGEST_LINE:
            self._ended = True  # what follows may be the rest of the line, which is no command
            return "500 5.5.2 Line too long"
        try:
            verb, _, rest = line.decode().strip().partition(" ")
        except UnicodeDecodeError:
            return "500 5.5.2 The command is not UTF-8"
        command = self._commands.get(verb.upper())
        return command(rest.strip()) if command else "500 5.5.1 Command not recognized"

    def _end_of_mail(self) -> str | None:
        end = self._unread.find(_END, self._searched)
        self._too_big = self._too_big or (end if end >= 0 else len(self._unread)) > MOST_MAIL_BYTES
        if end < 0:
            if self._too_big:
                del self._unread[: 1 - len(_END)]
            self._searched = max(0, len(self._unread) + 1 - len(_END))
            return None
        content = bytes(self._unread[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]
        del self._unread[: end + len(_END)]
        sender, recipients, too_big = self._sender, self._recipients, self._too_big
        self._receives_mail = False
        self._forget()
        if too_big:
            return _TOO_BIG
        mail = Mail(content, sender or "", tuple(recipients))
        self._mailbox.add(mail)
        return f"250 2.0.0 Ok: queued as {mail.id}"

    def _forget(self) -> None:
        self._sender, self._recipients, self._too_big = None, [], False

    def _ehlo(self, host: str) -> str:
        if not host:
            return "501 Syntax: EHLO hostname"
        self._greeted = True
        self._forget()
        return "\r\n".join([*(f"250-{offer}" for offer in _OFFERS[:-1]), f"250 {_OFFERS[-1]}"])

    def _helo(self, host: str) -> str:
        if not host:
            return "501 Syntax: HELO hostname"
        self._greeted = True
        self._forget()
        return "250 makegood"

    def _mail(self, rest: str) -> str:
        if not self._greeted:
            return "503 5.5.1 Error: send HELO first"
        if rest[:5].upper() != "FROM:":
            return "501 5.5.4 Syntax: MAIL FROM: <address>"
        path = _PATH.fullmatch(rest[5:].strip())
        if path is None:
            return "553 5.1.3 Error: malformed address"
        if self._sender is not None:
            return "503 5.5.1 Error: nested MAIL command"
        size = _SIZE.search(path[2] or "")
        if size and int(size[1]) > MOST_MAIL_BYTES:
            return _TOO_BIG
        self._sender = path[1]
        return "250 2.1.0 OK"

    def _rcpt(self, rest: str) -> str:
        if self._sender is None:
            return "503 5.5.1 Error: need MAIL command"
        if rest[:3].upper() != "TO:":
            return "501 5.5.4 Syntax: RCPT TO: <address>"
        path = _PATH.fullmatch(rest[3:].strip())
        if path is None or not path[1]:
            return "553 5.1.3 Error: malformed address"
        self._recipients.append(path[1])
        return "250 2.1.5 OK"

    def _data(self, rest: str) -> str:
        if rest:
            return "501 5.5.4 Syntax: DATA"
        if not self._recipients:
            return "503 5.5.1 Send RCPT first"
        self._receives_mail = True
        self._unread[:0] = b"\r\n"  # the end of the line DATA: the dot may follow at once
        self._searched = 0
        return "354 End data with <CR><LF>.<CR><LF>"

    def _rset(self, _: str) -> str:
        self._forget()
        return "250 2.0.0 OK"

    def _quit(self, _: str) -> str:
        self._ended = True
        return "221 2.0.0 Bye"

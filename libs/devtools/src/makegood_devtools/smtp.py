"""The SMTP server: accepts and stores e-mails for any address.

Every mail of a load or a demonstration comes here. So aiosmtpd, which reads a mail line by line and parses each address as the
header of a mail, is told to read the mail at once and to split addresses: that takes a quarter of the processor time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final

from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

from makegood_devtools.mailbox import Mail, Mailbox

MOST_MAIL_BYTES: Final = 10 << 20
_END: Final = b"\r\n.\r\n"
_PATH: Final = re.compile(r"<([^<>\s]*)>(.*)", re.DOTALL)


def receiver(mailbox: Mailbox) -> Callable[[], SMTP]:
    """Makes the protocol of each connection, for `loop.create_server`."""
    keeper = _Keeper(mailbox)
    return lambda: _Server(
        keeper,
        hostname="makegood",
        ident="Makegood",
        data_size_limit=MOST_MAIL_BYTES,
        enable_SMTPUTF8=True,
        loop=asyncio.get_running_loop(),
    )


class _Server(SMTP):
    line_length_limit = 1 << 16
    """How much is read ahead."""

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:
        envelope = self.envelope
        assert envelope is not None
        if arg or not envelope.rcpt_tos:
            await self.push("501 5.5.4 Syntax: DATA" if arg else "503 5.5.1 Send RCPT first")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._content()
        if content is None:
            answer = "552 5.3.4 Message too big"
        else:
            envelope.original_content = content
            answer = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(answer)

    async def _content(self) -> bytes | None:
        """The mail, read to its end; None if it is too big."""
        read = bytearray(b"\r\n")  # the end of the line DATA: the dot may follow at once
        too_big = False
        while not read.endswith(_END):
            try:
                read += await self._reader.readuntil(_END[2:])
            except asyncio.LimitOverrunError as overrun:
                read += await self._reader.read(overrun.consumed)
            if len(read) > MOST_MAIL_BYTES:
                too_big = True
                del read[: -len(_END)]
        return None if too_big else bytes(read[:-3]).replace(b"\r\n.", b"\r\n")[2:]

    @staticmethod
    def _getaddr(arg: str) -> tuple[str | None, str | None]:
        """An address and the options behind it."""
        found = _PATH.fullmatch(arg.strip())
        return (found[1] or "<>", found[2].strip()) if found else (None, None)


class _Keeper:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", *responses[-1:]]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content: Any = envelope.original_content or b""
        sender = (envelope.mail_from or "").strip("<>")
        mail = Mail(content, sender, tuple(envelope.rcpt_tos))
        self._mailbox.add(mail)
        return f"250 2.0.0 Ok: queued as {mail.id}"

"""The SMTP server: accepts and stores e-mails for any address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from makegood_devtools.mailbox import Mail, Mailbox

MOST_MAIL_BYTES: Final = 10 << 20


def receiver(mailbox: Mailbox) -> Callable[[], SMTP]:
    """Makes the protocol of each connection, for `loop.create_server`."""
    keeper = _Keeper(mailbox)
    return lambda: SMTP(
        keeper,
        hostname="makegood",
        ident="Makegood",
        data_size_limit=MOST_MAIL_BYTES,
        enable_SMTPUTF8=True,
        loop=asyncio.get_running_loop(),
    )


class _Keeper:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        sender = (envelope.mail_from or "").strip("<>")
        mail = Mail(content, sender, tuple(envelope.rcpt_tos))
        self._mailbox.add(mail)
        return f"250 2.0.0 Ok: queued as {mail.id}"

"""`python -m makegood_cli.devside`: the mail server, its page, and the identity's key set, in one process."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session

from makegood_cli.devside.keys import signing_key
from makegood_cli.devside.mailbox import Mail, Mailbox
from makegood_cli.devside.web import web_app

MOST_MAIL_BYTES = 10 << 20


class Receiver:
    """Takes a mail as it comes; aiosmtpd calls the `handle_` methods."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        mail = Mail(content, envelope.mail_from or "", tuple(envelope.rcpt_tos))
        self._mailbox.add(mail)
        return f"250 2.0.0 Ok: queued as {mail.id}"


def smtp_protocol(mailbox: Mailbox) -> SMTP:
    """The protocol of one connection: no login, mails up to 10 MiB."""
    return SMTP(
        Receiver(mailbox), data_size_limit=MOST_MAIL_BYTES, enable_SMTPUTF8=True, hostname="makegood", ident="Makegood"
    )


async def serve(listen: str, smtp_port: int, http_port: int, keys: Path, mailbox: Mailbox) -> None:
    """Serves until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: smtp_protocol(mailbox), listen, smtp_port)
    config = uvicorn.Config(
        web_app(mailbox, keys), host=listen, port=http_port, log_level="warning", access_log=False, lifespan="off"
    )
    config.timeout_graceful_shutdown = 2
    async with smtp:
        await uvicorn.Server(config).serve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--smtp-port", type=int, default=1025)
    parser.add_argument("--http-port", type=int, default=8025)
    parser.add_argument("--keys", type=Path, required=True, help="folder of the development identity's keys")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    signing_key(options.keys)
    uvloop.run(serve(options.listen, options.smtp_port, options.http_port, options.keys, Mailbox()))


if __name__ == "__main__":
    main()

"""`python -m makegood_devtools`: the mail server, its page, and the identity's key set, in one process."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

import uvicorn
import uvloop

from makegood_devtools.keys import signing_key
from makegood_devtools.mailbox import Mailbox
from makegood_devtools.smtp import receiver
from makegood_devtools.web import web_app


async def serve(
    listen: str, smtp_port: int, http_port: int, keys: Path, event_keys: Path | None, api: str, mailbox: Mailbox
) -> None:
    """Serves until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(receiver(mailbox), listen, smtp_port)
    config = uvicorn.Config(
        web_app(mailbox, keys, api, event_keys),
        host=listen,
        port=http_port,
        log_level="warning",
        access_log=False,
        lifespan="off",
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
    parser.add_argument("--event-keys", type=Path, help="file of the public keys that sign events (JWKS)")
    parser.add_argument("--api", default="", help="address of the gateway, which is asked about join links")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signing_key(options.keys)
    ports = (options.smtp_port, options.http_port)
    uvloop.run(serve(options.listen, *ports, options.keys, options.event_keys, options.api, Mailbox()))


if __name__ == "__main__":
    main()

"""Redis: it holds only what may be lost, so nothing is written to disk."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from makegood_cli.stack.ports import LISTEN
from makegood_cli.stack.processes import Spec

if TYPE_CHECKING:
    from makegood_cli.stack.packages import Programs

NAME = "redis"


def url(port: int) -> str:
    return f"redis://{LISTEN}:{port}/0"


def spec(folder: Path, programs: Programs, port: int) -> Spec:
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": LISTEN,
        "port": str(port),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "maxmemory": "128mb",
        "maxmemory-policy": "allkeys-lru",
        "tcp-backlog": "128",
        "dir": str(folder),
    }
    command = [str(programs.redis)]
    for key, value in options.items():
        command += [f"--{key}", value]
    return Spec(name=NAME, command=tuple(command), ports={"Redis": port}, folder=folder, stop_seconds=5)


async def answers(port: int, host: str = LISTEN) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(b"PING\r\n")
            await writer.drain()
            return (await asyncio.wait_for(reader.readline(), 2)).startswith(b"+PONG")
        finally:
            writer.close()
    except (OSError, TimeoutError):
        return False

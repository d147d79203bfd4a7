"""Redis. Its data may be lost, so nothing is written to disk. It has one login with just the needed rights."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from makegood_stack.ports import LISTEN
from makegood_stack.processes import Spec

if TYPE_CHECKING:
    from makegood_stack.packages import Programs

NAME = "redis"
LOGIN = "makegood"


def rights(below: str = "makegood:") -> str:
    """A login's ACL: publish wake-ups and keep lists of open streams, all below this name. A service uses `makegood:<service>:`."""
    commands = "-@all +@connection +@pubsub +@sortedset +@transaction +expire -@blocking -@admin -@dangerous"
    return f"resetkeys ~{below}* resetchannels &{below}* {commands}"


def password(folder: Path) -> str:
    """The login's password, made at its first use. Only the owner of the folder can read it."""
    file = folder / "password"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".password.{os.getpid()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writing:
            writing.write(secrets.token_urlsafe(24))
        # The first process writes it; the others read it.
        with contextlib.suppress(FileExistsError):
            os.link(fresh, file)
        fresh.unlink()
    return file.read_text()


def url(folder: Path, port: int, host: str = LISTEN) -> str:
    """The address with login and password."""
    return f"redis://{LOGIN}:{password(folder)}@{host}:{port}/0"


def configuration(
    secret: str, folder: Path, port: int, listen: str = LISTEN, services: Mapping[str, str] | None = None
) -> str:
    """The server's configuration. Connections need the password. `services`: passwords of services with a login of their own."""
    logins = {LOGIN: (secret, rights())} | {
        service: (own, rights(f"makegood:{service}:")) for service, own in (services or {}).items()
    }
    options = {
        "bind": listen,
        "port": str(port),
        "protected-mode": "yes",
        "save": '""',
        "appendonly": "no",
        "daemonize": "no",
        "maxmemory": "128mb",
        "maxmemory-policy": "allkeys-lru",
        "tcp-backlog": "128",
        "dir": f'"{folder}"',
        **{
            f"user {login}": f"on #{hashlib.sha256(own.encode()).hexdigest()} {may}"
            for login, (own, may) in logins.items()
        },
        "user default": "off resetpass -@all",
    }
    return "".join(f"{name} {value}\n" for name, value in options.items())


def spec(folder: Path, programs: Programs, port: int, services: Mapping[str, str] | None = None) -> Spec:
    """Writes the configuration and returns how to start the server. The command line would be visible to all users."""
    text = configuration(password(folder), folder, port, services=services)
    file = folder / "redis.conf"
    file.touch(mode=0o600)
    file.write_text(text)
    version = hashlib.sha256(text.encode()).hexdigest()
    command = (str(programs.redis), str(file))
    return Spec(name=NAME, command=command, ports={"Redis": port}, folder=folder, stop_seconds=5, version=version)


async def answers(address: str) -> bool:
    """Whether the server at this address accepts the login and answers."""
    parts = urlsplit(address)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname or LISTEN, parts.port or 6379)
        try:
            login = " ".join(word for word in (parts.username, parts.password) if word)
            lines = ([f"AUTH {login}"] if login else []) + ["PING"]
            writer.write("".join(f"{line}\r\n" for line in lines).encode())
            await writer.drain()
            replies = [await asyncio.wait_for(reader.readline(), 2) for _ in lines]
            return replies[-1].startswith(b"+PONG")
        finally:
            writer.close()
    except (OSError, TimeoutError):
        return False

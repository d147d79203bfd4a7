"""Runs the platform in containers (`docker compose`), with this installation's ports and development keys."""

from __future__ import annotations

import os
import subprocess
import time

import httpx
from makegood_devtools import keys
from makegood_devtools.errors import UserError
from makegood_devtools.event_keys import make_event_keys
from makegood_devtools.join_key import make_join_key
from rich.console import Console

from makegood_stack.config import Choices, Stack, logins_of_containers
from makegood_stack.home import Home
from makegood_stack.ports import SERVICES, Ports

_PORT_VARIABLES = {
    "GATEWAY_PORT": "gateway",
    "GATEWAY_ADMIN_PORT": "gateway_admin",
    "KAFKA_PORT": "kafka",
    "POSTGRES_PORT": "postgresql",
    "REDIS_PORT": "redis",
    "SMTP_PORT": "smtp",
    "MAIL_PORT": "mail",
    **{f"{service.upper()}_PORT": service for service in SERVICES},
}


def up(home: Home, port_offset: int, console: Console) -> Stack:
    """Builds missing images, starts the containers, and waits until all services answer. Raises UserError."""
    home.make()
    # The development signing key must exist before containers mount its folder.
    keys.signing_key(home.identity)
    make_join_key(home.join_links)
    make_event_keys(home.event_keys)
    console.print("building images (takes minutes the first time, then seconds)")
    # One after another, because they share their first stage, which parallel builds would repeat.
    _compose(home, port_offset, "build", "--quiet", COMPOSE_PARALLEL_LIMIT="1")
    console.print("starting containers")
    _compose(home, port_offset, "up", "--detach", "--wait", "--wait-timeout", "240")
    stack = Stack(home, Choices(port_offset=port_offset), logins=logins_of_containers(home))
    _reachable(stack)
    return stack


def down(home: Home, port_offset: int, *, volumes: bool = False) -> None:
    """Stops and removes the containers. Keeps the data unless `volumes`."""
    _compose(home, port_offset, "down", *(["--volumes"] if volumes else []))


def _compose(home: Home, port_offset: int, *words: str, **more: str) -> None:
    ports = Ports(port_offset)
    variables = {variable: str(ports.of(part)) for variable, part in _PORT_VARIABLES.items()}
    environment = {**os.environ, **variables, "MAKEGOOD_HOME": str(home.state.parent), **more}
    command = ["docker", "compose", *words]
    try:
        result = subprocess.run(  # noqa: S603 - our own command
            command, cwd=home.root, env=environment, check=False, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise UserError("docker is not installed. To run without it: make demo") from None
    if result.returncode:
        end = "\n".join(result.stderr.strip().splitlines()[-15:])
        raise UserError(f"docker compose {words[0]} failed:\n{end}")


def _reachable(stack: Stack, seconds: float = 60) -> None:
    """Waits until requests through the gateway reach all services."""
    paths = [f"/v1/{service}/openapi.json" for service in SERVICES]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if all(httpx.get(stack.base_url + path, trust_env=False, timeout=5).is_success for path in paths):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    raise UserError(f"the gateway at {stack.base_url} does not reach all services after {seconds:g} s")

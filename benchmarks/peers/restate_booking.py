"""A booking as a Restate handler of three durable steps: hold the slot, hold the credit, reserve.

Restate (https://docs.restate.dev) is a server that records each step in a log of its own, which it syncs to the disk before
it goes on; the handler runs in Python behind Hypercorn, over HTTP/2, as its guide for production shows. Clients send HTTP
requests to Restate and wait for the result. What it does not do here: no broker and no events, no sign-in, no idempotency
keys, no refusals, no expiry of holds, and one service instead of three.

    python -m peers.restate_booking --server postgresql://postgres@127.0.0.1:5432/postgres --tools ../.makegood/peers
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import restate
from measuring import Numbers, PeerOptions, peer_main
from scratch import scratch_database
from vegeta import Answer, peer_attacks

from peers import steps
from peers.children import HOST, free_ports, running

_WORKERS = 2
"""Processes of the service: one a core."""
_URL = "MAKEGOOD_BENCH_RESTATE_URL"
_HYPERCORN = """
bind = "{host}:{port}"
workers = {workers}
h2_max_concurrent_streams = 2147483647
keep_alive_max_requests = 2147483647
keep_alive_timeout = 2147483647
"""

booking = restate.Service("booking")


@booking.handler()
async def book(context: restate.Context, number: int) -> bool:
    return (
        await context.run_typed("hold slot", steps.hold_slot, number=number)
        and await context.run_typed("hold credit", steps.hold_credit, number=number)
        and await context.run_typed("reserve", steps.reserve, number=number)
    )


_handlers = restate.app(services=[booking])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The handlers behind a lifespan of our own, because Restate's has no place for connections."""
    if scope["type"] != "lifespan":
        await _handlers(scope, receive, send)
        return
    await receive()
    await steps.connect(os.environ[_URL])
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await steps.close()
    await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def _service(folder: Path, url: str, tools: Path) -> Iterator[str]:
    """Restate and the service, and the address that clients send to."""
    fabric, ingress, admin, service = free_ports(4)
    settings = folder / "hypercorn.toml"
    settings.write_text(_HYPERCORN.format(host=HOST, port=service, workers=_WORKERS))
    [binary] = tools.glob("node_modules/@restatedev/restate-server-*/bin/restate-server")
    environment = {
        "RESTATE_BASE_DIR": str(folder / "data"),
        "RESTATE_BIND_ADDRESS": f"{HOST}:{fabric}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://{HOST}:{fabric}",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{admin}",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "warn",
    }
    hypercorn = (sys.executable, "-m", "hypercorn", "--config", str(settings), "peers.restate_booking:app")
    with (
        running(folder / "hypercorn.log", *hypercorn, port=service, environment={_URL: url}),
        running(folder / "restate.log", str(binary), port=admin, environment=environment),
    ):
        _register(admin, service)
        yield f"http://{HOST}:{ingress}/booking/book"


def _register(admin: int, service: int) -> None:
    """Tells Restate where the service is."""
    connection = http.client.HTTPConnection(HOST, admin, timeout=20)
    body = json.dumps({"uri": f"http://{HOST}:{service}"})
    connection.request("POST", "/deployments", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 201, response.read()
    connection.close()


async def _measure(options: PeerOptions) -> dict[int, Numbers]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with scratch_database(options.server, "makegood_bench_restate") as url:
            with _service(folder, url, options.tools) as address:
                return peer_attacks(options, folder, address, range, _is_booked)


def _is_booked(answer: Answer) -> bool:
    return answer.status == 200 and answer.body == b"true"


if __name__ == "__main__":
    peer_main(__doc__, lambda options: asyncio.run(_measure(options)), [16, 64, 128])

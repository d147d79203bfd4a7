"""`clock`: the development clock of all four services, moved together."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import aiohttp
import typer

from makegood_cli.devside import keys
from makegood_cli.duration import parse_duration
from makegood_cli.errors import UserError
from makegood_cli.stack.config import Stack
from makegood_cli.stack.home import Home
from makegood_cli.stack.ports import SERVICES

_PATIENCE = 120.0
clock = typer.Typer(help="The development clock; refused outside development.", no_args_is_help=True)


class DevelopmentClock:
    """The clock of a running stack, through its gateway. Use as `async with`."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._client = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"}, timeout=aiohttp.ClientTimeout(total=10)
        )

    @classmethod
    def of(cls, stack: Stack) -> DevelopmentClock:
        token = keys.token(stack.home.identity, "ops", "makegood-cli", timedelta(minutes=10))
        return cls(stack.base_url, token)

    async def __aenter__(self) -> DevelopmentClock:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def _call(self, method: str, service: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        url = f"{self._base_url}/v1/{service}/dev/clock"
        try:
            async with self._client.request(method, url, json=body) as response:
                if response.status == 200:
                    answer: dict[str, Any] = await response.json()
                    return answer
                text = (await response.text())[:300]
                if response.status in (403, 404, 405):
                    raise UserError(
                        f"{service} refuses to have its clock moved: that is for development alone "
                        f"(MAKEGOOD_ENVIRONMENT=development); it answered {response.status}"
                    )
                raise UserError(f"the clock of {service} cannot be reached: {response.status} {text}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UserError(
                f"the gateway at {self._base_url} does not answer ({error}); is it up? makegood up"
            ) from error

    async def now(self) -> dict[str, dict[str, Any]]:
        """What each service's clock says."""
        answers = await asyncio.gather(*(self._call("GET", s) for s in SERVICES))
        return dict(zip(SERVICES, answers, strict=True))

    async def move(self, services: Sequence[str], to: datetime) -> None:
        """Sets the clocks of these services alone, without waiting until they have settled: for load that meters time."""
        offset = (to - datetime.now(UTC)).total_seconds()
        await asyncio.gather(*(self._call("PUT", s, {"offset_seconds": offset}) for s in services))

    async def advance(self, by: timedelta) -> str:
        """Moves all four on by `by` from the furthest of them; answers the new time (RFC 3339) once all have settled.

        Settled: every process has the new time, and what was due up to it has been taken up.
        """
        clocks = await self.now()
        offset = max(float(c["offset_seconds"]) for c in clocks.values()) + by.total_seconds()
        body = {"offset_seconds": offset}
        await asyncio.gather(*(self._call("PUT", s, body) for s in SERVICES))
        until = time.monotonic() + _PATIENCE
        while True:
            clocks = await self.now()
            waiting = [s for s, c in clocks.items() if not c["settled"]]
            if not waiting:
                return str(clocks["booking"]["now"])
            if time.monotonic() > until:
                raise UserError(
                    f"the clock is moved, but {', '.join(waiting)} has not caught up after {_PATIENCE:.0f} s"
                )
            await asyncio.sleep(0.1)


@clock.command()
def now() -> None:
    """Print the product's present moment."""

    async def ask() -> str:
        async with DevelopmentClock.of(Stack.of(Home.find())) as clocks:
            return str((await clocks.now())["booking"]["now"])

    sys.stdout.write(asyncio.run(ask()) + "\n")


@clock.command()
def advance(
    duration: Annotated[str, typer.Argument(help="90s, 15m, 48h, 25d …")],
) -> None:
    """Move the clock on; answers when what was due up to the new time has been taken up."""
    by = parse_duration(duration)

    async def move() -> str:
        async with DevelopmentClock.of(Stack.of(Home.find())) as clocks:
            return await clocks.advance(by)

    sys.stdout.write(asyncio.run(move()) + "\n")


def register(app: typer.Typer) -> None:
    app.add_typer(clock, name="clock")

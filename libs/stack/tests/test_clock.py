"""The clock's command against services of which one refuses: what has moved and what has not is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from makegood_devtools.errors import UserError
from makegood_devtools.keys import Login
from makegood_stack.backlog import Backlog
from makegood_stack.devclock import DevelopmentClock
from makegood_stack.ports import SERVICES

NOW = {"now": "2026-12-07T14:00:00Z", "offset_seconds": 3000 * 86400.0, "settled": True}


class Clocks:
    """What the gateway leads to: four clocks, some of which are out of order. `moved`: where the others stand."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.moved: dict[str, float] = {}

    async def read(self, request: web.Request) -> web.Response:
        return web.json_response(NOW)

    async def move(self, request: web.Request) -> web.Response:
        service = request.match_info["service"]
        if service in self.broken:
            return web.json_response({"type": "/problems/unavailable"}, status=503)
        self.moved[service] = (await request.json())["offset_seconds"]
        return web.json_response(NOW)


@pytest.fixture
async def clocks(tmp_path: Path) -> AsyncIterator[tuple[Clocks, DevelopmentClock]]:
    there = Clocks()
    app = web.Application()
    app.router.add_get("/v1/{service}/dev/clock", there.read)
    app.router.add_put("/v1/{service}/dev/clock", there.move)
    async with TestServer(app) as server:
        backlog = Backlog("127.0.0.1:1", "")
        async with DevelopmentClock(
            str(server.make_url("")).rstrip("/"), Login(tmp_path, "ops", "clock"), backlog
        ) as clock:
            yield there, clock


async def test_a_partial_move_names_who_moved_and_who_did_not(clocks: tuple[Clocks, DevelopmentClock]) -> None:
    there, clock = clocks
    there.broken = {"credits"}
    with pytest.raises(UserError) as caught:
        await clock.move(SERVICES, datetime.now(UTC) + timedelta(days=1))
    assert "the clock of booking, availability, notifications was moved, but not that of credits" in str(caught.value)
    assert "503" in str(caught.value)
    assert set(there.moved) == set(SERVICES) - {"credits"}


async def test_more_than_ten_years_ahead_is_refused_before_anything_is_sent(
    clocks: tuple[Clocks, DevelopmentClock],
) -> None:
    there, clock = clocks
    with pytest.raises(UserError, match="3660 days ahead") as caught:
        await clock.advance(timedelta(days=661))
    assert caught.value.exit_code == 2
    assert there.moved == {}

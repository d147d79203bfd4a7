"""A service's routing tables, bound to its dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import DeadlineRoutes, Due, bind

UNIT = cast(UnitOfWork, object())


async def test_a_handler_gets_the_dependencies_if_it_asks_for_them() -> None:
    calls: list[tuple[Any, ...]] = []

    async def on_plain(due: Sequence[Due], unit: UnitOfWork) -> None:
        calls.append((due, unit))

    async def on_dependent(due: Sequence[Due], unit: UnitOfWork, dependencies: str) -> None:
        calls.append((due, unit, dependencies))

    routes: DeadlineRoutes[str] = {"plain": on_plain, "dependent": on_dependent}
    bound = bind(routes, "clock")
    await bound["plain"]((), UNIT)
    await bound["dependent"]((), UNIT)
    assert calls == [((), UNIT), ((), UNIT, "clock")]

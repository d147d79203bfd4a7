"""Restarts parts of a running stack: the processes of a service one after the other, so that the others go on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from makegood_devtools.errors import UserError
from rich.console import Console

from makegood_stack.config import PARTS, Stack
from makegood_stack.home import Home
from makegood_stack.locks import exclusive
from makegood_stack.packages import provide
from makegood_stack.ports import SERVICES
from makegood_stack.processes import Running, Supervisor
from makegood_stack.services import service_specs
from makegood_stack.up import Starter


@dataclass(frozen=True)
class Restarted:
    """A process that was restarted. `stopping`: seconds that it took to stop. `killed`: it did not stop in time."""

    name: str
    stopping: float
    killed: bool


def restart(home: Home, name: str, console: Console) -> list[Restarted]:
    """Restarts all processes of a service (`credits`), or of one of its roles (`credits-work`), or one (`credits-work-1`).

    Each is ready before the next one stops. Raises UserError if there is nothing of that name to restart.
    """
    done = []
    home.make()
    with exclusive(home.state / "lock", "restart"):
        stack, supervisor = replace(Stack.of(home), logins={}), Supervisor(home)
        running = supervisor.running()
        chosen = _chosen(stack, name, running)
        programs = provide(home, console)
        for record in chosen:
            begun = time.monotonic()
            killed = bool(supervisor.stop([record]))
            done.append(Restarted(record.name, time.monotonic() - begun, killed))
            word = "killed (it did not stop in time)" if killed else f"stopped in {done[-1].stopping:.1f} s"
            console.print(f"  {record.name:<16} {word}")
            left = {one: other for one, other in running.items() if one != record.name}
            starter = Starter(stack, programs, supervisor, console, frozenset({record.name} & set(PARTS)), left)
            asyncio.run(_start(starter, record.name))
    return done


def _chosen(stack: Stack, name: str, running: dict[str, Running]) -> list[Running]:
    """The running processes that the name means, in the order of their numbers."""
    every = [process for service in SERVICES for process in stack.processes(service)]
    named = [one.name for one in every if name in (one.service, one.group, one.numbered)] or [name]
    chosen = [running[one] for one in named if one in running]
    if chosen:
        return chosen
    if name in PARTS or named != [name]:
        raise UserError(f"{name} is not running. Start it with: makegood up")
    raise UserError(
        f"{name} is neither a service nor a process. Running: {', '.join(running) or 'nothing'}", exit_code=2
    )


async def _start(starter: Starter, name: str) -> None:
    specs = {spec.name: spec for service in SERVICES for spec in service_specs(starter.stack, service)}
    if name in specs:
        await starter.process(specs[name])
    else:
        await starter.run()

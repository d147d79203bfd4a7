"""One transaction for many concurrent commands: while one batch commits, the next gathers. Idle, a command waits for nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from makegood_chassis.database import Database, UnitOfWork

C = TypeVar("C")
R = TypeVar("R")


class GroupCommit(Generic[C, R]):
    """`apply(commands, unit)` answers one result a command, in order; a result that is an exception is raised to its caller
    alone. If `apply` itself raises, each command is tried again by itself, so that one cannot spoil the others."""

    def __init__(
        self,
        database: Database,
        apply: Callable[[Sequence[C], UnitOfWork], Awaitable[Sequence[R | Exception]]],
        *,
        most: int = 128,
        at_once: int = 2,
    ) -> None:
        raise NotImplementedError

    async def submit(self, command: C) -> R:
        """The command's result, once committed. A caller that is cancelled does not cancel the batch."""
        raise NotImplementedError

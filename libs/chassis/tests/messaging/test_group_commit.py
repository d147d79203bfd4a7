"""Group commit: commands share transactions, and share nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from makegood_chassis.database import Database, UnitOfWork
from makegood_chassis.group_commit import GroupCommit, GroupWrite

from .messaging_helpers import effects


class Commands:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def apply(self, commands: Sequence[str], unit: UnitOfWork) -> Sequence[str | Exception]:
        self.sizes.append(len(commands))
        await unit.execute(
            "INSERT INTO effects (event_id, key, sequence) SELECT '', unnest($1::text[]), 0", list(commands)
        )
        if "spoils" in commands:
            raise ZeroDivisionError
        if "away" in commands:
            raise ConnectionResetError
        if "deadlock" in commands and len(commands) > 1:
            raise asyncpg.DeadlockDetectedError("of a test")
        return [KeyError(command) if command == "refused" else command.upper() for command in commands]


async def test_idle_a_command_is_committed_by_itself_at_once(database: Database) -> None:
    commands = Commands()
    group = GroupCommit(database, commands.apply)
    assert await group.submit("a") == "A"
    assert commands.sizes == [1]
    assert len(await effects(database)) == 1


async def test_while_one_batch_commits_the_next_gathers(database: Database) -> None:
    commands = Commands()
    group = GroupCommit(database, commands.apply, most=50, at_once=1)
    answers = await asyncio.gather(*(group.submit(f"c{number}") for number in range(200)))
    assert answers == [f"C{number}" for number in range(200)]
    assert sum(commands.sizes) == 200
    assert max(commands.sizes) == 50
    assert len(commands.sizes) <= 6


async def test_a_batch_whose_commands_went_with_another_is_not_committed(database: Database) -> None:
    commands = Commands()
    both_wait = asyncio.Barrier(2)

    async def linger() -> None:
        await both_wait.wait()

    group = GroupCommit(database, commands.apply, at_once=2, linger=linger)
    assert list(await asyncio.gather(group.submit("a"), group.submit("b"))) == ["A", "B"]
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    assert commands.sizes == [2]


async def test_a_refusal_is_raised_to_its_caller_alone(database: Database) -> None:
    group = GroupCommit(database, Commands().apply, at_once=1)
    answers = await asyncio.gather(*(group.submit(c) for c in ("a", "refused", "b")), return_exceptions=True)
    assert answers[0] == "A"
    assert isinstance(answers[1], KeyError)
    assert answers[2] == "B"


@pytest.mark.parametrize("bad", ["spoils", "deadlock"])
async def test_one_command_cannot_spoil_the_others(database: Database, bad: str) -> None:
    commands = Commands()
    group = GroupCommit(database, commands.apply, at_once=1)
    answers = await asyncio.gather(*(group.submit(c) for c in ("a", bad, "b")), return_exceptions=True)
    assert (answers[0], answers[2]) == ("A", "B")
    assert answers[1] == "DEADLOCK" if bad == "deadlock" else isinstance(answers[1], ZeroDivisionError)
    assert sorted(row[1] for row in await effects(database)) == sorted({"a", "b", bad} - {"spoils"})


async def test_where_the_database_is_away_every_caller_hears_it_once(database: Database) -> None:
    commands = Commands()
    group = GroupCommit(database, commands.apply, at_once=1)
    answers = await asyncio.gather(*(group.submit(c) for c in ("a", "away")), return_exceptions=True)
    assert all(isinstance(answer, ConnectionResetError) for answer in answers)
    assert len(commands.sizes) == 1, "the commit may have come through, so nothing is done again"


async def test_a_caller_that_goes_away_does_not_take_the_batch_along(database: Database) -> None:
    group = GroupCommit(database, Commands().apply, at_once=1)
    going = asyncio.create_task(group.submit("gone"))
    staying = asyncio.create_task(group.submit("stays"))
    await asyncio.sleep(0)
    going.cancel()
    assert await staying == "STAYS"
    assert sorted(row[1] for row in await effects(database)) == ["gone", "stays"]


async def test_single_statements_are_grouped_and_one_cannot_spoil_the_others(database: Database) -> None:
    sizes: list[int] = []

    def statement(commands: Sequence[str]) -> tuple[str, Sequence[Any]]:
        sizes.append(len(commands))
        return "INSERT INTO effects (event_id, key, sequence) SELECT '', unnest($1::text[]), 0", [list(commands)]

    group: GroupWrite[str] = GroupWrite(database, statement, at_once=1)
    names = ["a", "b\0", *(f"c{number}" for number in range(20))]  # PostgreSQL refuses a NUL
    answers = await asyncio.gather(*(group.submit(name) for name in names), return_exceptions=True)
    assert [name for name, answer in zip(names, answers, strict=True) if answer is not None] == ["b\0"]
    assert sorted(row[1] for row in await effects(database)) == sorted(set(names) - {"b\0"})
    assert max(sizes) > 1

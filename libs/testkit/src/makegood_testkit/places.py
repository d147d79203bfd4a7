"""Fixtures: a separate home for each test module that starts servers, away from a running stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from makegood_stack.home import Home, find_root

from makegood_testkit.cli import Cli, command_line
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import free_offset


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user can reach (PostgreSQL started by root runs as another user)."""
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def home(place: Path) -> Home:
    made = Home(find_root(), place / ".makegood")
    made.make()
    return made


@pytest.fixture(scope="module")
def offset() -> int:
    """A port offset at which every port is free."""
    return free_offset()


@pytest.fixture(scope="module")
def cli(place: Path) -> Iterator[Cli]:
    """Runs the command as a user does, in this home. At the end, stops everything that it started."""
    run = command_line(place)
    yield run
    run("down")

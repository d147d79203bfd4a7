"""Consoles for the commands: colours and the terminal's width for people, long plain lines for pipes."""

from __future__ import annotations

import logging

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console that does not wrap lines in a pipe."""
    found = Console(stderr=stderr, highlight=False, soft_wrap=True)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, soft_wrap=True, width=200)


def quiet_libraries() -> None:
    """Silences client libraries, whose messages about an unreachable server only repeat the command's own."""
    for name in ("aiokafka", "asyncio", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)

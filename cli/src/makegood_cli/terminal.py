"""What the commands print on: colours and the window's width for a person, long plain lines for a pipe."""

from __future__ import annotations

import logging

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console that never breaks a line of a pipe."""
    found = Console(stderr=stderr, highlight=False, soft_wrap=True)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, soft_wrap=True, width=200)


def quiet_libraries() -> None:
    """A client library's own complaints about a server that is away say nothing that the command does not say better."""
    for name in ("aiokafka", "asyncio", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)

"""The groups of commands. A module here with a function `register(app)` is part of the command line; nothing else to do."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

import typer

_FIRST = ("demo", "stack", "status")
# Where a command stands, if not in the module of its name. Only what is asked for is imported: it makes commands quick.
_HOME_OF = {"up": "stack", "down": "stack", "logs": "stack", "token": "identity", "event-key": "identity"}


def register_all(app: typer.Typer, words: Sequence[str]) -> None:
    """Lets the module of the command that `words` ask for add it; without one (as for --help) every module, the daily first."""
    names = [m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")]
    command = next((w for w in words if not w.startswith("-")), "")
    asked = _HOME_OF.get(command, command)
    # A single command would be typer's whole application: the group stays a group with the light module beside it.
    chosen = [asked, *(n for n in ("identity", "stack") if n != asked)] if asked in names else names
    for name in sorted(chosen, key=lambda n: (n not in _FIRST, n)):
        importlib.import_module(f"{__name__}.{name}").register(app)

"""The commands. Every module in this package with a function `register(app)` is part of the command line."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

import typer

_FIRST = ("demo", "stack", "status")
# Commands in a module of another name. Only the module of the command is imported, which keeps commands fast.
_HOME_OF = {
    "up": "stack",
    "down": "stack",
    "restart": "stack",
    "logs": "stack",
    "token": "identity",
    "event-key": "identity",
    "generate-year": "generate_year",
}


def register_all(app: typer.Typer, words: Sequence[str]) -> None:
    """Registers the command in `words`. Without one (as for --help), registers all commands, the most common first."""
    names = [m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")]
    command = next((w for w in words if not w.startswith("-")), "")
    asked = _HOME_OF.get(command, command)
    # Typer turns an application with a single command into that command, so always register a few cheap ones.
    chosen = [asked, *(n for n in ("identity", "stack") if n != asked)] if asked in names else names
    for name in sorted(chosen, key=lambda n: (n not in _FIRST, n)):
        importlib.import_module(f"{__name__}.{name}").register(app)

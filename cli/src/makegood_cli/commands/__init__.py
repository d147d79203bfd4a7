"""The groups of commands. A module here with a function `register(app)` is part of the command line; nothing else to do."""

from __future__ import annotations

import importlib
import pkgutil

import typer

_FIRST = ("demo", "stack", "status")


def register_all(app: typer.Typer) -> None:
    """Lets every module of this package add its commands: those of daily use first, others by name."""
    found = sorted(pkgutil.iter_modules(__path__), key=lambda m: (m.name not in _FIRST, m.name))
    for module in found:
        if not module.name.startswith("_"):
            importlib.import_module(f"{__name__}.{module.name}").register(app)

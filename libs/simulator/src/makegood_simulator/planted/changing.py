"""How a bug is planted: a function is replaced wherever the services refer to it, and put back afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

_OURS = "makegood_"
_NOT = "makegood_simulator"


@dataclass(frozen=True)
class PlantedBug:
    """A bug that somebody could make. `plant()` makes it for as long as it is entered."""

    name: str
    says: str
    """What is wrong, as a sentence."""
    plant: Callable[[], AbstractContextManager[None]]


@contextmanager
def everywhere(original: Any, replacement: Any) -> Iterator[None]:
    """Replaces a function in every module and table of our packages that names it."""
    with ExitStack() as undo:
        for name, module in list(sys.modules.items()):
            if not name.startswith(_OURS) or name.startswith(_NOT):
                continue
            for key, value in list(vars(module).items()):
                if value is original:
                    setattr(module, key, replacement)
                    undo.callback(setattr, module, key, original)
                elif isinstance(value, dict):
                    for entry, held in list(value.items()):
                        if held is original:
                            value[entry] = replacement
                            undo.callback(value.__setitem__, entry, original)
        yield


@contextmanager
def attribute(owner: Any, name: str, replacement: Any) -> Iterator[None]:
    """Replaces a method of a class or a constant of a module."""
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def together(*changes: AbstractContextManager[None]) -> Iterator[None]:
    """Several changes that make one bug."""
    with ExitStack() as entered:
        for change in changes:
            entered.enter_context(change)
        yield

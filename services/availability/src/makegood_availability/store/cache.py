"""Values that are parsed once and used until their row has another version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class VersionedCache(Generic[T]):
    """Values by key and version. Beyond `most`, the least recently used ones are dropped.

    The version is read from the database each time, so no process ever works with an old value. Who asks for the `last` one
    must compare its version.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, tuple[int, T]] = OrderedDict()

    def last(self, key: str) -> tuple[int, T] | None:
        """The version and value that were used last. By now there may be a later one."""
        found = self._values.get(key)
        if found is not None:
            self._values.move_to_end(key)
        return found

    async def get(
        self,
        versions: Mapping[str, int],
        read: Callable[[Collection[str]], Awaitable[Mapping[str, tuple[int, T]]]],
    ) -> dict[str, T]:
        """The values of these keys at these versions or later. `read` fetches missing ones."""
        found: dict[str, T] = {}
        missing: list[str] = []
        for key, version in versions.items():
            cached = self._values.get(key)
            if cached is not None and cached[0] == version:
                self._values.move_to_end(key)
                found[key] = cached[1]
            else:
                missing.append(key)
        if missing:
            for key, fresh in (await read(missing)).items():
                self._values[key] = fresh
                self._values.move_to_end(key)
                found[key] = fresh[1]
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return found

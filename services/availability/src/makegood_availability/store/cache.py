"""What is parsed once and used until its row has another version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class Parsed(Generic[T]):
    """Values by key and version, the least used ones dropped beyond `most`.

    The version is read from the database each time, so no process ever works with an old value.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[int, T]] = OrderedDict()

    async def get(
        self,
        versions: Mapping[str, int],
        read: Callable[[Collection[str]], Awaitable[Mapping[str, tuple[int, T]]]],
    ) -> dict[str, T]:
        """The values of these keys at these versions or later; `read` is asked for those that are not here."""
        found: dict[str, T] = {}
        missing: list[str] = []
        for key, version in versions.items():
            kept = self._kept.get(key)
            if kept is not None and kept[0] == version:
                self._kept.move_to_end(key)
                found[key] = kept[1]
            else:
                missing.append(key)
        if missing:
            for key, fresh in (await read(missing)).items():
                self._kept[key] = fresh
                self._kept.move_to_end(key)
                found[key] = fresh[1]
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found

"""Identifiers: UUIDv7 strings, which sort by time of creation (RFC 9562 §5.7)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from uuid_utils import uuid7

_PERSON: Final = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_CANONICAL: Final = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
_JUST_NOW: Final = 30.0
_source: Callable[[], str] | None = None


def new_id() -> str:
    """A new UUIDv7 in canonical form."""
    return str(uuid7()) if _source is None else _source()


@contextmanager
def ids_from(source: Callable[[], str]) -> Iterator[None]:
    """Takes all ids from `source`, in the whole process. For what must come out the same each time, such as generated data."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before


def made_at(made: str) -> datetime:
    """When `new_id` made this id, in real time, to the millisecond (RFC 9562 §5.7)."""
    return datetime.fromtimestamp((UUID(made).int >> 80) / 1000, UTC)


def is_just_made(text: str) -> bool:
    """Whether `text` is an id of seconds ago, as `new_id` makes them, in real time. Machines' clocks differ a little."""
    made = UUID(text) if is_id(text) else None
    return made is not None and made.version == 7 and abs((made.int >> 80) / 1000 - time.time()) < _JUST_NOW


def is_id(text: str) -> bool:
    """Whether `text` is a UUID in canonical form (RFC 9562 §4, either case).

    Stricter than `uuid.UUID`, which also accepts braces, `urn:uuid:`, underscores and non-ASCII digits. The database would
    refuse some of these, and store others as a second spelling of the same id.
    """
    return _CANONICAL.fullmatch(text) is not None


def is_person_id(text: str) -> bool:
    """Whether `text` is a well-formed person id, the `sub` of an access token."""
    return _PERSON.fullmatch(text) is not None

"""Identifiers: UUIDv7 strings, so that ids of one kind sort by the moment of their making (RFC 9562 §5.7)."""

from __future__ import annotations

import uuid

from uuid_utils.compat import uuid7


def new_id() -> str:
    """A fresh UUIDv7 in its canonical text form."""
    return str(uuid7())


def is_id(text: str) -> bool:
    """Whether `text` is a UUID in a form that PostgreSQL takes; says nothing of whether it names something."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True

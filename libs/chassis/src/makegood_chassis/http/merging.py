"""Merges the OpenAPI documents of several services into one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from makegood_chassis.http.tags import TAGS

INFO: Final = {
    "title": "Makegood",
    "version": "1",
    "description": (
        "Scheduling for care platforms. Every operation of every service, as the gateway accepts it. "
        "Errors are problems (RFC 9457); each `type` is a page. Events and their schemas: `/asyncapi.json`."
    ),
    "contact": {"name": "Makegood"},
}


class Collision(ValueError):
    """Two services use one name for different things."""


def merged(documents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """All paths, tags and components. Raises Collision if two documents use one name for different things."""
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": "/", "description": "The gateway that serves this document."}],
        "tags": [],
        "paths": {},
        "components": {},
    }
    for document in documents:
        found["tags"] += [tag for tag in document["tags"] if tag not in found["tags"]]
        for path, methods in document["paths"].items():
            _add(found["paths"].setdefault(path, {}), methods, path)
        for kind, entries in document["components"].items():
            _add(found["components"].setdefault(kind, {}), entries, kind)
    order = list(TAGS)
    found["tags"].sort(key=lambda tag: order.index(tag["name"]))
    for entries in found["components"].values():
        sorted_entries = sorted(entries.items())
        entries.clear()
        entries.update(sorted_entries)
    return found


def _add(target: dict[str, Any], entries: dict[str, Any], where: str) -> None:
    for name, value in entries.items():
        if target.setdefault(name, value) != value:
            raise Collision(f"{where}: two services mean different things by {name}")

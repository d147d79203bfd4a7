"""Finds incompatible changes between the published schemas of events and those generated now.

Events are read long after they were written, by programs we do not know. So fields and values are only ever added, and an
added field has a default. Any other change needs a new version of the event, published alongside the old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


def breaks(published: Mapping[str, Schema], today: Mapping[str, Schema]) -> list[str]:
    """Describes every incompatible change between two sets of schemas by event type, one per line."""
    found: list[str] = []
    for name, before in sorted(published.items()):
        after = today.get(name)
        if after is None:
            found.append(f"{before.get('title', name)}: removed; published events must be kept")
        else:
            found += _event(before, after)
    return found


def _event(before: Schema, after: Schema) -> Iterator[str]:
    name = before["title"]
    for mark, meaning in (("x-topic", "topic"), ("x-key", "key"), ("x-classification", "classification")):
        if before.get(mark) != after.get(mark):
            yield f"{name}: its {meaning} changed from {before.get(mark)} to {after.get(mark)}; publish a new event instead"
    yield from _struct(name, before, after, before, after)


def _struct(name: str, before: Schema, after: Schema, old: Schema, new: Schema) -> Iterator[str]:
    """Compares two object schemas. `old` and `new` are the complete schemas, to resolve references."""
    had, has = before.get("properties", {}), after.get("properties", {})
    needed = set(before.get("required", ()))
    for field, kind in had.items():
        if field not in has:
            yield f"{name}.{field}: removed; fields are only ever added"
            continue
        yield from _field(f"{name}.{field}", kind, has[field], old, new)
        if field in needed and field not in after.get("required", ()):
            yield f"{name}.{field}: no longer required; readers rely on it"
    for field in sorted(set(after.get("required", ())) - needed):
        why = "became required" if field in had else "added without a default"
        yield f"{name}.{field}: {why}; earlier events do not have it"


def _field(path: str, before: Schema, after: Schema, old: Schema, new: Schema) -> Iterator[str]:
    was, becomes = _alternatives(before, old), _alternatives(after, new)
    if was.keys() != becomes.keys():
        yield f"{path}: type changed from {_words(was)} to {_words(becomes)}; add a field of another name instead"
        return
    for kind, one in was.items():
        other = becomes[kind]
        gone = [value for value in one.get("enum", ()) if value not in other.get("enum", one["enum"])]
        if gone:
            yield f"{path}: no longer allows {', '.join(map(repr, gone))}; values are only ever added"
        if "items" in one:
            yield from _field(f"{path}[]", one["items"], other.get("items", {}), old, new)
        if "properties" in one:
            yield from _struct(path, one, other, old, new)


def _alternatives(schema: Schema, whole: Schema) -> dict[str, Schema]:
    """The types that a value may have, by name, such as `string (date-time)`."""
    if "$ref" in schema:
        return _alternatives(whole.get("$defs", {}).get(schema["$ref"].rsplit("/", 1)[-1], {}), whole)
    if "anyOf" in schema:
        return {kind: one for part in schema["anyOf"] for kind, one in _alternatives(part, whole).items()}
    if "enum" in schema:
        kinds = sorted({"null" if value is None else "word" for value in schema["enum"]})
        return {kind: schema if kind == "word" else {} for kind in kinds}
    kind = schema.get("type", "anything")
    return {f"{kind} ({schema['format']})" if "format" in schema else str(kind): schema}


def _words(kinds: Mapping[str, Schema]) -> str:
    return " or ".join(sorted(kinds))

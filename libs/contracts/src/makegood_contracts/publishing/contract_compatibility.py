"""Finds incompatible changes between two sets of data contracts, in both directions.

Who reads with the later contract must be able to use records of the earlier one, and the other way round. So columns and
values are only ever added, what is required stays so, and nothing else becomes required.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Contract = Mapping[str, Any]

_FIXED: Final = ("key", "partitions", "cleanupPolicy")
_CLASSES: Final = ("none", "personal", "health")
"""From the least to the most sensitive. A field may move up: whoever protects it better than before breaks nothing."""


def contract_breaks(before: Mapping[str, Contract], after: Mapping[str, Contract]) -> list[str]:
    """Describes every incompatible change between two sets of contracts by topic, one per line."""
    found: list[str] = []
    for topic, old in sorted(before.items()):
        new = after.get(topic)
        if new is None:
            found.append(f"{topic}: removed; topics that were published are kept")
            continue
        was, now = _custom(old), _custom(new)
        found += [
            f"{topic}: its {name} changed from {was[name]} to {now.get(name)}"
            for name in _FIXED
            if was[name] != now.get(name)
        ]
        found += _fields(topic, old["schema"][0], new["schema"][0])
    return found


def _fields(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    had = {field["name"]: field for field in before.get("properties", ())}
    has = {field["name"]: field for field in after.get("properties", ())}
    for name, old in had.items():
        if name not in has:
            yield f"{path}.{name}: removed; fields are only ever added"
        else:
            yield from _field(f"{path}.{name}", old, has[name])
    for name in has.keys() - had.keys():
        if has[name].get("required") and had:
            yield f"{path}.{name}: added as required; earlier records do not have it"


def _field(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if old["logicalType"] != new["logicalType"]:
        yield f"{path}: type changed from {old['logicalType']} to {new['logicalType']}; add a field of another name instead"
        return
    if bool(old.get("required")) != bool(new.get("required")):
        yield f"{path}: {'became required; earlier records may lack it' if new.get('required') else 'no longer required; readers rely on it'}"
    if "classification" in old and _CLASSES.index(new["classification"]) < _CLASSES.index(old["classification"]):
        yield f"{path}: classification lowered from {old['classification']} to {new['classification']}"
    if gone := [value for value in _values(old) if value not in _values(new)]:
        yield f"{path}: no longer allows {', '.join(map(repr, gone))}; values are only ever added"
    yield from _fields(path, old, new)
    if "items" in old:
        yield from _field(f"{path}[]", old["items"], new["items"])


def _values(field: Mapping[str, Any]) -> list[str]:
    return [value for rule in field.get("quality", ()) for value in rule.get("arguments", {}).get("validValues", ())]


def _custom(contract: Contract) -> dict[str, Any]:
    return {each["property"]: each["value"] for each in contract["customProperties"]}

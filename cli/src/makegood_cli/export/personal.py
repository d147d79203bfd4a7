"""What an export forgets of a person who was erased.

Rows are facts and stay, so that sums still agree. The person's id becomes a pseudonym that nobody can turn back without
both the id and the export's own secret; what was encrypted for them, and their keys, go.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from makegood_contracts.events import PersonErased

from makegood_cli.export.columns import is_nested
from makegood_cli.export.folder import ExportFolder

PEOPLE: Final = (
    "ce_subject",
    "member_id",
    "provider_id",
    "new_provider_id",
    "person_id",
    "sender_id",
    "made_by",
    "corrected_by",
)
"""Columns with the id of a person. `ce_subject` is one on some topics."""
WORDS: Final = ("sealed_remark", "public_key", "jti")
"""Columns that are emptied in the person's rows."""


class Pseudonyms:
    """Who was erased, without their ids: only pseudonyms and the secret that makes them are kept."""

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder
        kept: dict[str, Any] = folder.read("pseudonyms.json", {})
        self._secret = bytes.fromhex(kept.get("secret", "")) or secrets.token_bytes(32)
        self._erased: set[str] = set(kept.get("erased", ()))
        self._of = lru_cache(1 << 16)(self._make)

    def add(self, people: Iterable[str]) -> dict[str, str]:
        """Remembers erased people for good. Returns their pseudonyms by id."""
        named = {person: self._of(person) for person in people}
        if not self._erased.issuperset(named.values()):
            self._erased.update(named.values())
            self._folder.write("pseudonyms.json", {"secret": self._secret.hex(), "erased": sorted(self._erased)})
        return named

    def applied(self, table: pa.Table) -> pa.Table:
        """The rows with the pseudonyms of everybody erased so far: events about them may come later."""
        if not self._erased or not table.num_rows:
            return table
        ids = {value for name in _people_in(table) for value in pc.unique(table[name]).to_pylist() if value is not None}
        return pseudonymised(table, {each: mark for each in ids if (mark := self._of(each)) in self._erased})

    def with_pseudonyms(self, ids: Iterable[str]) -> set[str]:
        """The ids, and the pseudonyms that some of them may have in tables."""
        return {each for one in ids for each in (one, self._of(one))}

    def _make(self, person: str) -> str:
        return "erased-" + hmac.new(self._secret, person.encode(), hashlib.sha256).hexdigest()[:32]


def erased_in(table: pa.Table) -> set[str]:
    """The people whose erasure is among these rows of the topic of people."""
    rows = table.filter(pc.equal(table["fact"], PersonErased.__name__))
    return set(rows["person_id"].to_pylist())


def about(table: pa.Table, people: Iterable[str]) -> pa.ChunkedArray | None:
    """Which rows are about one of these people; None if none is."""
    wanted = pa.array(list(people), pa.string())
    found = None
    for name in _people_in(table):
        here = pc.is_in(table[name], value_set=wanted)
        found = here if found is None else pc.or_(found, here)
    return found if found is not None and pc.any(found).as_py() else None


def pseudonymised(table: pa.Table, pseudonyms: Mapping[str, str]) -> pa.Table:
    """The same rows, in which these people have pseudonyms and no words."""
    theirs = about(table, pseudonyms) if pseudonyms else None
    if theirs is None:
        return table
    for at, field in enumerate(table.schema):
        column = table[field.name]
        if field.name in PEOPLE:
            column = _replaced(column, pseudonyms)
        elif field.name in WORDS:
            column = pc.if_else(theirs, pa.scalar(None, field.type), column)
        elif is_nested(field.type) and column.null_count < len(column):
            column = pa.chunked_array([pa.array(_inside(column.to_pylist(), pseudonyms), field.type)])
        else:
            continue
        table = table.set_column(at, field, column)
    return table


def _people_in(table: pa.Table) -> list[str]:
    return [name for name in PEOPLE if name in table.column_names]


def _replaced(column: pa.ChunkedArray, pseudonyms: Mapping[str, str]) -> pa.ChunkedArray:
    for person, mark in pseudonyms.items():
        column = pc.if_else(pc.fill_null(pc.equal(column, person), False), mark, column)
    return column


def _inside(value: Any, pseudonyms: Mapping[str, str]) -> Any:
    """A nested value; ids in it stand alone or are a part of an address, as in `/v1/members/<id>/credits`."""
    match value:
        case str():
            return "/".join(pseudonyms.get(part, part) for part in value.split("/"))
        case dict():
            return {name: _inside(each, pseudonyms) for name, each in value.items()}
        case list():
            return [_inside(each, pseudonyms) for each in value]
        case tuple():  # the items of a map
            return tuple(_inside(each, pseudonyms) for each in value)
        case _:
            return value

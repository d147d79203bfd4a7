"""Where the states of one topic come from: a table of the service, and its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from makegood_contracts.events import Event
from msgspec.structs import fields

from makegood_chassis.database import Queries


@dataclass(frozen=True)
class StateSource:
    """`people`: the columns with ids of people. `columns`: SQL for the fields that are not named like their column.

    All of these are constants of the code, so they stand in the statements' text.
    """

    kind: type[Event]
    table: str
    people: Sequence[str]
    key: str = "id"
    key_type: str = "uuid"
    columns: Mapping[str, str] = field(default_factory=dict)
    where: str = "true"
    """Which rows are entities."""

    @property
    def topic(self) -> str:
        return self.kind.topic.name

    async def read(self, queries: Queries, keys: Sequence[str]) -> dict[str, Event]:
        """The present states by key. One that is not there is unknown, or about somebody who was erased."""
        rows = await queries.fetch(self._read, list(keys))
        names = [one.name for one in fields(self.kind)]
        return {row[0]: self.kind(**dict(zip(names, row[1:], strict=True))) for row in rows}

    async def mark_person(self, queries: Queries, person_id: str) -> None:
        """Marks everything about a person."""
        await queries.execute(self._mark_person, self.topic, person_id)

    async def mark_page(self, queries: Queries, after: str, size: int) -> tuple[int, str]:
        """Marks the next entities in the order of their keys. Returns how many there were, and the last one's key."""
        row = await queries.fetch_one(self._mark_page, self.topic, after, size)
        assert row is not None
        return row[0], row[1] or after

    @cached_property
    def _read(self) -> str:
        listed = ", ".join(f"{self.columns.get(one.name, one.name)} AS {one.name}" for one in fields(self.kind))
        people = ", ".join(f"{self.table}.{column}" for column in self.people)
        return (
            f"SELECT {self.key}::text, {listed} FROM {self.table} WHERE {self.key} = ANY($1::{self.key_type}[]) "  # noqa: S608 - constants of ours
            f"AND {self.where} AND NOT EXISTS (SELECT FROM erased_people WHERE erased_people.person_id IN ({people}))"
        )

    @cached_property
    def _mark_person(self) -> str:
        of_person = " OR ".join(f"{column} = $2" for column in self.people)
        return (
            f"INSERT INTO state_changes (topic, key) SELECT $1, {self.key}::text FROM {self.table} "  # noqa: S608 - constants of ours
            f"WHERE {self.where} AND ({of_person})"
        )

    @cached_property
    def _mark_page(self) -> str:
        return (
            f"WITH page AS (SELECT {self.key} AS key FROM {self.table} WHERE {self.key} > $2::text::{self.key_type} "  # noqa: S608 - constants of ours
            f"AND {self.where} ORDER BY {self.key} LIMIT $3), "
            "marked AS (INSERT INTO state_changes (topic, key) SELECT $1, key::text FROM page) "
            "SELECT count(*), (SELECT key::text FROM page ORDER BY page.key DESC LIMIT 1) FROM page"
        )

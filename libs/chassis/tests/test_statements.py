"""Statements that are compiled once, on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from makegood_chassis.database import Queries
from makegood_chassis.statements import Statement, any_of, arrays, batch, compile_statement
from sqlalchemy import Column, DateTime, Integer, MetaData, Select, Table, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import UUID, insert

letters = Table(
    "letters",
    MetaData(),
    Column("id", UUID(as_uuid=False)),
    Column("words", Text),
    Column("pages", Integer),
    Column("sent_at", DateTime(timezone=True)),
)
NEW = batch("new", letters.c)
INSERT = Statement(insert(letters).from_select(NEW.c.keys(), select(NEW)).returning(letters.c.pages))
FIND = Statement(select(letters.c.words).where(any_of(letters.c.id), letters.c.pages < 3).order_by(letters.c.pages))
ONE, TWO = (f"00000000-0000-7000-8000-00000000000{number}" for number in (1, 2))
SENT = datetime(2027, 1, 4, tzinfo=UTC)


async def _tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE letters (id uuid, words text, pages int, sent_at timestamptz)")
    await connection.close()


@dataclass
class Letter:
    id: str
    words: str | None
    pages: int
    sent_at: datetime | None


async def test_a_batch_is_one_statement(database_factory: Any) -> None:
    connection = await asyncpg.connect(await database_factory("statements", _tables))
    try:
        queries = Queries(connection)
        rows = [Letter(ONE, "Hello", 1, SENT), Letter(TWO, None, 2, None)]
        assert [row[0] for row in await queries.fetch(INSERT(**arrays(letters.c, rows)))] == [1, 2]
        assert [row[0] for row in await queries.fetch(FIND(id=[TWO, ONE]))] == ["Hello", None]
        assert await queries.fetch_value(text("SELECT sent_at FROM letters WHERE words = 'Hello'")) == SENT
    finally:
        await connection.close()


def test_parameters_are_numbered_in_the_order_of_the_text() -> None:
    statement = Statement("SELECT :there, :here, :there")
    assert statement(here=1, there=2) == ("SELECT $1, $2, $1", [2, 1])


def test_a_constant_of_the_statement_is_no_parameter() -> None:
    statement = Statement(select(letters.c.id).where(letters.c.pages == 7, letters.c.words == bindparam("words")))
    assert statement(words="Hello").values == [7, "Hello"]


@pytest.mark.parametrize("parameters", [{}, {"id": [], "pages": 1}, {"ids": []}])
def test_a_parameter_that_is_missing_or_unknown_is_named(parameters: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="the statement takes \\['id'\\]"):
        FIND(**parameters)


def test_a_statement_made_for_one_call_is_compiled_once_and_has_its_own_values() -> None:
    def listed(*words: str) -> Select[Any]:
        query = select(letters.c.id)
        for word in words:
            query = query.where(letters.c.words == word)
        return query.limit(len(words))

    first, again = compile_statement(listed("Hello")), compile_statement(listed("Goodbye"))
    assert again.sql is first.sql
    assert (first.values, again.values) == (["Hello", 1], ["Goodbye", 1])
    assert compile_statement(listed("Hello", "Goodbye")).values == ["Hello", "Goodbye", 2]


@pytest.mark.parametrize("pages", [(1,), (2, 3), ()])
def test_values_of_an_in_are_all_bound(pages: tuple[int, ...]) -> None:
    bound = compile_statement(select(letters.c.id).where(letters.c.pages.in_(pages)))
    assert bound.values == list(pages)

"""SQL that is compiled once, when its module is imported, and whose parameters have names.

    rooms = Table("rooms", metadata, Column("room_id", ID, primary_key=True), Column("active", Boolean))

    _CLOSED = Statement(select(rooms.c.room_id).where(any_of(rooms.c.room_id), ~rooms.c.active))
    rows = await queries.fetch(_CLOSED(room_id=room_ids))

A batch of rows is also one statement: `batch` is a table made of one array per column, and `arrays` makes those arrays.

    _NEW = batch("new", rooms.c)
    _SAVE = Statement(insert(rooms).from_select(_NEW.c.keys(), select(_NEW)).on_conflict_do_nothing())
    await unit.execute(_SAVE(**arrays(rooms.c, values)))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import (
    ColumnElement,
    DateTime,
    TableValuedAlias,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import ClauseElement
from sqlalchemy.util import LRUCache

ID: Final = UUID(as_uuid=False)
"""The type of columns with ids."""
MOMENT: Final = DateTime(timezone=True)
"""The type of columns with instants."""

_COMPILED: LRUCache[Any, Any] = LRUCache(500)
_DIALECT = PGDialect_asyncpg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class BoundStatement(NamedTuple):
    """SQL with `$1` parameters, and their values in order, as asyncpg takes them."""

    sql: str
    values: list[Any]


Runnable: TypeAlias = str | BoundStatement | ClauseElement
"""Plain SQL with `$n` parameters, a `Statement` with its parameters, or a SQLAlchemy Core statement that is made for one call."""


def prepared(statement: Runnable, args: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The text and values that asyncpg takes. `args`: the values of plain SQL."""
    if isinstance(statement, str):
        return statement, args
    return statement if isinstance(statement, BoundStatement) else compile_statement(statement)


class Statement:
    """A SQLAlchemy Core statement, or SQL with `:name` parameters, in asyncpg's form.

    Call it with its parameters to get what `Queries` runs.
    """

    __slots__ = ("_constants", "_names", "_parameters", "sql")

    def __init__(self, statement: ClauseElement | str) -> None:
        if isinstance(statement, str):
            statement = text(statement)
        compiled: Any = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
        self.sql = str(compiled)
        binds = compiled.binds
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._parameters = frozenset(name for name in self._names if name in binds and binds[name].required)
        self._constants = {name: compiled.params[name] for name in self._names if name not in self._parameters}

    def __call__(self, **parameters: Any) -> BoundStatement:
        """The statement with these values. Raises TypeError for a parameter that is missing or unknown."""
        if parameters.keys() != self._parameters:
            raise TypeError(f"the statement takes {sorted(self._parameters)}, not {sorted(parameters)}")
        values = {**self._constants, **parameters} if self._constants else parameters
        return BoundStatement(self.sql, [values[name] for name in self._names])


def compile_statement(statement: ClauseElement) -> BoundStatement:
    """A statement that is made for one call, such as a list with optional filters.

    Its text is compiled once per shape and cached, as an Engine does. Only the values are new.
    """
    compiled: Any
    compiled, values, given, _ = statement._compile_w_cache(  # the method that Engines call; there is no public one
        _DIALECT, compiled_cache=_COMPILED, column_keys=[]
    )
    if compiled.post_compile_params:  # an `in_`, whose text depends on the number of values
        return Statement(statement)()
    parameters = compiled.construct_params(given, extracted_parameters=values)
    return BoundStatement(str(compiled), [parameters[name] for name in compiled.positiontup or ()])


def any_of(of: ColumnElement[Any], name: str | None = None) -> ColumnElement[bool]:
    """Whether the column is one of the values in the array parameter `name`, by default named like the column."""
    return of == any_(bindparam(name or _name(of), type_=ARRAY(of.type)))


def one_of(of: ColumnElement[Any], constants: Iterable[str]) -> ColumnElement[bool]:
    """Whether the column is one of these constants, which are part of the text, so that partial indexes match.

    In a `Statement` use this, not `in_` with values.
    """
    return of.in_([literal_column(f"'{each}'") for each in constants])


def as_text(of: ColumnElement[Any]) -> ColumnElement[str]:
    """A uuid as text, under its own name, because asyncpg would make it an object."""
    return cast(of, Text).label(_name(of))


def batch(name: str, columns: Iterable[ColumnElement[Any]], prefix: str = "") -> TableValuedAlias:
    """A table of rows passed as parameters: one array per column, named like the column.

    `prefix` distinguishes the parameters of two batches in one statement.
    """
    columns = tuple(columns)
    rows = func.unnest(*(bindparam(prefix + _name(each), type_=ARRAY(each.type)) for each in columns))
    return rows.table_valued(*(column(_name(each), each.type) for each in columns)).render_derived(name=name)


def arrays(columns: Iterable[ColumnElement[Any]], rows: Iterable[Any]) -> dict[str, list[Any]]:
    """The parameters of a `batch`: for each column its name and the values of the attribute of that name."""
    rows = tuple(rows)
    return {_name(each): [getattr(row, _name(each)) for row in rows] for each in columns}


def _name(of: ColumnElement[Any]) -> str:
    name = of.key
    assert name is not None
    return name

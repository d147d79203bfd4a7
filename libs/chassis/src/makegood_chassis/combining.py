"""Makes one statement of several that write, because a round trip costs more than a row.

Each becomes a common table expression of one `WITH`. PostgreSQL runs all of them on one snapshot, in no fixed order. So only
statements are combined of which none reads or writes a table that another one writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from makegood_chassis.statements import BoundStatement

_PARAMETER: Final = re.compile(r"\$(\d+)")
_WORD: Final = re.compile(r"\w+")
_WRITTEN: Final = re.compile(
    r"\b(?:INSERT INTO|(?<!FOR )(?<!NO KEY )UPDATE(?! SET\b| OF\b)|DELETE FROM)\s+(\w+)", re.IGNORECASE
)
_WITH: Final = re.compile(r"\s*WITH\s+", re.IGNORECASE)
_NAME: Final = re.compile(r"\s*(\w+)\s+AS\s*\(", re.IGNORECASE)
_NEXT: Final = re.compile(r"\s*,")


class _Parts(NamedTuple):
    """A statement taken apart: its common table expressions as they stand, and what follows them."""

    names: frozenset[str]
    expressions: str
    rest: str
    written: frozenset[str]
    words: frozenset[str]


def combinable(first: str, second: str) -> bool:
    """Whether the two statements have the same effect in one statement as one after the other."""
    one, other = _taken_apart(first), _taken_apart(second)
    # The names of common table expressions count as written, because in one statement they would hide tables of that name.
    return not ((one.written | one.names) & other.words or (other.written | other.names) & one.words)


def combine(
    statements: Sequence[BoundStatement], answer: BoundStatement | None = None, **named: BoundStatement
) -> BoundStatement:
    """One statement that does what all of these do and then returns `answer`, a SELECT that may read what the named ones
    return.
    """
    if answer is None and len(statements) == 1 and not named:
        return statements[0]
    parts = {**{f"part_{number}": statement for number, statement in enumerate(statements)}, **named}
    answer = answer or BoundStatement("SELECT", [])
    sql = _combined(tuple((name, part.sql) for name, part in parts.items()), answer.sql)
    return BoundStatement(sql, [value for part in (*parts.values(), answer) for value in part.values])


@lru_cache(maxsize=512)
def _combined(parts: tuple[tuple[str, str], ...], answer: str) -> str:
    expressions: list[str] = []
    before = 0
    for name, sql in parts:
        statement = _taken_apart(sql)
        if statement.expressions:
            expressions.append(_renumbered(statement.expressions, before))
        expressions.append(f"{name} AS (\n{_renumbered(statement.rest, before)}\n)")
        before += _parameters(sql)
    return "WITH " + ",\n".join(expressions) + "\n" + _renumbered(answer, before)


def _renumbered(sql: str, before: int) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + before}", sql)


def _parameters(sql: str) -> int:
    return max((int(number) for number in _PARAMETER.findall(sql)), default=0)


@lru_cache(maxsize=512)
def _taken_apart(sql: str) -> _Parts:
    names: set[str] = set()
    start = end = 0
    if begun := _WITH.match(sql):
        start = end = begun.end()
        while name := _NAME.match(sql, end):
            names.add(name[1].lower())
            end = _closed(sql, name.end())
            if following := _NEXT.match(sql, end):
                end = following.end()
            else:
                break
    written = frozenset(name.lower() for name in _WRITTEN.findall(sql))
    words = frozenset(word.lower() for word in _WORD.findall(sql))
    return _Parts(frozenset(names), sql[start:end].strip(), sql[end:].strip(), written, words)


def _closed(sql: str, at: int) -> int:
    """The place behind the parenthesis that was opened just before `at`."""
    depth, quote = 1, ""
    while depth:
        character = sql[at]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character == "(") - (character == ")")
        at += 1
    return at

"""Parameters that several routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path
from makegood_chassis.http.context import dependencies_of
from makegood_chassis.http.pages import Id, decode_cursor

from makegood_notifications.dependencies import Dependencies

DependenciesOf = Annotated[Dependencies, Depends(dependencies_of)]
PersonId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._:@-]{1,128}$", description="The `sub` of the person's token.")]


def id_before(cursor: str | None) -> str | None:
    """The id after which the page begins, in a list that is sorted by id, newest first."""
    position = decode_cursor(cursor, Id)
    return None if position is None else str(position[0])

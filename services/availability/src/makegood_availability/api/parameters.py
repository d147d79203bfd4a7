"""Parameters that several routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query
from makegood_chassis.http.context import dependencies_of
from makegood_chassis.http.problems import invalid, not_found
from makegood_contracts.events import Modality
from makegood_contracts.ids import is_id, is_person_id
from makegood_contracts.zones import zone_names
from pydantic import AfterValidator

from makegood_availability.dependencies import Dependencies


async def provider_id(provider_id: Annotated[str, Path(description="`sub` of the provider's token.")]) -> str:
    """The provider in the path."""
    if not is_person_id(provider_id):
        raise not_found("provider")
    return provider_id


def known_zone(name: str) -> str:
    if name not in zone_names():
        raise ValueError("must be the name of an IANA time zone")
    return name


def optional_id(pointer: str, text: str | None) -> str | None:
    """An id in the query. Raises the 422 problem if the text cannot be one."""
    if text is not None and not is_id(text):
        raise invalid(pointer, "This is not a valid id.", where="query")
    return text


ProviderId = Annotated[str, Depends(provider_id)]
DependenciesOf = Annotated[Dependencies, Depends(dependencies_of)]
Zone = Annotated[str, AfterValidator(known_zone)]
"""The name of an IANA time zone."""
Length = Annotated[int, Query(ge=5, le=480, description="Length of the session, minutes.", examples=[45])]
How = Annotated[Modality, Query(description="How the session takes place; `in_person` needs `venue_id`.")]
VenueOf = Annotated[
    Annotated[str, AfterValidator(str.lower)] | None,
    Query(max_length=64, description="The venue of a session in person."),
]

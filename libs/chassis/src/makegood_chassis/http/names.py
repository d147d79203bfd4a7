"""The type of the names of people and places in requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def _readable(name: str) -> str:
    # Imported at its use: its patterns and lists of domains take 3 MiB, and many processes never see a name.
    from makegood_chassis.http.readable_names import readable_name

    return readable_name(name)


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True),
    AfterValidator(_readable),
]
"""The name of a person or a place: 1 to 200 characters."""

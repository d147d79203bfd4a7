"""Which error of a group is told."""

from __future__ import annotations

from makegood_devtools.errors import UserError


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first UserError of a group, or else its first error."""
    leaves: list[BaseException] = []

    def collect(error: BaseException) -> None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                collect(inner)
        else:
            leaves.append(error)

    collect(group)
    return next((e for e in leaves if isinstance(e, UserError)), leaves[0])

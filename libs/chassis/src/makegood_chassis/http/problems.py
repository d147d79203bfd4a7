"""Errors as RFC 9457 problems."""

from __future__ import annotations

from typing import Any

from makegood_contracts.problems import PROBLEMS


class Problem(Exception):
    """Raised anywhere below a request, answered as `application/problem+json`. `members` are extension members."""

    def __init__(
        self,
        slug: str,
        detail: str | None = None,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        self.problem = PROBLEMS[slug]
        self.status = status or self.problem.status
        self.detail = detail or self.problem.when
        self.headers = headers or {}
        self.members = members
        super().__init__(f"{slug}: {self.detail}")


def not_found(what: str) -> Problem:
    """For a thing addressed by its id that is not there or is not the caller's."""
    return Problem("not-found", f"There is no such {what}.")

"""Errors as RFC 9457 problems."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response
from makegood_contracts.problems import PROBLEMS
from pydantic import BaseModel

MEDIA_TYPE = "application/problem+json"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"a problem cannot carry a {type(value).__name__}")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


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

    def response(self) -> Response:
        """The answer: `type`, `title`, `status`, `detail` and the extension members."""
        return problem_response(
            self.problem.uri, self.problem.title, self.status, self.detail, headers=self.headers, members=self.members
        )


def problem_response(
    uri: str,
    title: str,
    status: int,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    members: dict[str, Any] | None = None,
) -> Response:
    """An answer in the shape of RFC 9457, for `Problem` and for statuses that have no type of their own (`about:blank`)."""
    body = {"type": uri, "title": title, "status": status, "detail": detail, **(members or {})}
    return Response(_encode(body), status, headers=headers, media_type=MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """For a thing addressed by its id that is not there or is not the caller's."""
    return Problem("not-found", f"There is no such {what}.")


def invalid(pointer: str, detail: str, *, where: str = "body") -> Problem:
    """422 `validation` for one field: a JSON pointer such as `#/starts_at` into the body (or `query`, `path`, `header`)."""
    return Problem(
        "validation",
        "The request does not fit; see `errors`.",
        errors=[{"in": where, "pointer": pointer, "detail": detail}],
    )

"""Errors as RFC 9457 problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import Response
from makegood_contracts.ids import is_id
from makegood_contracts.problems import PROBLEMS
from pydantic import BaseModel

from makegood_chassis.http.problem_models import MEMBERS
from makegood_chassis.refusals import CommandRefused, FieldRefused, NotFound, RuleRefused

MEDIA_TYPE: Final = "application/problem+json"
MOST_ERRORS: Final = 50
"""The maximum number of field errors in one answer."""


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"a problem cannot carry a {type(value).__name__}")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


_NO_RULE: Final = frozenset({"idempotency-in-flight"})
"""Conflicts that do not come from a rule of the product."""


class Problem(Exception):
    """Raised anywhere below a request, answered as `application/problem+json`. `members` are extension members.

    A rule's 409 always has `reasons`. If none are given, its own code is the only reason. Raises TypeError for a member
    that the OpenAPI documents do not know: first add it to `problem_models.ProblemDocument`.
    """

    def __init__(
        self,
        slug: str,
        detail: str | None = None,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        if not MEMBERS.issuperset(members):
            raise TypeError(f"not in problem_models.ProblemDocument: {', '.join(sorted(members.keys() - MEMBERS))}")
        self.problem = PROBLEMS[slug]
        self.status = status or self.problem.status
        self.detail = detail or self.problem.when
        self.headers = headers or {}
        self.members = members
        if self.status == 409 and slug not in _NO_RULE:
            members.setdefault("reasons", [{"code": slug, "detail": self.detail}])
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
    """An answer as in RFC 9457, for `Problem` and for statuses without their own type (`about:blank`)."""
    body = {"type": uri, "title": title, "status": status, "detail": detail, **(members or {})}
    return Response(_encode(body), status, headers=headers, media_type=MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """The problem for an id that does not exist or is not the caller's."""
    return Problem("not-found", f"There is no such {what}.")


def valid_id(text: str, what: str) -> str:
    """The id in its canonical form. Raises the 404 problem if the text cannot be an id."""
    if not is_id(text):
        raise not_found(what)
    return text.lower()


def invalid(pointer: str, detail: str, *, where: str = "body") -> Problem:
    """422 `validation` for one field: a JSON pointer such as `#/starts_at` into the body (or `query`, `path`, `header`)."""
    return Problem(
        "validation",
        "The request is not valid. See `errors`.",
        errors=[{"in": where, "pointer": pointer, "detail": detail}],
    )


def problem_of(refused: CommandRefused) -> Problem:
    """The problem of a refusal that all services know. Services match their own ones first."""
    match refused:
        case NotFound():
            return not_found(refused.what)
        case FieldRefused():
            return invalid(f"#/{refused.field}", refused.detail)
        case RuleRefused():
            return Problem(refused.code, refused.detail, **refused.members)
    raise AssertionError(f"no problem for {type(refused).__name__}")


def pointer(path: Sequence[Any]) -> str:
    """A JSON pointer (RFC 6901) as a URI fragment, such as `#/weekly/0/day`."""
    return "#" + "".join("/" + str(step)[:100].replace("~", "~0").replace("/", "~1") for step in path)

"""The problem types that any API has, by what they are about; problems.py lists all types, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One problem type. `when`: what happened; `remedy`: what the caller can do; `example`: of its extension members."""

    slug: str
    status: int
    title: str
    when: str
    remedy: str
    example: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def uri(self) -> str:
        return f"/problems/{self.slug}"

    @property
    def body(self) -> dict[str, Any]:
        """A whole answer of this type, as the page and the API documents show it."""
        detail = self.example["reasons"][0]["detail"] if "reasons" in self.example else self.when
        return {"type": self.uri, "title": self.title, "status": self.status, "detail": detail, **self.example}


# About the request itself.
REQUEST: Final = (
    ProblemType(
        slug="validation",
        status=422,
        title="The request does not fit",
        when="A field is missing, unknown, of the wrong type or out of its range; or the body is no JSON (then 400).",
        remedy="Read `errors`: each names the field and what it takes.",
    ),
    ProblemType(
        slug="unauthenticated",
        status=401,
        title="No valid token",
        when="The access token is missing, expired, for another audience, or not signed by the identity provider.",
        remedy="Fetch a new token and send it as `Authorization: Bearer`.",
    ),
    ProblemType(
        slug="forbidden",
        status=403,
        title="Not allowed",
        when="Your role never has this operation.",
        remedy="Ask somebody whose role has it.",
    ),
    ProblemType(
        slug="access-reason-required",
        status=400,
        title="Say why",
        when="Support and ops say why they look at or change something of a person's, and this request does not.",
        remedy="Send `X-Access-Reason` with `support_request`, `complaint`, `billing`, `legal`, `incident` or `audit`, and a "
        "few words behind a `;` if they help.",
    ),
    ProblemType(
        slug="not-found",
        status=404,
        title="Not found",
        when="There is nothing at this address, or it is not yours.",
        remedy="Check the id.",
    ),
    ProblemType(
        slug="method-not-allowed",
        status=405,
        title="Method not allowed",
        when="The address exists, but not with this method.",
        remedy="Use a method that `Allow` lists.",
    ),
    ProblemType(
        slug="payload-too-large",
        status=413,
        title="Body too large",
        when="The request body is longer than 1 MiB, or that of a web-hook than 64 KiB.",
        remedy="Send less.",
    ),
    ProblemType(
        slug="unsupported-media-type",
        status=415,
        title="Unsupported media type",
        when="The body is not `application/json`.",
        remedy="Send JSON with `Content-Type: application/json`.",
    ),
    ProblemType(
        slug="rate-limited",
        status=429,
        title="Too many requests",
        when="More requests than a person may send (50 a second, bursts of 100), or more work than one person may ask for.",
        remedy="Wait as long as `Retry-After` says.",
    ),
)


# About what the platform cannot do at the moment.
SERVER: Final = (
    ProblemType(
        slug="unavailable",
        status=503,
        title="Temporarily unavailable",
        when="Something this answer needs is down or restarting.",
        remedy="Try again after `Retry-After`; changes are safe to repeat with the same `Idempotency-Key`.",
    ),
    ProblemType(
        slug="deadline-exceeded",
        status=504,
        title="Took too long",
        when="The answer was not ready before the request's deadline.",
        remedy="Try again; changes are safe to repeat with the same `Idempotency-Key`.",
    ),
)


# About changes that are repeated, or made to something that moved on.
CHANGES: Final = (
    ProblemType(
        slug="idempotency-key-required",
        status=400,
        title="Idempotency-Key required",
        when="This change must not happen twice, so it needs a key.",
        remedy=(
            "Send `Idempotency-Key` with a fresh random value for each new intent, and the same one when you repeat."
        ),
    ),
    ProblemType(
        slug="idempotency-key-reused",
        status=422,
        title="Idempotency-Key reused",
        when="The key was used before with a different request.",
        remedy="Use a fresh key for a new intent.",
    ),
    ProblemType(
        slug="idempotency-in-flight",
        status=409,
        title="Still in flight",
        when="The first request with this key is not finished.",
        remedy="Repeat after `Retry-After`; you will get the first one's answer.",
    ),
    ProblemType(
        slug="version-required",
        status=428,
        title="If-Match required",
        when="This change needs to know which version it changes.",
        remedy="Read the entity and send its `ETag` as `If-Match`.",
    ),
    ProblemType(
        slug="version-mismatch",
        status=412,
        title="Changed in the meantime",
        when="The entity is not at the version in `If-Match`.",
        remedy="Read it again and decide anew.",
    ),
)

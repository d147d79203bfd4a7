"""Problem types that any API has, grouped by subject; problems.py lists all types, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One problem type. `when`: what happened. `remedy`: what the caller can do. `example`: its extension members."""

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
        """A complete answer of this type, as its page and the API documents show it."""
        detail = self.example["reasons"][0]["detail"] if "reasons" in self.example else self.when
        return {"type": self.uri, "title": self.title, "status": self.status, "detail": detail, **self.example}


# The request itself.
REQUEST: Final = (
    ProblemType(
        slug="validation",
        status=422,
        title="Invalid request",
        when="A field is missing, unknown, of the wrong type or out of range. If the body is not valid JSON, the status is 400.",
        remedy="Read `errors`. Each entry names a field and says what is allowed.",
    ),
    ProblemType(
        slug="unauthenticated",
        status=401,
        title="Not authenticated",
        when="The access token is missing, expired, issued for another audience, or not signed by the identity provider.",
        remedy="Get a new token and send it as `Authorization: Bearer`.",
    ),
    ProblemType(
        slug="forbidden",
        status=403,
        title="Not allowed",
        when="Your role may not do this.",
        remedy="Ask someone whose role allows it.",
    ),
    ProblemType(
        slug="access-reason-required",
        status=400,
        title="Access reason required",
        when="Support and ops must give a reason for accessing a person's data. This request gives none.",
        remedy="Send `X-Access-Reason` with `support_request`, `complaint`, `billing`, `legal`, `incident` or `audit`. Add a "
        "short note after a `;` if you like.",
    ),
    ProblemType(
        slug="not-found",
        status=404,
        title="Not found",
        when="Nothing exists at this address, or you don't have access to it.",
        remedy="Check the id.",
    ),
    ProblemType(
        slug="method-not-allowed",
        status=405,
        title="Method not allowed",
        when="This address does not support this method.",
        remedy="Use one of the methods listed in `Allow`.",
    ),
    ProblemType(
        slug="payload-too-large",
        status=413,
        title="Body too large",
        when="The request body is larger than 1 MiB, or 64 KiB for a webhook.",
        remedy="Send a smaller body.",
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
        when="You sent more requests than one person may, or too many expensive ones at the same time.",
        remedy="Try again after `Retry-After`.",
    ),
)


# What the platform cannot do at the moment.
SERVER: Final = (
    ProblemType(
        slug="unavailable",
        status=503,
        title="Temporarily unavailable",
        when="We can't handle this request right now, because something it needs is down or restarting.",
        remedy="Try again after `Retry-After`. Changes are safe to repeat with the same `Idempotency-Key`.",
    ),
    ProblemType(
        slug="deadline-exceeded",
        status=504,
        title="Request timed out",
        when="The answer was not ready before the request's deadline.",
        remedy="Try again. Changes are safe to repeat with the same `Idempotency-Key`.",
    ),
)


# Changes that are repeated, or made to something that has changed since.
CHANGES: Final = (
    ProblemType(
        slug="idempotency-key-required",
        status=400,
        title="Idempotency-Key required",
        when="This request needs an idempotency key, so that repeating it has no further effect.",
        remedy=(
            "Send `Idempotency-Key` with a new random value for each new request, and the same value when you retry it."
        ),
    ),
    ProblemType(
        slug="idempotency-key-reused",
        status=422,
        title="Idempotency-Key reused",
        when="The key was already used with a different request.",
        remedy="Use a new key for each new request.",
    ),
    ProblemType(
        slug="idempotency-in-flight",
        status=409,
        title="Request in progress",
        when="The first request with this key is still in progress.",
        remedy="Try again after `Retry-After`. You will get the answer to the first request.",
    ),
    ProblemType(
        slug="version-required",
        status=428,
        title="If-Match required",
        when="This change must name the version that it applies to.",
        remedy="Read the resource and send its `ETag` as `If-Match`.",
    ),
    ProblemType(
        slug="version-mismatch",
        status=412,
        title="Version mismatch",
        when="The resource is not at the version given in `If-Match`.",
        remedy="Read the resource again, and repeat the change if you still want it.",
    ),
)

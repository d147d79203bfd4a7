"""Parts of the OpenAPI documents that routes do not declare themselves: problems, and headers of requests and answers."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from makegood_contracts.problems import PROBLEMS

from makegood_chassis.http.mutations import MutationDependency
from makegood_chassis.http.problems import MEDIA_TYPE, Problem

_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
HeaderDescriptions = dict[str, dict[str, Any]]


def _header(name: str, description: str, example: str) -> HeaderDescriptions:
    return {name: {"description": description, "schema": {"type": "string"}, "example": example}}


LOCATION: Final = _header(
    "Location", "Where to read the resource or the outcome.", "/v1/things/019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11"
)
"""`headers` of a route whose answer says where to read the resource."""

ETAG: Final = _header("ETag", "The version of the resource, for `If-Match`.", '"3"')
PREFERENCE_APPLIED: Final = _header(
    "Preference-Applied", "How many seconds the request may have waited for the outcome.", "wait=10"
)
RETRY_AFTER: Final = _header("Retry-After", "How many seconds to wait before you try again.", "1")
REPEATED: Final = _header(
    "Idempotent-Replayed", "`true` if the key was used before. This is the answer to the first request.", "true"
)
_REQUEST_ID: Final = _header(
    "X-Request-Id", "The id of the request, as in the logs.", "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11"
)
_CHALLENGE: Final = _header("WWW-Authenticate", "What is wrong with the access token.", 'Bearer error="invalid_token"')
_LIMITS: Final = {
    **_header("X-RateLimit-Limit", "How many requests you may send in a burst. Set by the gateway.", "100"),
    **_header("X-RateLimit-Remaining", "How many requests you have left. Set by the gateway.", "99"),
    **_header("X-RateLimit-Reset", "How many seconds until you have more. Set by the gateway.", "1"),
}
_RETRIED: Final = ("429", "503", "504")


def answer_headers(status: str, mutation: MutationDependency | None, *, has_etag: bool) -> HeaderDescriptions:
    """The headers of a route's answer with this status. `has_etag`: its content has a version."""
    found = {**_REQUEST_ID, **_LIMITS}
    good = status.startswith("2")
    if good and has_etag:
        found |= ETAG
    if status == "401":
        found |= _CHALLENGE
    if status in _RETRIED or (status == "409" and mutation is not None):
        found |= RETRY_AFTER
    if mutation is None:
        return found
    if good or status == "409":
        found |= REPEATED
        if mutation.waits:
            found |= PREFERENCE_APPLIED
    if status == "202":
        found |= LOCATION
    if status == "412":
        found |= ETAG
    return found


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: the problems that it can answer with, by status, each with an example."""
    found: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        problem = PROBLEMS[slug]
        entry = found.setdefault(problem.status, {"description": "", "content": problem_content()})
        entry["description"] += f"{'; ' if entry['description'] else ''}`{slug}`: {problem.title}"
        entry["content"][MEDIA_TYPE]["examples"][slug] = _example(slug)
    return found


def malformed() -> dict[str, Any]:
    """The answer to a body that is not valid JSON."""
    content = problem_content()
    content[MEDIA_TYPE]["examples"]["malformed"] = _example("validation", status=400)
    return {"description": "`validation`: the body is not valid JSON", "content": content}


def problem_content() -> dict[str, Any]:
    return {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}}


def _example(slug: str, status: int | None = None) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if slug == "validation" and status is None:
        members["errors"] = [{"in": "body", "pointer": "#/starts_at", "detail": "Field required"}]
    return {"value": msgspec.json.decode(Problem(slug, status=status, **members).response().body)}


def request_headers(mutation: MutationDependency) -> list[dict[str, Any]]:
    """The request headers of a change."""
    found = [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": mutation.key_required,
            "description": "A new random value for each new request, and the same value when you retry it.",
            "schema": _TEXT,
        }
    ]
    if mutation.if_match != "none":
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": mutation.if_match == "required",
                "description": "The `ETag` of the version to change.",
                "schema": {"type": "string", "pattern": r'^(\*|"[0-9]+(-[0-9a-f]+)?")$', "examples": ['"3"']},
            }
        )
    if mutation.waits:
        found.append(
            {
                "name": "Prefer",
                "in": "header",
                "required": False,
                "description": "`wait=N` waits up to N seconds for the outcome. Without it, or if time runs out, the answer is 202. "
                "Other preferences are ignored (RFC 7240).",
                "schema": {"type": "string", "examples": ["wait=10"]},
            }
        )
    return found

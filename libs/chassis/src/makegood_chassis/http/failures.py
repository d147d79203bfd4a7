"""Turns exceptions into answers: always a problem, never the text of an error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from makegood_chassis.http.problems import MOST_ERRORS, Problem, pointer, problem_response
from makegood_chassis.messaging.failures import is_transient

_RETRY_AFTER: Final = {"Retry-After": "1"}
_BY_STATUS: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "payload-too-large",
    415: "unsupported-media-type",
    422: "validation",
    503: "unavailable",
    504: "deadline-exceeded",
}

_LONG_TEXT: Final = 1000

_log = structlog.get_logger(__name__)


def response_to(error: Exception, request_id: str) -> Response:
    """The answer to an error. An unexpected one is logged, without values, and answered 500 with the request's id."""
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, RequestValidationError):
        return _invalid(error).response()
    if isinstance(error, HTTPException):
        return _of_framework(error)
    if is_transient(error):
        _log.warning("dependency unavailable", error=type(error).__name__, request_id=request_id)
        return Problem("unavailable", headers=dict(_RETRY_AFTER)).response()
    _log.error("request failed", request_id=request_id, exc_info=error)
    return problem_response(
        "about:blank",
        "Internal Server Error",
        500,
        "Something went wrong on our side. The logs have the details under the request's id.",
        members={"request_id": request_id},
    )


def _of_framework(error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == 400:
        return Problem("validation", "The body is not valid JSON.", status=400, headers=headers).response()
    if error.status_code in _BY_STATUS:
        return Problem(_BY_STATUS[error.status_code], headers=headers).response()
    title = HTTPStatus(error.status_code).phrase
    return problem_response("about:blank", title, error.status_code, title, headers=headers)


def _invalid(error: RequestValidationError) -> Problem:
    found: Sequence[Mapping[str, Any]] = error.errors()
    if any(entry["type"] == "json_invalid" for entry in found):
        return Problem("validation", "The body is not valid JSON.", status=400)
    if any(entry["loc"][0] == "path" for entry in found):
        return Problem("not-found")  # an invalid id names nothing
    errors = [_field_error(entry) for entry in found[:MOST_ERRORS]]
    return Problem("validation", "The request is not valid. See `errors`.", errors=errors)


def _field_error(entry: Mapping[str, Any]) -> dict[str, str]:
    where, *path = entry["loc"]
    return {"in": str(where), "pointer": pointer(path), "detail": _detail(entry)}


def _detail(entry: Mapping[str, Any]) -> str:
    """What the field accepts, without quoting what was sent."""
    kind, message, sent = entry["type"], str(entry["msg"]), entry.get("input")
    context: Mapping[str, Any] = entry.get("ctx") or {}
    if kind == "union_tag_invalid":
        return f"Input should be one of {context.get('expected_tags')}"
    if kind == "value_error" and "reason" in context:  # e-mail addresses: the reason quotes them
        message = message.split(":", 1)[0]
    message = message.removeprefix("Value error, ")
    if kind in ("value_error", "assertion_error") and isinstance(sent, str) and _may_quote(message, sent):
        return "The value is not acceptable"
    return message


def _may_quote(message: str, sent: str) -> bool:
    if len(sent) > _LONG_TEXT:  # too long to check each of its words
        return True
    return any(len(word) > 3 and word in message for word in (sent, *re.split(r"\s+", sent)))

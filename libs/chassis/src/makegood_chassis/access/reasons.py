"""`X-Access-Reason: <code>[; free text]`: why support or ops access data (SEC-5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from makegood_contracts.events import AccessReason

from makegood_chassis.http.problems import Problem

HEADER: Final = "X-Access-Reason"
CODES: Final[tuple[AccessReason, ...]] = get_args(AccessReason)
MOST: Final = 200
"""The maximum length of the free text."""
_NAME: Final = HEADER.lower().encode()

PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Why support or ops need access: a code and, if you like, a short note after a `;`. Required for support and "
    "ops. Members and providers don't need it.",
    "schema": {
        "type": "string",
        "pattern": rf"^({'|'.join(CODES)})( *; *[!-~]([ -~]{{0,{MOST - 2}}}[!-~])?)?$",
        "examples": ["support_request; ticket 4711"],
    },
}
"""The header in the OpenAPI documents."""


@dataclass(frozen=True, slots=True)
class StatedReason:
    """A reason: one of the codes, and a free text. The free text stays in the access log; no topic or other log has it."""

    code: AccessReason
    remark: str | None = None


def read_reason(headers: Sequence[tuple[bytes, bytes]]) -> StatedReason:
    """The reason that a request gives. Raises the 400 problem `access-reason-required` if there is no valid one."""
    sent = [value for name, value in headers if name == _NAME]
    if not sent:
        raise Problem("access-reason-required")
    if len(sent) > 1:
        raise _malformed("Send one `X-Access-Reason`.")
    try:
        text = sent[0].decode()
    except UnicodeDecodeError:
        raise _malformed("The free text of `X-Access-Reason` is not UTF-8.") from None
    code, _, remark = (part.strip() for part in text.partition(";"))
    if code not in CODES:
        raise _malformed(f"`X-Access-Reason` begins with one of {', '.join(CODES)}.")
    if len(remark) > MOST or not remark.isprintable():
        raise _malformed(f"The free text of `X-Access-Reason` is longer than {MOST} characters or not printable.")
    return StatedReason(code, remark or None)


def _malformed(detail: str) -> Problem:
    return Problem("access-reason-required", detail)

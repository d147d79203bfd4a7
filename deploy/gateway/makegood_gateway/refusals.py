"""The gateway's own refusals: maps Envoy's statuses to problems (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from makegood_contracts.problems import PROBLEMS

RETRY_AFTER_SECONDS: Final = 1
BAD_TOKEN_RETRY_SECONDS: Final = 2
OVERFLOW_RETRY_SECONDS: Final = 5

INSTANCE: Final = "urn:uuid:%REQ(X-REQUEST-ID)%"

# A malformed request is refused before it gets a request id, so its answer has none.
IDENTIFIED: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Turns Envoy's answers with status `first` to `last` into problem `slug` with status `status`.

    `with_token`: only with (or without) an Authorization header. `failed_token`: only if its token was refused. `flag`: only
    with this Envoy response flag.
    """

    first: int
    last: int
    slug: str
    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = ()
    with_token: bool | None = None
    failed_token: bool = False
    flag: str = ""

    def body(self, *, identified: bool) -> dict[str, object]:
        """The problem, with `instance` if the request has an id."""
        problem = PROBLEMS[self.slug]
        members = {"type": problem.uri, "title": problem.title, "status": self.status, "detail": self.detail}
        return members | {"instance": INSTANCE} if identified else members


_TRY_AGAIN: Final = (("retry-after", str(RETRY_AFTER_SECONDS)),)
_REFUSED: Final = "The access token is expired, issued for another audience, or not signed by the identity provider."


_INVALID: Final = ("www-authenticate", 'Bearer realm="makegood", error="invalid_token"')


def _unauthenticated(status: int, *, with_token: bool) -> Refusal:
    challenge = _INVALID if with_token else ("www-authenticate", 'Bearer realm="makegood"')
    detail = _REFUSED if with_token else "The request has no access token."
    return Refusal(status, status, "unauthenticated", 401, detail, (challenge,), with_token)


METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""HTTP methods that any route may support. The routes answer others with 501, which becomes 405 for the client."""

# The first match wins. Envoy answers 403 without a verified token, which becomes 401 for the client.
REFUSALS: Final[tuple[Refusal, ...]] = (
    _unauthenticated(403, with_token=True),
    _unauthenticated(403, with_token=False),
    Refusal(404, 404, "not-found", 404, "Nothing exists at this address."),
    Refusal(405, 405, "method-not-allowed", 405, "This page is read-only.", (("allow", "GET, HEAD"),)),
    Refusal(501, 501, "method-not-allowed", 405, "No address supports this method.", (("allow", ", ".join(METHODS)),)),
    Refusal(408, 408, "deadline-exceeded", 408, "The request did not arrive completely in time."),
    Refusal(413, 413, "payload-too-large", 413, "The request body is larger than 1 MiB."),
    Refusal(
        429,
        429,
        "rate-limited",
        429,
        "Too many requests with invalid tokens came from this address. Get a new token; valid tokens are accepted.",
        (("retry-after", str(BAD_TOKEN_RETRY_SECONDS)), _INVALID),
        failed_token=True,
    ),
    Refusal(429, 429, "rate-limited", 429, "You sent more requests than one person may.", _TRY_AGAIN),
    Refusal(431, 431, "payload-too-large", 431, "The request line and headers are larger than 16 KiB."),
    Refusal(400, 499, "validation", 400, "The request is not well-formed HTTP, or its path is ambiguous."),
    Refusal(504, 504, "deadline-exceeded", 504, "The service did not answer in time.", _TRY_AGAIN),
    Refusal(
        503,
        503,
        "unavailable",
        503,
        "Too many requests and streams are open. Try again.",
        (("retry-after", str(OVERFLOW_RETRY_SECONDS)),),
        flag="UO",
    ),
    Refusal(500, 599, "unavailable", 503, "The service behind this address is not answering.", _TRY_AGAIN),
)

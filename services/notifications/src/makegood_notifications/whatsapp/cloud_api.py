"""WhatsApp through the Business Cloud API: template messages, error codes, rate limits (NOTE-1).

https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages and …/support/error-codes. In development,
the same client talks to the development tools, which answer in the same format and need no account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

import msgspec
from makegood_chassis.lean_imports import without
from makegood_chassis.messaging import failpoints

from makegood_notifications.channels import InDoubt, Late, PutOff, Refused, Trouble, Unreachable
from makegood_notifications.phone_numbers import e164
from makegood_notifications.settings import NotificationsSettings

with without("rich", "pygments"):  # for a command of its own
    import httpx

_trusted = cache(httpx.create_ssl_context)
"""The authorities that may sign a server's certificate. Reading them takes longer than many requests."""

_MAY_HAVE_ARRIVED: Final = (
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
)
"""Errors after which nobody knows whether the API took the message."""

Verdict = Literal["wait", "later", "never"]
"""`wait`: about the account or the service. `later`, `never`: about this message."""

_CODES: Final[dict[int, Verdict]] = {
    0: "wait", 3: "wait", 10: "wait", 190: "wait",  # the token or its permissions: an operator must fix them
    33: "wait", 131005: "wait", 131037: "wait",  # our own number: deleted, without access, or its name not approved yet
    368: "wait", 131031: "wait", 131042: "wait", 131045: "wait", 133010: "wait",  # the account: locked, unpaid or unregistered
    4: "wait", 80007: "wait", 130429: "wait", 131048: "wait",  # too many calls or messages
    1: "later", 2: "later", 131000: "later", 131016: "later", 131057: "later", 133004: "later",  # temporary failures on their side
    131056: "later",  # too many messages to this one person
    132015: "later",  # the template is paused
}  # fmt: skip
"""What the documented codes mean for us. Any other code means that this message will never be accepted, such as 131026
(not on WhatsApp) or 132001 (no such template).
"""


class _Error(msgspec.Struct):
    code: int | None = None


class _Sent(msgspec.Struct):
    id: str


class _Answer(msgspec.Struct):
    messages: list[_Sent] = []
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True, slots=True)
class Account:
    """The account that sends messages. `url` is the start of the API's address, `version` is such as `v23.0`. Durations
    are in seconds.
    """

    url: str
    version: str
    phone_number_id: str
    token: str = field(repr=False)
    timeout: float = 20.0
    connections: int = 8


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """A message made from a registered template. `path` completes the address of its one button. The API's reports
    repeat `reference`.
    """

    to: str
    template: str
    language: str
    parameters: tuple[str, ...]
    path: str
    reference: str

    def body(self) -> dict[str, Any]:
        """The request body."""
        components: list[dict[str, Any]] = []
        if self.parameters:
            components.append({"type": "body", "parameters": [_text(value) for value in self.parameters]})
        components.append({"type": "button", "sub_type": "url", "index": "0", "parameters": [_text(self.path)]})
        return {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": self.to,
            "type": "template",
            "template": {"name": self.template, "language": {"code": self.language}, "components": components},
            "biz_opaque_callback_data": self.reference,
        }


def _text(value: str) -> dict[str, str]:
    """A parameter. The API refuses line breaks, tabs and more than four spaces in a row."""
    return {"type": "text", "text": re.sub(r"\s+", " ", value)}


class CloudApi:
    """Sends over a few connections that stay open."""

    @classmethod
    def of(cls, settings: NotificationsSettings) -> CloudApi | None:
        """The account that the settings name, if any."""
        if not settings.whatsapp_url:
            return None
        return cls(
            Account(
                url=settings.whatsapp_url,
                version=settings.whatsapp_version,
                phone_number_id=settings.whatsapp_phone_number_id,
                token=settings.whatsapp_token.get_secret_value(),
            )
        )

    def __init__(self, account: Account) -> None:
        self._path = f"/{account.version}/{account.phone_number_id}/messages"
        self._client = httpx.AsyncClient(
            base_url=account.url,
            headers={"Authorization": f"Bearer {account.token}"},
            timeout=account.timeout,
            limits=httpx.Limits(max_connections=account.connections, keepalive_expiry=30),
            verify=_trusted(),
        )

    async def send(self, message: TemplateMessage) -> str:
        """The id that WhatsApp gave the message. Raises Unreachable, InDoubt, PutOff, Late or Refused."""
        try:
            answer = await self._client.post(self._path, json=message.body())
            failpoints.reached("whatsapp.answered")
        except httpx.PoolTimeout:
            raise Late("waited for a connection") from None
        except _MAY_HAVE_ARRIVED as error:
            raise InDoubt(type(error).__name__) from None
        except httpx.HTTPError as error:
            raise Unreachable(type(error).__name__) from None
        try:
            content = _decode(answer.content)
        except msgspec.MsgspecError:
            content = _Answer()
        if answer.is_success and content.messages:
            return content.messages[0].id
        raise _trouble(answer.status_code, content.error.code if content.error else None)

    async def close(self) -> None:
        await self._client.aclose()


def _trouble(status: int, code: int | None) -> Trouble:
    """What a failed request means. The error code decides or, if there is none, the status."""
    if code is None:
        return (
            PutOff(str(status)) if 400 <= status < 500 and status not in (401, 403, 429) else Unreachable(str(status))
        )
    verdict = "wait" if 200 <= code <= 299 else _CODES.get(code, "never")
    kind = {"wait": Unreachable, "later": PutOff, "never": Refused}[verdict]
    return kind(f"code {code}")


def number_of(phone: str) -> str:
    """The digits of a number, as the API expects them. Empty if it has no country code, which an earlier version
    accepted.
    """
    return (e164(phone) or "").removeprefix("+")

"""A development stand-in for WhatsApp's Business Cloud API. It accepts template messages, shows them on the inbox page, and
refuses in the same format. A number that ends in one of CODES (such as +49 131026) gets that error.

https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages
"""

from __future__ import annotations

import base64
import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MOST_MESSAGES: Final = 5_000
CODES: Final[dict[int, tuple[int, str]]] = {
    130429: (429, "Rate limit hit"),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131016: (500, "Service unavailable"),
    131026: (400, "Message undeliverable"),
    131031: (403, "Business Account locked"),
    131048: (400, "Spam rate limit hit"),
    131056: (400, "(Business Account, Consumer Account) pair rate limit hit"),
    132001: (404, "Template name does not exist in the translation"),
    132015: (400, "Template is paused"),
}
"""Error codes of the real API that can be triggered, with status and title."""


@dataclass
class Message:
    """A message as it was received."""

    to: str
    template: str
    language: str
    parameters: list[str]
    path: str
    reference: str
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=lambda: "wamid." + base64.b64encode(uuid4().bytes * 2).decode().rstrip("="))

    @property
    def shown(self) -> dict[str, Any]:
        """In the format of the list."""
        return {
            "ID": self.id,
            "To": self.to,
            "Template": self.template,
            "Language": self.language,
            "Parameters": self.parameters,
            "Path": self.path,
            "Reference": self.reference,
            "Created": self.created.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }


class _Refusal(Exception):
    def __init__(self, status: int, code: int, title: str, details: str) -> None:
        super().__init__(title)
        self.status, self.code, self.title, self.details = status, code, title, details


class WhatsApp:
    """The messages, newest first, and the endpoints."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque(maxlen=MOST_MESSAGES)

    async def take(self, request: Request) -> Response:
        """POST /whatsapp/{version}/{phone_number_id}/messages."""
        try:
            message = _read(request.headers.get("Authorization", ""), await request.body())
        except _Refusal as refusal:
            error = {
                "message": f"(#{refusal.code}) {refusal.title}",
                "type": "OAuthException",
                "code": refusal.code,
                "error_data": {"messaging_product": "whatsapp", "details": refusal.details},
                "fbtrace_id": uuid4().hex[:23],
            }
            return JSONResponse({"error": error}, refusal.status)
        self.messages.appendleft(message)
        return JSONResponse(
            {
                "messaging_product": "whatsapp",
                "contacts": [{"input": message.to, "wa_id": message.to}],
                "messages": [{"id": message.id, "message_status": "accepted"}],
            }
        )

    async def listed(self, request: Request) -> Response:
        """GET /api/v1/whatsapp."""
        body = {"total": len(self.messages), "messages": [message.shown for message in list(self.messages)[:200]]}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def delete(self, request: Request) -> Response:
        """DELETE /api/v1/whatsapp."""
        self.messages.clear()
        return Response(status_code=204)


def _read(authorization: str, body: bytes) -> Message:
    if not authorization.startswith("Bearer ") or not authorization[7:].strip():
        raise _Refusal(401, 190, "Invalid OAuth access token", "Send the access token as a bearer token.")
    try:
        asked = json.loads(body)
        template = asked["template"]
        components = template.get("components", [])
        message = Message(
            to=str(asked["to"]),
            template=template["name"],
            language=template["language"]["code"],
            parameters=[_parameter(one) for part in components if part["type"] == "body" for one in part["parameters"]],
            path="".join(
                _parameter(one) for part in components if part["type"] == "button" for one in part["parameters"]
            ),
            reference=asked.get("biz_opaque_callback_data", ""),
        )
        fits = asked["messaging_product"] == "whatsapp" and asked["type"] == "template"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Refusal(400, 100, "Invalid parameter", f"The message does not fit: {error!r}.") from error
    if not fits:
        raise _Refusal(400, 100, "Invalid parameter", "Only template messages are taken here.")
    if not (message.to.isdecimal() and 7 <= len(message.to) <= 15):
        raise _Refusal(400, 131009, "Parameter value is not valid", "`to` must be the digits of a phone number.")
    if message.to[-6:].isdecimal() and (code := int(message.to[-6:])) in CODES:
        status, title = CODES[code]
        raise _Refusal(status, code, title, "The number asks for this answer.")
    return message


def _parameter(value: dict[str, Any]) -> str:
    text = value["text"]
    if value["type"] != "text" or not isinstance(text, str) or not text or "\n" in text or "\t" in text:
        raise ValueError("a parameter must be text without line breaks and tabs")
    return text

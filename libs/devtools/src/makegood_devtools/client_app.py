"""A placeholder for the client app in development: a page at each address that messages link to.

It says what the client app would do at this address, and with which ids. The token of a join link is in the URL's fragment.
The page removes it from the address and asks booking, like a video room, whether it opens the session.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
JOIN_SCRIPT = Path(__file__).with_name("join.js")
_PAGE = Path(__file__).with_name("client_app.html")
_VISITS = {
    "join": (
        "Join the session",
        "The app connects camera and microphone, or opens the chat, with the access that this link carries. Its video room asks "
        "first: <code>POST /v1/join-links/verify</code>. "
        '<strong id="answer"></strong>'
        '<script src="/join.js"></script>',
    ),
    "book": (
        "Book a session",
        "The app shows the free slots of the room's provider, with what is listed here already chosen, and books one: "
        "<code>GET /v1/providers/{id}/slots</code>, then <code>POST /v1/sessions</code>.",
    ),
    "session": (
        "The session",
        "The app shows the session and what can be done with it now: <code>GET /v1/sessions/{id}</code>; join, confirm, "
        "move or cancel.",
    ),
    "room": (
        "The room",
        "The app shows the chat of the room and its sessions: <code>GET /v1/rooms/{id}/messages</code>.",
    ),
    "contact": (
        "How you are reached",
        "The app shows name, address and channels: <code>GET /v1/people/{id}/contact</code>, "
        "<code>PUT /v1/people/{id}/contact</code>; and takes back an erasure: <code>DELETE /v1/people/{id}/erasure</code>.",
    ),
    "confirm": (
        "Confirm your new address",
        "The app asks you to sign in, takes the secret behind the <code>#</code> of this address and sends it once you press a "
        "button: <code>POST /v1/people/{id}/contact/confirmations</code> <code>{token}</code>.",
    ),
    "invoices": (
        "Your invoices",
        "The app shows what is owed and how it is paid: <code>GET /v1/members/{id}/invoices</code>.",
    ),
}
_NAMES = {
    "session_id": "session",
    "room_id": "room",
    "rebook": "instead of session",
    "length_minutes": "length in minutes",
    "modality": "modality",
    "venue_id": "venue",
    "starts_at": "start",
}
_LONGEST = 200


def page_policy(request: Request) -> str:
    """The page may load nothing except the script that checks a join link."""
    asks = request.scope["route"].name == "join"
    return f"{_POLICY}; script-src 'self'; connect-src 'self'" if asks else _POLICY


def visit(request: Request) -> str:
    """The page for the requested address."""
    title, does = _VISITS[request.scope["route"].name]
    given = {**request.query_params, **request.path_params}
    rows = "".join(
        f"<dt>{name}</dt><dd><code>{escape(str(given[key])[:_LONGEST])}</code></dd>"
        for key, name in _NAMES.items()
        if key in given
    )
    return Template(_PAGE.read_text()).substitute(title=escape(title), does=does, rows=rows)


class VideoRoom:
    """Checks join links with booking, in place of a video room's server. `api`: the gateway's address; empty to not check."""

    def __init__(self, api: str) -> None:
        self._api = api.rstrip("/")

    async def verify(self, request: Request) -> Response:
        """Booking's answer about the token in the body."""
        if not self._api:
            return JSONResponse({"detail": "No gateway is configured to ask."}, 503)
        body = await request.body()
        try:
            async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
                headers = {"Content-Type": "application/json"}
                answer = await client.post(f"{self._api}/v1/join-links/verify", content=body[:4096], headers=headers)
        except httpx.HTTPError:
            return JSONResponse({"detail": "The gateway does not answer."}, 503)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

"""The web server: inbox page, Mailpit-compatible API, WhatsApp API, client app placeholder, key sets, and traces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from makegood_devtools.client_app import JOIN_SCRIPT, VideoRoom, page_policy, visit
from makegood_devtools.keys import jwks
from makegood_devtools.mailbox import Mail, Mailbox, payload
from makegood_devtools.traces import Traces
from makegood_devtools.whatsapp import WhatsApp

_PAGE = Path(__file__).with_name("inbox.html")
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _number(request: Request, name: str, default: int, most: int) -> int:
    try:
        return max(0, min(most, int(request.query_params.get(name, default))))
    except ValueError:
        return default


def web_app(mailbox: Mailbox, keys: Path, api: str = "", event_keys: Path | None = None) -> Starlette:
    """The application for a mailbox. `keys` is the folder of the identity's key pairs, `api` the gateway's address,
    `event_keys` the file with the public event keys."""

    whatsapp, traces = WhatsApp(), Traces()

    def listing(mails: list[Mail], start: int, total: int) -> JSONResponse:
        body = {
            "total": len(mailbox),
            "unread": len(mailbox),
            "count": len(mails),
            "messages_count": total,
            "start": start,
            "tags": [],
            "messages": [m.summary for m in mails],
        }
        return JSONResponse(body, headers=_SAFE)

    async def messages(request: Request) -> Response:
        start, limit = _number(request, "start", 0, 1 << 31), _number(request, "limit", 50, 20_000)
        return listing(mailbox.page(start, limit), start, len(mailbox))

    async def search(request: Request) -> Response:
        found = mailbox.search(request.query_params.get("query", ""))
        start, limit = _number(request, "start", 0, 1 << 31), _number(request, "limit", 50, 20_000)
        return listing(found[start : start + limit], start, len(found))

    async def delete(request: Request) -> Response:
        body: Any = {}
        if raw := await request.body():
            try:
                body = json.loads(raw)
            except ValueError:
                return PlainTextResponse("the body is not JSON", 400)
        ids = body.get("IDs") if isinstance(body, dict) else None
        mailbox.delete({str(i) for i in ids} if ids else None)
        return PlainTextResponse("ok")

    def found(request: Request) -> Mail | None:
        return mailbox.get(request.path_params["id"])

    def missing() -> Response:
        return JSONResponse({"Error": "message not found"}, 404)

    async def message(request: Request) -> Response:
        mail = found(request)
        return JSONResponse(mail.full(), headers=_SAFE) if mail else missing()

    async def raw(request: Request) -> Response:
        mail = found(request)
        return Response(mail.raw, media_type="text/plain", headers=_SAFE) if mail else missing()

    async def part(request: Request) -> Response:
        mail = found(request)
        for number, piece in mail.parts() if mail else ():
            if number == request.path_params["part"]:
                name = quote(piece.get_filename() or f"part-{number}")
                headers = {
                    **_SAFE,
                    # A mail's content never runs as a page of this server.
                    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
                    "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
                }
                return Response(payload(piece), media_type=piece.get_content_type(), headers=headers)
        return missing()

    async def html(request: Request) -> Response:
        mail = found(request)
        if mail is None:
            return missing()
        policy = "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        return HTMLResponse(mail.full()["HTML"], headers={**_SAFE, "Content-Security-Policy": policy})

    async def page(_: Request) -> Response:
        return HTMLResponse(_PAGE.read_text(), headers={**_SAFE, "Content-Security-Policy": _POLICY})

    async def script(_: Request) -> Response:
        return Response(_PAGE.with_name("inbox.js").read_text(), media_type="text/javascript", headers=_SAFE)

    async def client_app(request: Request) -> Response:
        return HTMLResponse(visit(request), headers={**_SAFE, "Content-Security-Policy": page_policy(request)})

    async def join_script(_: Request) -> Response:
        return Response(JOIN_SCRIPT.read_text(), media_type="text/javascript", headers=_SAFE)

    async def key_set(_: Request) -> Response:
        return JSONResponse(jwks(keys), headers={"Cache-Control": "max-age=60"})

    def event_key_set(_: Request) -> Response:
        if event_keys is None or not event_keys.is_file():
            return PlainTextResponse("no keys that sign events were made here", 404)
        return Response(event_keys.read_bytes(), media_type="application/jwk-set+json")

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/inbox.js", script),
            Route("/api/v1/messages", messages),
            Route("/api/v1/messages", delete, methods=["DELETE"]),
            Route("/api/v1/search", search),
            Route("/api/v1/message/{id}", message),
            Route("/api/v1/message/{id}/raw", raw),
            Route("/api/v1/message/{id}/part/{part}", part),
            Route("/view/{id}.html", html),
            Route("/whatsapp/{version}/{phone_number_id}/messages", whatsapp.take, methods=["POST"]),
            Route("/api/v1/whatsapp", whatsapp.listed),
            Route("/api/v1/whatsapp", whatsapp.delete, methods=["DELETE"]),
            Route("/v1/traces", traces.take, methods=["POST"]),
            Route("/api/v1/traces/{id}", traces.listed),
            Route("/join.js", join_script),
            Route("/join/verify", VideoRoom(api).verify, methods=["POST"]),
            Route("/join/{session_id}", client_app, name="join"),
            Route("/rooms/{room_id}/book", client_app, name="book"),
            Route("/rooms/{room_id}", client_app, name="room"),
            Route("/sessions/{session_id}", client_app, name="session"),
            Route("/invoices", client_app, name="invoices"),
            Route("/contact", client_app, name="contact"),
            Route("/contact/confirm", client_app, name="confirm"),
            Route("/.well-known/jwks.json", key_set),
            Route("/.well-known/event-keys.json", event_key_set),
            Route("/livez", alive),
            Route("/readyz", alive),
        ]
    )

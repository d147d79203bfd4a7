"""/v1/unsubscribe/{token}: no more e-mails, for whoever has the link out of one (RFC 8058)."""

from __future__ import annotations

import tomllib
from functools import cache
from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from makegood_chassis.access.request import Accesses
from makegood_chassis.database import Queries
from makegood_chassis.http.context import context
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import not_found
from makegood_chassis.service import Service

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.mail.unsubscribing import LONGEST, PATH, UnsubscribeLink
from makegood_notifications.mail.wording import FOLDER
from makegood_notifications.store import contacts
from makegood_notifications.store.contacts import Contact

router = APIRouter(tags=["contact"])

BY_LINK: Final = "mail"
"""Role in the access log of whoever follows a link out of an e-mail: it alone says whose it is."""
_PAGE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "A page for people."}
}
_FORM: Final = {
    "requestBody": {
        "required": False,
        "content": {
            kind: {
                "schema": {"type": "object", "properties": {"List-Unsubscribe": {"type": "string"}}},
                "example": {"List-Unsubscribe": "One-Click"},
            }
            for kind in ("application/x-www-form-urlencoded", "multipart/form-data")
        },
    }
}
Token = Annotated[str, Path(max_length=LONGEST, description="From the header `List-Unsubscribe` of an e-mail.")]


@router.get(
    PATH + "/{token}",
    operation_id="read_unsubscribe_page",
    summary="Ask whether e-mails shall end",
    response_class=Response,
    responses={**_PAGE, **problems("not-found")},
)
async def ask(token: Token, request: Request) -> Response:
    """A page with a button. It changes nothing: programs that look for viruses follow links too."""
    async with request.app.state.service.database.reading() as queries:
        _, contact = await _person(request, queries, token)
    return _page(request, contact)


@router.post(
    PATH + "/{token}",
    operation_id="unsubscribe_from_mails",
    summary="No more e-mails",
    response_class=Response,
    responses={**_PAGE, **problems("not-found", "payload-too-large")},
    openapi_extra=_FORM,
)
async def unsubscribe(token: Token, request: Request) -> Response:
    """Turns off the person's channel `email`, and nothing else; needs no token and no body. What protects the account, such as a
    changed address, is still mailed. Repeats are harmless."""
    service: Service[Dependencies] = request.app.state.service
    async with service.database.transaction(context(request).cause) as unit:
        person_id, contact = await _person(request, unit, token)
        contact = await contacts.end_mails(unit, person_id, unit.now) or contact
        seen = Accesses(request.scope, context(request).request_id, person_id, BY_LINK, "contact.unsubscribe")
        await seen.write(unit, [(person_id, None)])
    return _page(request, contact)


async def _person(request: Request, queries: Queries, token: str) -> tuple[str, Contact]:
    """Whose link it is. Raises 404 for one that is forged, or was made for an address that is theirs no longer."""
    dependencies: Dependencies = request.app.state.service.dependencies
    link = UnsubscribeLink.parse(token)
    contact = await contacts.find(queries, link.person_id) if link is not None else None
    if link is None or contact is None or not link.fits(dependencies.master_keys, contact.email):
        raise not_found("link")
    return link.person_id, contact


@cache
def _words(language: str) -> dict[str, str]:
    return tomllib.loads((FOLDER / language / "unsubscribe.toml").read_text(encoding="utf-8"))


def _page(request: Request, contact: Contact) -> Response:
    """Plain HTML, in the person's language, without a word about who they are."""
    dependencies: Dependencies = request.app.state.service.dependencies
    language = dependencies.wording.language(contact.locale).code
    words = {name: escape(text) for name, text in _words(language).items()}
    if contact.by_email:
        rest = (
            f"<p>{words['question']}</p>"
            '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
            f"<p><button>{words['button']}</button></p></form>"
        )
    else:
        rest = f'<p role="status">{words["done"]}</p>'
    content = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{words['title']}</title></head><body><main><h1>{words['title']}</h1>{rest}</main></body></html>"
    )
    return Response(content, media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-store"})

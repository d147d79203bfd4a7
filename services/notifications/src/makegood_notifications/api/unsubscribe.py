"""/v1/unsubscribe/{token}: stops e-mails with the link from one of them, without a sign-in (RFC 8058)."""

from __future__ import annotations

import tomllib
from functools import cache
from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from makegood_chassis.access.request import Accesses
from makegood_chassis.http.context import context
from makegood_chassis.http.openapi import problems

from makegood_notifications.api.parameters import DependenciesOf
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.handlers import commands
from makegood_notifications.mail.languages import FOLDER
from makegood_notifications.mail.unsubscribing import LONGEST, PATH
from makegood_notifications.store.contacts import Contact

router = APIRouter(tags=["contact"])

BY_LINK: Final = "mail"
"""Role in the access log for people who follow a link from an e-mail: they have no token, only the link."""
_PAGE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "An HTML page."}
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
    summary="Show the unsubscribe page",
    response_class=Response,
    responses={**_PAGE, **problems("not-found")},
)
async def ask(token: Token, dependencies: DependenciesOf) -> Response:
    """Shows a page with a button. Opening it changes nothing, because virus scanners follow links too."""
    async with dependencies.database.reading() as queries:
        _, contact = await commands.find_by_link(queries, dependencies, token)
    return _page(dependencies, contact)


@router.post(
    PATH + "/{token}",
    operation_id="unsubscribe_from_mails",
    summary="Unsubscribe from e-mails",
    response_class=Response,
    responses={**_PAGE, **problems("not-found", "payload-too-large")},
    openapi_extra=_FORM,
)
async def unsubscribe(token: Token, request: Request, dependencies: DependenciesOf) -> Response:
    """Turns off the person's channel `email` and nothing else. It needs no token and no body. Repeats are harmless.

    Messages that protect the account, such as those about a changed address, are still e-mailed.
    """
    async with dependencies.database.transaction(context(request).cause) as unit:
        person_id, contact = await commands.end_emails(unit, dependencies, token)
        seen = Accesses(
            request.method, request.path_params, context(request).request_id, person_id, BY_LINK, "contact.unsubscribe"
        )
        await seen.write(unit, [(person_id, None)])
    return _page(dependencies, contact)


@cache
def _words(language: str) -> dict[str, str]:
    return tomllib.loads((FOLDER / language / "unsubscribe.toml").read_text(encoding="utf-8"))


def _page(dependencies: Dependencies, contact: Contact) -> Response:
    """Plain HTML in the person's language. It does not reveal who they are."""
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

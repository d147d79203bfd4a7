"""What was sent to whom, and the app's own list of messages to one person (NOTE-1, channel `in_app`)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, page
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.http.structs import answer_page, row_struct_of, struct_of
from makegood_contracts.ids import is_id

from makegood_notifications.api.models import DeliveryView, InAppView
from makegood_notifications.api.parameters import DependenciesOf, PersonId, id_before
from makegood_notifications.store import contacts, delivery_lists
from makegood_notifications.store.delivery_lists import InApp

router = APIRouter()

_Delivery: Final = row_struct_of(DeliveryView)
_InApp: Final = struct_of(InAppView)


@router.get(
    "/v1/deliveries",
    summary="List deliveries",
    tags=["deliveries"],
    response_model=Page[DeliveryView],
    responses=problems("not-found"),
)
async def list_deliveries(
    access: Annotated[Access, Depends(operation("delivery.list"))],
    log: Log,
    dependencies: DependenciesOf,
    person_id: Annotated[str | None, Query(description="Return only messages to this person.")] = None,
    session_id: Annotated[str | None, Query(description="Return only messages about this session.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Lists what was sent, newest first. Members and providers see their own; support sees everybody's. Addresses
    and texts are not shown."""
    role = access.role_for()
    if role is None:
        person_id = person_id or access.caller.subject
        role = access.require("person", person_id=person_id)
    if session_id is not None and not is_id(session_id):
        return answer_page([])
    before = id_before(cursor)
    async with dependencies.database.reading() as queries:
        rows = await delivery_lists.listed(
            queries, person_id=person_id, session_id=session_id, before=before, limit=limit + 1
        )
        people = {person_id} if person_id is not None else {row["person_id"] for row in rows[:limit]}
        await log.record(
            queries, access, role, *sorted(people), entity=f"session:{session_id}" if session_id is not None else None
        )
    items, following = page(rows, limit, lambda row: _Delivery(*row), lambda row: (row["id"],))
    return answer_page(items, following)


@router.get(
    "/v1/people/{person_id}/messages",
    summary="List messages to me",
    tags=["in-app messages"],
    response_model=Page[InAppView],
)
async def list_in_app_messages(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("inbox.read"))],
    log: Log,
    dependencies: DependenciesOf,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Lists what the platform told only this person, newest first, in their language. Messages that both parties may
    read are in the room's chat instead."""
    role = access.require("person", person_id=person_id)
    before = id_before(cursor)
    async with dependencies.database.reading() as queries:
        await log.record(queries, access, role, person_id)
        locale = await contacts.locale(queries, person_id)
        rows = await delivery_lists.in_app(queries, person_id, before=before, limit=limit + 1)

    def view(message: InApp) -> InAppView:
        to = "provider" if message.content.provider_id == person_id else "member"
        text = dependencies.wording.in_app(
            message.template,
            message.content,
            other=message.other_name,
            locale=locale,
            to=to,
            venues=message.venues,
            remark=message.remark,
        )
        return _InApp(
            id=message.id,
            template=message.template,
            title=text.title,
            text=text.text,
            link=text.link,
            session_id=message.session_id,
            sent_at=message.sent_at,
        )

    items, following = page(rows, limit, view, lambda message: (message.id,))
    return answer_page(items, following)

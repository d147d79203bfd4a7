"""The app's own list of messages to one person (NOTE-1, channel `in_app`)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.pages import Cursor, Id, Limit, Page, decode_cursor, page
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.service import Service

from makegood_notifications.api.models import InAppView, PersonId
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.store import contacts, deliveries
from makegood_notifications.store.deliveries import InApp

router = APIRouter(tags=["in-app messages"])


@router.get("/v1/people/{person_id}/messages", summary="Messages to me")
async def list_in_app_messages(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("inbox.read"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InAppView]:
    """What the platform told this person alone, newest first, in their language. What both parties may read stands in the
    room's chat instead."""
    role = access.require("person", person_id=person_id)
    before = decode_cursor(cursor, Id)
    service: Service[Dependencies] = request.app.state.service
    dependencies: Dependencies = service.dependencies
    async with service.database.reading() as queries:
        await log.record(queries, access, role, person_id)
        locale = await contacts.locale(queries, person_id)
        rows = await deliveries.in_app(queries, person_id, before=before[0] if before else None, limit=limit + 1)

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
        return InAppView(
            id=message.id,
            template=message.template,
            title=text.title,
            text=text.text,
            link=text.link,
            session_id=message.session_id,
            sent_at=message.sent_at,
        )

    items, following = page(rows, limit, view, lambda message: (message.id,))
    return Page(items=items, next_cursor=following)

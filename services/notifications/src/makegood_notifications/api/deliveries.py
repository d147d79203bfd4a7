"""What was sent to whom."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from makegood_chassis.database import Row
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.pages import Cursor, Id, Limit, Page, decode_cursor, page
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.service import Service
from makegood_contracts.ids import is_id

from makegood_notifications.api.models import DeliveryView
from makegood_notifications.store import deliveries

router = APIRouter(tags=["deliveries"])


@router.get("/v1/deliveries", summary="What was sent to whom")
async def list_deliveries(
    access: Annotated[Access, Depends(operation("delivery.list"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
    person_id: Annotated[str | None, Query(description="Only those to this person.")] = None,
    session_id: Annotated[str | None, Query(description="Only those about this session.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryView]:
    """Newest first. A member or provider sees their own, support everybody's. Addresses and texts are not shown."""
    role = access.role_for()
    if role is None:
        person_id = person_id or access.caller.subject
        role = access.require("person", person_id=person_id)
    if session_id is not None and not is_id(session_id):
        return Page(items=[])
    before = decode_cursor(cursor, Id)
    service: Service = request.app.state.service
    async with service.database.reading() as queries:
        rows = await deliveries.listed(
            queries, person_id=person_id, session_id=session_id, before=before[0] if before else None, limit=limit + 1
        )
        whose = {row["person_id"] for row in rows[:limit]} | ({person_id} if person_id is not None else set())
        await log.record(
            queries, access, role, *sorted(whose), entity=f"session:{session_id}" if session_id is not None else None
        )
    items, following = page(rows, limit, _view, lambda row: (str(row["id"]),))
    return Page(items=items, next_cursor=following)


def _view(row: Row) -> DeliveryView:
    values = dict(row)
    return DeliveryView.model_validate(
        {**values, "id": str(values["id"]), "session_id": str(values["session_id"]) if values["session_id"] else None}
    )

"""Reminders that a provider sends by hand."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.mutations import UnversionedMutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.rights import Access, operation

from makegood_notifications.api.lookup import session_of
from makegood_notifications.api.models import DeliveryView, ReminderRequest
from makegood_notifications.api.parameters import DependenciesOf
from makegood_notifications.handlers import commands

router = APIRouter(tags=["reminders"])


@router.post(
    "/v1/sessions/{session_id}/reminders",
    status_code=201,
    response_model=DeliveryView,
    summary="Remind the member now",
    responses=problems("not-confirmed", "session-over", "reminder-not-possible", "too-soon", "idempotency-in-flight"),
)
async def send_reminder(
    session_id: str,
    body: ReminderRequest,
    access: Annotated[Access, Depends(operation("reminder.send"))],
    log: Log,
    mutation: UnversionedMutation,
    dependencies: DependenciesOf,
) -> Response:
    """Sends the reminder by e-mail or WhatsApp, as the member's plan allows and the member chose (REM-1). At most once an hour for
    each session and channel. The answer is the queued delivery."""
    session, role = await session_of(dependencies, session_id, access, settled=True)
    async with mutation.unit() as unit:
        await log.record(unit, access, role, session.member_id, entity=f"session:{session.id}")
        queued = await commands.remind(unit, dependencies, session.id, body.channel)
        view = DeliveryView(
            id=queued.delivery_id,
            person_id=session.member_id,
            channel=body.channel,
            template="reminder",
            subject=queued.subject,
            status="queued",
            session_id=session.id,
            sent_at=None,
        )
        return mutation.answer(201, view)

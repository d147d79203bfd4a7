"""Reminders by the provider's hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem, not_found
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.service import Service
from makegood_contracts.ids import new_id

from makegood_notifications.api.lookup import session_of
from makegood_notifications.api.models import DeliveryView, ReminderRequest
from makegood_notifications.api.pace import not_too_often
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.allowances import REMINDER
from makegood_notifications.domain.notices import Notice, Source
from makegood_notifications.domain.plans import reminder_channels
from makegood_notifications.domain.reminders import why_no_reminder
from makegood_notifications.handlers.notifier import Notifier
from makegood_notifications.store import contacts, plans, read_models
from makegood_notifications.whatsapp.cloud_api import number_of

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
    log: Annotated[AccessLog, Depends(access_log)],
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    request: Request,
) -> Response:
    """REM-1: by e-mail or WhatsApp, as the member's plan allows and the member chose; at most once an hour for each session and
    channel. Answers the delivery, queued."""
    service: Service[Dependencies] = request.app.state.service
    dependencies: Dependencies = service.dependencies
    known, role = await session_of(service, session_id, access, settled=True)
    async with mutation.unit() as unit:
        session = await read_models.find_session(unit, known.id)
        if session is None:
            raise not_found("session")
        await log.record(unit, access, role, session.member_id, entity=f"session:{session.id}")
        contact = await contacts.find(unit, session.member_id)
        enrolments = await plans.enrolments_of(unit, session.member_id)
        by_email = body.channel == "email"
        reachable = contact is not None and (
            contact.by_email if by_email else contact.by_whatsapp and bool(number_of(contact.phone or ""))
        )
        why_not = why_no_reminder(
            session.status,
            session.starts_at,
            unit.now,
            body.channel,
            reminder_channels(enrolments, session.starts_at),
            reachable=reachable,
        )
        if why_not is not None:
            raise Problem(why_not)
        await not_too_often(unit, REMINDER, f"{session.id}/{body.channel}")
        locale = contact.locale if contact else "en"
        cause = mutation.cause
        source = Source(new_id(), cause.correlation_id, cause.traceparent, datetime.now(UTC))
        notifier = Notifier(unit, dependencies)
        notice = Notice("reminder", "member", session.content(), source)
        delivery_id = notifier.queue(notice, body.channel, locale)
        await notifier.send()
        view = DeliveryView(
            id=delivery_id,
            person_id=session.member_id,
            channel=body.channel,
            template="reminder",
            subject=dependencies.wording.subject("reminder", locale),
            status="queued",
            session_id=session.id,
            sent_at=None,
        )
        return mutation.answer(201, view)

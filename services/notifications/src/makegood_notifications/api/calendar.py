"""Calendars: one session as a file, and a person's sessions as a feed with a secret address."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from makegood_chassis.access.request import Accesses
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.context import context
from makegood_chassis.http.mutations import UnversionedMutation, release_many
from makegood_chassis.http.problems import not_found
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.real_time import utc_now

from makegood_notifications.api.lookup import session_of
from makegood_notifications.api.models import FeedView
from makegood_notifications.api.parameters import DependenciesOf, PersonId
from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.invitations import calendar_status
from makegood_notifications.domain.venues import Venues
from makegood_notifications.handlers import commands
from makegood_notifications.mail.published import Appointment, published
from makegood_notifications.store import contacts, feeds, read_models, venues
from makegood_notifications.store.read_models import Session

router = APIRouter(tags=["calendar"])

KEPT: Final = timedelta(days=90)
"""How long a session stays in a calendar feed after its end."""
NAME: Final = "Makegood"
_ICS: Final = "text/calendar; charset=utf-8"
_DESCRIBED: Final = {
    200: {"content": {"text/calendar": {"schema": {"type": "string"}}}, "description": "An iCalendar file (RFC 5545)."}
}
BY_ADDRESS: Final = "calendar"
"""Role in the access log for readers of a calendar feed, who have no token, only its secret address."""


@router.get(
    "/v1/sessions/{session_id}/calendar.ics",
    summary="Download a session's calendar file",
    response_class=Response,
    responses=_DESCRIBED,  # type: ignore[arg-type]
)
async def read_session_calendar(
    session_id: str,
    access: Annotated[Access, Depends(operation("calendar.read"))],
    log: Log,
    dependencies: DependenciesOf,
) -> Response:
    """Downloads the session as it is now, with the UID and SEQUENCE of its invitation. It is available once the session
    is reserved.
    """
    session, role = await session_of(dependencies, session_id, access)
    reader = access.caller.subject
    async with dependencies.database.reading() as queries:
        await log.record(queries, access, role, session.member_id, session.provider_id, entity=f"session:{session.id}")
        names = await contacts.names(queries, {session.member_id, session.provider_id})
        locale = await contacts.locale(queries, reader)
        places = await venues.find(queries, {session.venue_id})
    content = published(_appointments(dependencies, [session], reader, names, places, locale), made_at=utc_now())
    return Response(
        content, media_type=_ICS, headers={"Content-Disposition": f'attachment; filename="session-{session.id}.ics"'}
    )


@router.post(
    "/v1/people/{person_id}/calendar-feed", status_code=201, response_model=FeedView, summary="Create my calendar feed"
)
async def create_calendar_feed(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("calendar.follow"))],
    log: Log,
    mutation: UnversionedMutation,
    dependencies: DependenciesOf,
) -> Response:
    """Creates a secret address that any calendar program can follow without a token.

    It is shown once and stored nowhere, not even under an `Idempotency-Key`. Another request creates a new address, and
    the previous one stops working.
    """
    role = access.require("person", person_id=person_id)
    async with mutation.unit(resource=f"/v1/people/{person_id}/calendar-feed") as unit:
        await log.record(unit, access, role, person_id)
        secret = await commands.create_calendar_feed(unit, person_id)
        # A stored answer would be a stored secret: the key is released, and a repeat gets a new address that works.
        await release_many([mutation.claim], unit)
    return mutation.answer(201, FeedView(url=f"{dependencies.base_url}/v1/calendar/{secret}.ics"))


@router.delete("/v1/people/{person_id}/calendar-feed", status_code=204, summary="Stop my calendar feed")
async def revoke_calendar_feed(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("calendar.follow"))],
    log: Log,
    mutation: UnversionedMutation,
) -> Response:
    """Revokes the secret address, so that it stops working. If there is none, nothing happens."""
    role = access.require("person", person_id=person_id)
    async with mutation.unit() as unit:
        await log.record(unit, access, role, person_id)
        await feeds.revoke(unit, person_id)
        return mutation.answer(204)


@router.get(
    "/v1/calendar/{secret}.ics",
    summary="Read a calendar feed",
    response_class=Response,
    responses=_DESCRIBED,  # type: ignore[arg-type]
)
async def read_calendar_feed(
    secret: Annotated[str, Path(max_length=128, description="From the address of the calendar feed.")],
    request: Request,
    dependencies: DependenciesOf,
) -> Response:
    """Reads the person's sessions of the last 90 days and in the future, as they are now. It needs no token: the
    address is the secret."""
    async with dependencies.database.reading() as queries:
        person_id = await feeds.owner(queries, secret)
        if person_id is None:
            raise not_found("calendar")
        sessions = await read_models.sessions_of(queries, person_id, dependencies.clock.now() - KEPT)
        parties = {party for session in sessions for party in (session.member_id, session.provider_id)}
        names = await contacts.names(queries, parties)
        locale = await contacts.locale(queries, person_id)
        places = await venues.find(queries, {session.venue_id for session in sessions})
        # Anybody who has the address sees what its owner sees.
        seen = Accesses(
            request.method, request.path_params, context(request).request_id, person_id, BY_ADDRESS, "calendar.feed"
        )
        await seen.write(queries, [(person, None) for person in sorted(parties | {person_id})])
    appointments = _appointments(dependencies, sessions, person_id, names, places, locale)
    content = published(appointments, made_at=utc_now(), name=NAME)
    return Response(content, media_type=_ICS, headers={"Cache-Control": "private, max-age=300"})


def _appointments(
    dependencies: Dependencies,
    sessions: Iterable[Session],
    reader: str,
    names: dict[str, str],
    places: Venues,
    locale: str,
) -> Iterable[Appointment]:
    for session in sessions:
        told = session.content()
        to, other = (
            ("provider", session.member_id) if reader == session.provider_id else ("member", session.provider_id)
        )
        yield Appointment(
            session_id=session.id,
            starts_at=session.starts_at,
            ends_at=session.ends_at,
            sequence=session.invitation_sequence or 0,
            calendar_status=calendar_status(session.status),
            text=dependencies.wording.appointment(
                told, session.status, other=names.get(other, ""), locale=locale, to=to, venues=places
            ),
        )

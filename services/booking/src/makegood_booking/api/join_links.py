"""POST /v1/join-links/verify: the video room asks whether a join link opens a session now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from makegood_chassis.http.models import Instant, RequestModel, View, example
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem
from makegood_chassis.service import Service
from makegood_contracts.events import Modality, Party
from pydantic import Field

from makegood_booking.api.models import SESSION_ID
from makegood_booking.api.parameters import DependenciesOf
from makegood_booking.domain.attendance import as_of, entry_refused
from makegood_booking.handlers.refusals import SessionRefused
from makegood_booking.join_links import MAXIMUM_TOKEN, InvalidLink
from makegood_booking.store.sessions import read_session

router = APIRouter(tags=["sessions"])


class LinkRequest(RequestModel):
    """The link that someone wants to join with."""

    model_config = example(token="eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")  # noqa: S106 - an example

    token: Annotated[
        str, Field(min_length=1, max_length=MAXIMUM_TOKEN, description="The part of `join_url` after `#`.")
    ]


class OpenedView(View):
    """Whom the link lets into which session, and until when."""

    model_config = example(
        session_id=SESSION_ID,
        person_id="anna",
        party="member",
        modality="video",
        ends_at="2026-11-27T09:45:00Z",
    )

    session_id: str
    person_id: str
    party: Party
    modality: Modality
    ends_at: Instant


@router.post(
    "/v1/join-links/verify",
    summary="Verify join link",
    response_model=OpenedView,
    responses=problems("join-link-invalid", "not-confirmed", "too-early-to-join", "session-over"),
)
async def verify_join_link(asked: LinkRequest, request: Request, dependencies: DependenciesOf) -> OpenedView:
    """Checks whether a join link opens its session now. Use it in the video room before you let someone in.

    It needs no access token, because the link is the proof. The answer is 400 if the link is forged, expired or revoked, and 409 if
    the session can't be joined now, for example because it was cancelled. A link stops working as soon as its session ends. You
    can ask as often as you like: nothing changes.
    """
    service: Service = request.app.state.service
    now = dependencies.clock.now()
    try:
        link = dependencies.join_links.read(asked.token, now)
    except InvalidLink as error:
        raise _refused(str(error)) from error
    if not service.revocations.loaded:
        await service.revocations.load(dependencies.database)
    if service.revocations.refuses(link.person_id, link.jti, link.issued_at):
        raise _refused("the person was signed out; sign in and join again")
    async with dependencies.database.reading() as queries:
        session = await read_session(queries, dependencies.policies, link.session_id)
    if session is None:
        raise _refused("its session does not exist")
    session, _ = as_of(session, now)
    refusal = entry_refused(session, now)
    if refusal is not None:
        raise SessionRefused(refusal, session, now)
    return OpenedView(
        session_id=session.id,
        person_id=link.person_id,
        party=link.party,
        modality=session.booked.modality,
        ends_at=session.booked.ends_at,
    )


def _refused(why: str) -> Problem:
    return Problem("join-link-invalid", f"The join link is not valid: {why}.")

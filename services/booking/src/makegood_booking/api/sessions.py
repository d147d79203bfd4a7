"""Reading sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response
from makegood_chassis.database import Queries, Row
from makegood_chassis.http.answers import answer
from makegood_chassis.http.models import Instant
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import invalid, not_found, valid_id
from makegood_chassis.http.rights import Access, Caller, Role, operation
from makegood_chassis.http.structs import answer_page, struct_of
from makegood_contracts.ids import is_id
from msgspec import structs

from makegood_booking.api.models import HistoryItem, SessionPolicyView, SessionView, remedy_context
from makegood_booking.api.parameters import DependenciesOf, SessionId, member_contexts, reader_of
from makegood_booking.api.rooms import note_parties, valid_cursor_id
from makegood_booking.dependencies import Dependencies
from makegood_booking.domain.remedies import RemedyContext, needs_more
from makegood_booking.domain.session import Session, SessionStatus
from makegood_booking.handlers.bookability import remedy_context_of
from makegood_booking.store import sessions as store
from makegood_booking.store.lists import Filter, ListPosition, is_snapshot, list_sessions, position, read_history
from makegood_booking.store.personal_data import Note, read_notes, read_remark
from makegood_booking.store.rooms import read_room

router = APIRouter(tags=["sessions"])

_HistoryItem: Final = struct_of(HistoryItem)
_WITH_NOTES = ("OutcomeDisputed", "OutcomeCorrected")


async def readable(queries: Queries, dependencies: Dependencies, session_id: str, access: Access) -> Session:
    """The session. Raises 404 if the caller may not see it."""
    session = await store.read_session(queries, dependencies.policies, valid_id(session_id, "session"))
    if session is None:
        raise not_found("session")
    access.require("session", member_id=session.booked.member_id, provider_id=session.booked.provider_id)
    return session


@router.get("/v1/sessions", operation_id="list_sessions", response_model=Page[SessionView])
async def sessions(
    access: Annotated[Access, Depends(operation("session.list"))],
    dependencies: DependenciesOf,
    room_id: Annotated[str | None, Query(description="Return only sessions in this room.")] = None,
    status: Annotated[
        list[SessionStatus] | None,
        Query(max_length=20, description="Return only sessions with this status. Repeat it for several."),
    ] = None,
    starts_from: Annotated[
        Instant | None, Query(alias="from", description="Return only sessions that start at this time or later.")
    ] = None,
    starts_before: Annotated[
        Instant | None, Query(alias="to", description="Return only sessions that start before this time.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Lists your sessions by their start. Support sees all sessions."""
    after = decode_cursor(cursor, datetime, str, str)
    who = {grant.role: access.caller.subject for grant in access.grants}
    everybody = "support" in who
    if room_id is not None:
        if not is_id(room_id):
            return answer_page([])
        room_id = room_id.lower()
    criteria = Filter(
        member_id=None if everybody else who.get("member"),
        provider_id=None if everybody else who.get("provider"),
        room_id=room_id,
        status=status or (),
        starts_from=starts_from,
        starts_before=starts_before,
        after=_list_position(*after) if after else None,
    )
    async with dependencies.database.reading() as queries:
        if everybody and room_id is not None:  # also by its member, so that an index finds the room's sessions
            room = await read_room(queries, room_id)
            if room is None:
                return answer_page([])
            criteria = structs.replace(criteria, member_id=room.member_id)
        found = await list_sessions(queries, dependencies.policies, criteria, limit + 1)
        shown = [session for session, _ in found[:limit]]
        view = await _view_of(dependencies, shown, access.caller, queries)
    items, following = page(found, limit, lambda listed: view(listed[0]), lambda listed: position(listed[1]))
    note_parties(access, ((session.booked.member_id, session.booked.provider_id) for session in shown))
    return answer_page(items, following)


def _list_position(starts_at: datetime, session_id: str, snapshot: str) -> ListPosition:
    """The position in a cursor. Raises 422 if it is not one, because the cursor is not ours then."""
    if not is_snapshot(snapshot):
        raise invalid("#/cursor", "Send `next_cursor` unchanged, to the same list.", where="query")
    return ListPosition(starts_at, valid_cursor_id(session_id), snapshot)


@router.get("/v1/sessions/{session_id}", response_model=SessionView, responses=problems("not-found"))
async def read_session(
    session_id: SessionId, access: Annotated[Access, Depends(operation("session.read"))], dependencies: DependenciesOf
) -> Response:
    """Reads a session, as one of its two parties or support."""
    async with dependencies.database.reading() as queries:
        session = await readable(queries, dependencies, session_id, access)
        view = await _view_of(dependencies, [session], access.caller, queries)
    return answer(200, view(session), version=session.version, varies=True)


async def _view_of(
    dependencies: Dependencies, shown: Sequence[Session], caller: Caller, queries: Queries
) -> Callable[[Session], SessionView]:
    """Reads what these sessions' views depend on. Returns the function that makes the view that the caller sees now."""
    now = dependencies.clock.now()
    remedies = await _remedy_contexts(queries, shown, now)
    rooms = await member_contexts(queries, dependencies, shown, caller, now)

    def view(session: Session) -> SessionView:
        reader = reader_of(session, caller)
        return SessionView.of(session, reader, now, remedies.get(session.id), rooms.get(session.booked.room_id))

    return view


async def _remedy_contexts(queries: Queries, shown: Sequence[Session], now: datetime) -> dict[str, RemedyContext]:
    """What the remedies of rejected sessions depend on, by session. Reads each room once."""
    rooms: dict[str, RemedyContext] = {}
    found: dict[str, RemedyContext] = {}
    for session in shown:
        if not session.reasons or not needs_more(reason.code for reason in session.reasons):
            continue
        room, at = session.booked.room_id, remedy_context(session)
        if room not in rooms:
            rooms[room] = await remedy_context_of(queries, at, now)
        found[session.id] = replace(rooms[room], purchasable=at.purchasable)
    return found


@router.get("/v1/sessions/{session_id}/policy", response_model=SessionPolicyView, responses=problems("not-found"))
async def read_session_policy(
    session_id: SessionId, access: Annotated[Access, Depends(operation("session.policy"))], dependencies: DependenciesOf
) -> Response:
    """Tells what cancelling this session would mean now, under the policy that it was booked under."""
    async with dependencies.database.reading() as queries:
        session = await readable(queries, dependencies, session_id, access)
    return answer(200, SessionPolicyView.of(session, dependencies.clock.now()))


@router.get("/v1/sessions/{session_id}/history", response_model=Page[HistoryItem], responses=problems("not-found"))
async def read_session_history(
    session_id: SessionId,
    access: Annotated[Access, Depends(operation("session.history"))],
    dependencies: DependenciesOf,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Lists what happened to a session, oldest first.

    Only the two parties see the remark of a cancellation. Only its author and support see the note of a dispute. All three see
    the reason of a correction.
    """
    after = decode_cursor(cursor, int)
    async with dependencies.database.reading() as queries:
        session_id = valid_id(session_id, "session")
        history = await read_history(queries, session_id, min(after[0], 2**31 - 1) if after else 0, limit + 1)
        if history is None:
            raise not_found("session")
        role = access.require("session", member_id=history.member_id, provider_id=history.provider_id)
        remark = None
        if history.status == "cancelled" and role in ("member", "provider"):
            remark = await read_remark(queries, session_id)
        written = [row["version"] for row in history.rows if row["type"] in _WITH_NOTES]
        notes = await read_notes(queries, session_id, written) if written else {}
    items, following = page(
        history.rows,
        limit,
        lambda row: _item(row, remark, notes.get(row["version"]), role),
        lambda row: (row["version"],),
    )
    return answer_page(items, following)


def _item(row: Row, remark: str | None, note: Note | None, reader: Role) -> HistoryItem:
    detail = row["detail"]
    if remark is not None and row["type"] == "SessionCancelled":
        detail = f"{detail}: {remark}"
    if note is not None:
        detail = _with_note(detail, note, reader)
    return _HistoryItem(at=datetime.fromisoformat(row["at"]), type=row["type"], by=row["by"], detail=detail)


def _with_note(detail: str, note: Note, reader: Role) -> str:
    """Only its author and support see a dispute's note (MISS-5). The parties and support see a correction's reason, and support
    also who gave it."""
    if note.kind == "dispute" and reader not in ("support", note.role):
        return detail
    if note.kind == "correction" and reader == "support":
        detail = f"{detail} ({note.author})"
    return detail if note.text is None else f"{detail}: {note.text}"

"""The routes of a small service of notes: everything that a service does over HTTP, and nothing of the product."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal, cast

import asyncpg
from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response
from fastapi.responses import StreamingResponse
from makegood_chassis.http.answers import answer
from makegood_chassis.http.app import create_app
from makegood_chassis.http.models import Instant, RequestModel, View
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.pages import Cursor, Limit, decode_cursor, page
from makegood_chassis.http.problems import Problem, not_found
from makegood_chassis.http.rights import Access, Denial, Grant, Rights, operation
from makegood_chassis.service import Service
from makegood_contracts.ids import is_id, new_id
from pydantic import Field, field_validator

SCHEMA = """
CREATE TABLE notes (id uuid PRIMARY KEY, owner text NOT NULL, text text NOT NULL, version int NOT NULL DEFAULT 1);
"""
RIGHTS: Rights = {
    "note.write": (Grant("member"), Denial("support", "support-may-not")),
    "note.read": (Grant("member", "self"), Grant("support")),
    "note.list": (Grant("member"),),
    "trouble": (Grant("member"),),
}


class Gate:
    """Where a slow note waits between its commit and its answer."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()


class Hours(RequestModel):
    day: Literal["monday", "tuesday"]


class NewNote(RequestModel):
    text: str = Field(max_length=50_000)
    at: Instant | None = None
    weekly: list[Hours] = Field(default_factory=list, max_length=2000)
    zone: str | None = None

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str | None) -> str | None:
        if zone not in (None, "Europe/Paris"):
            raise ValueError(f"there is no time zone {zone}")
        return zone


class Note(View):
    has_etag = True

    id: str
    owner: str
    text: str
    version: int


def _note(row: asyncpg.Record) -> Note:
    return Note(id=str(row["id"]), owner=row["owner"], text=row["text"], version=row["version"])


writing = Annotated[Access, Depends(operation("note.write"))]
reading = Annotated[Access, Depends(operation("note.read"))]
listing = Annotated[Access, Depends(operation("note.list"))]
troubled = Annotated[Access, Depends(operation("trouble"))]
changing = Annotated[Mutation, Depends(mutation(if_match="required"))]
keyed = Annotated[Mutation, Depends(mutation(key_required=True, if_match="none"))]
awaited = Annotated[Mutation, Depends(mutation(key_required=True, if_match="none", waits=True))]


def work() -> None:
    """What `/v1/trouble/burn` does; tests put something else here."""


def routes(service: Service) -> APIRouter:
    router = APIRouter()
    database = service.database

    @router.post("/v1/notes", status_code=201, response_model=Note)
    async def write(new: NewNote, mutation: keyed, access: writing) -> Response:
        async with mutation.unit() as unit:
            if new.text == "refused":
                raise Problem("slot-taken", reasons=[{"code": "slot-taken", "detail": "It is taken."}])
            note = Note(id=new_id(), owner=access.caller.subject, text=new.text, version=1)
            await unit.execute("INSERT INTO notes VALUES ($1, $2, $3)", note.id, note.owner, note.text)
            return mutation.answer(201, note, version=1, location=f"/v1/notes/{note.id}")

    @router.post("/v1/slow-notes", status_code=201, response_model=Note)
    async def write_slowly(new: NewNote, mutation: awaited, access: writing) -> Response:
        """The outcome comes after the commit; `die` never answers, as a process that was killed."""
        note = Note(id=new_id(), owner=access.caller.subject, text=new.text, version=1)
        path = f"/v1/notes/{note.id}"
        async with mutation.unit(resource=path) as unit:
            await unit.execute("INSERT INTO notes VALUES ($1, $2, $3)", note.id, note.owner, note.text)
        if new.text == "die":
            raise asyncpg.ConnectionDoesNotExistError("gone")
        if new.text == "late refusal":
            return await mutation.complete(Problem("no-session-credits", purchasable=True))
        gate = cast("Gate | None", service.dependencies)
        if gate is not None:
            gate.reached.set()
            await gate.opened.wait()
        return await mutation.complete(mutation.answer(201, note, version=1, location=path))

    @router.get("/v1/notes", response_model=dict)
    async def list_notes(access: listing, cursor: Cursor = None, limit: Limit = 50) -> Response:
        after = decode_cursor(cursor, str, str) or ("", "00000000-0000-0000-0000-000000000000")
        async with database.reading() as queries:
            rows = await queries.fetch(
                "SELECT * FROM notes WHERE owner = $1 AND (text, id) > ($2, $3::uuid) ORDER BY text, id LIMIT $4",
                access.caller.subject,
                *after,
                limit + 1,
            )
        items, following = page(rows, limit, _note, lambda row: (row["text"], str(row["id"])))
        return answer(200, {"items": items, "next_cursor": following})

    @router.get("/v1/notes/{id}", response_model=Note)
    async def read(id: str, access: reading) -> Response:
        async with database.reading() as queries:
            row = await queries.fetch_one("SELECT * FROM notes WHERE id = $1", id) if is_id(id) else None
        if row is None:
            raise not_found("note")
        access.require("note", person_id=row["owner"])
        return answer(200, _note(row), version=row["version"])

    @router.put("/v1/notes/{id}", response_model=Note)
    async def rewrite(id: str, new: NewNote, mutation: changing, access: writing) -> Response:
        async with mutation.unit() as unit:
            row = await unit.fetch_one("SELECT * FROM notes WHERE id = $1 FOR UPDATE", id)
            if row is None:
                raise not_found("note")
            mutation.expect_version(row["version"])
            row = await unit.fetch_one(
                "UPDATE notes SET text = $2, version = version + 1 WHERE id = $1 RETURNING *", id, new.text
            )
            assert row is not None
            return mutation.answer(200, _note(row), version=row["version"])

    @router.get("/v1/trouble/{kind}")
    async def trouble(kind: Annotated[str, Path(pattern="^[a-z]+$")], access: troubled, request: Request) -> Response:
        async with database.reading() as queries:
            if kind == "database":
                await queries.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            if kind == "hang":
                await queries.execute("SELECT pg_sleep(60)")
        if kind == "burn":
            work()
        if kind == "bug":
            raise LookupError("Jane Doe, jane@example.org")
        raise not_found("trouble")

    @router.get("/v1/ticks", response_class=StreamingResponse)
    async def ticks(access: troubled) -> StreamingResponse:
        """A stream without an end."""

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b": tick\n\n"
                await asyncio.sleep(0)

        return StreamingResponse(endless(), media_type="text/event-stream")

    @router.post("/v1/notes/{id}/forgetful", response_model=Note)
    async def forgetful(id: str, mutation: Annotated[Mutation, Depends(mutation())], access: writing) -> Response:
        """A change that forgets to compare the version."""
        async with mutation.unit() as unit:
            row = await unit.fetch_one("UPDATE notes SET text = 'forgot' WHERE id = $1 RETURNING *", id)
            assert row is not None
            return mutation.answer(200, _note(row), version=row["version"])

    return router


def app(service: Service) -> FastAPI:
    return create_app(service, title="Notes", description="Notes.", routers=[routes(service)], rights=RIGHTS)

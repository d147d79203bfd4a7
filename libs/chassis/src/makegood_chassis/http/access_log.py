"""Who read or changed personal data or credits, what of whom, when and why: one row each (SEC-5).

A route takes `log: Annotated[AccessLog, Depends(access_log)]` and says what it showed or changed:

    role = access.require("member", member_id=member_id)
    async with database.reading() as queries:          # a change: in its own unit, so that both happen or neither
        rows = ...
        await log.record(queries, access, role, member_id, entity=f"session:{session_id}")

The service's migration executes SCHEMA; `access_rows(service)` serves the rows to support; `keep_pruned` is a worker.
Rows tell of real time: they are about people at work, not about the product.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request

from makegood_chassis.database import Database, Queries
from makegood_chassis.http.context import context
from makegood_chassis.http.models import Instant, View, example
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.rights import Access, Grant, Rights, Role, operation
from makegood_chassis.messaging.failures import is_transient

if TYPE_CHECKING:
    from makegood_chassis.service import Service

SCHEMA: Final = """
CREATE TABLE access_rows (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    caller text NOT NULL,
    role text NOT NULL,
    operation text NOT NULL,
    person_id text NOT NULL,
    entity text,
    reason text NOT NULL,
    request_id text NOT NULL
);
CREATE INDEX access_rows_by_person ON access_rows (person_id, id);
CREATE INDEX access_rows_by_age ON access_rows USING brin (at);
COMMENT ON TABLE access_rows IS 'Who read or changed what of whom, when and why (SEC-5). Kept for ACCESS_RETENTION.';
CREATE FUNCTION refuse_change_of_access_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was written down of an access is never changed' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER access_rows_stay BEFORE UPDATE ON access_rows
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_access_rows();
"""
"""What a service's migration executes that keeps an access log."""

OPERATION: Final = "access.read"
RIGHTS: Final[Rights] = {OPERATION: (Grant("support"),)}
"""For the service's own table of rights, where it serves `access_rows`."""

_RECORD = """
INSERT INTO access_rows (caller, role, operation, person_id, entity, reason, request_id)
SELECT $1, $2, $3, person_id, $5, $6, $7 FROM unnest($4::text[]) AS person_id
"""
_READ = """
SELECT id, at, caller, role, operation, person_id, entity, reason, request_id FROM access_rows
WHERE person_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
"""
_PRUNE = """
DELETE FROM access_rows WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM access_rows WHERE at < clock_timestamp() - $1::interval LIMIT $2
))
"""
_NEWEST: Final = 2**63 - 1
_PRUNE_EVERY: Final = 3600.0

_log = structlog.get_logger(__name__)

Reason = Annotated[
    str | None,
    Header(
        alias="X-Access-Reason",
        min_length=1,
        max_length=200,
        description="Why you look at it or change it; kept in the access log. Without it the log names the operation.",
        examples=["ticket 4711"],
    ),
]


class AccessLog:
    """What one request reads or changes is written down through this."""

    def __init__(self, request_id: str, reason: str | None) -> None:
        self._request_id = request_id
        self._reason = reason

    async def record(
        self, queries: Queries, access: Access, role: Role | None, *people: str, entity: str | None = None
    ) -> None:
        """One row a person whose data it was, with one statement. `entity`: which part of it, such as `invoice:<id>`.

        `role`: what `access.require` answered; None: the one that has the operation. Before the answer leaves: what could
        not be written down is not shown.
        """
        await queries.execute(
            _RECORD,
            access.caller.subject,
            role or access.grants[0].role,
            access.operation,
            list(people),
            entity,
            self._reason or access.operation,
            self._request_id,
        )


async def access_log(request: Request, reason: Reason = None) -> AccessLog:
    """FastAPI dependency of a route that shows or changes personal data or credits."""
    return AccessLog(context(request).request_id, (reason or "").strip() or None)


class AccessRow(View):
    """One access: who did what to whose data, when and why."""

    model_config = example(
        at="2026-11-23T09:00:00Z",
        caller="support-7",
        role="support",
        operation="credits.read",
        person_id="anna",
        entity=None,
        reason="ticket 4711",
        request_id="019ab0c9-0c3d-7f52-b1d7-1e9f4c2a6d80",
    )

    at: Instant
    caller: str
    role: Role
    operation: str
    person_id: str
    entity: str | None
    reason: str
    request_id: str


Person = Annotated[
    str,
    Query(min_length=1, max_length=128, description="Whose data was read or changed.", examples=["anna"]),
]


def access_rows(service: Service) -> APIRouter:
    """GET /v1/<service>/access?person_id=…: the accesses to a person's data, newest first, for support."""
    router = APIRouter(tags=["access log"])

    @router.get(
        f"/v1/{service.name}/access",
        summary="Who read or changed a person's data",
        response_model=Page[AccessRow],
        responses=problems("validation"),
    )
    async def read_access_rows(
        person_id: Person,
        access: Annotated[Access, Depends(operation(OPERATION))],
        log: Annotated[AccessLog, Depends(access_log)],
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[AccessRow]:
        """SEC-5: who, what, when and why. That somebody looked here is an access of its own."""
        position = decode_cursor(cursor, int)
        before = position[0] if position and position[0] is not None else _NEWEST
        async with service.database.reading() as queries:
            rows = await queries.fetch(_READ, person_id, before, limit + 1)
            await log.record(queries, access, None, person_id)
        items, following = page(rows, limit, _view, lambda row: (row["id"],))
        return Page(items=items, next_cursor=following)

    return router


def _view(row: Any) -> AccessRow:
    return AccessRow(**{name: row[name] for name in AccessRow.model_fields})


async def prune(database: Database, older_than: timedelta, *, at_once: int = 5000) -> int:
    """Forgets rows that are older, in small steps. How many went."""
    gone = 0
    while True:
        async with database.reading() as queries:
            step = int((await queries.execute(_PRUNE, older_than, at_once)).rpartition(" ")[2])
        gone += step
        if step < at_once:
            return gone


def keep_pruned(retention_seconds: float) -> Any:
    """A worker of the service that forgets rows after so long, once an hour."""

    async def work(service: Service) -> None:
        while True:
            await asyncio.sleep(_PRUNE_EVERY * (0.5 + random.random()))
            try:
                gone = await prune(service.database, timedelta(seconds=retention_seconds))
            except Exception as error:
                if not is_transient(error):
                    raise
            else:
                if gone:
                    _log.info("access rows pruned", rows=gone)

    return work

"""The access log: who read, changed or was refused whose data, when and why, one row each (SEC-5).

Rows are written automatically: `Access.require` notes whose data a request is about, and under which role (see
`access.request`). A route that must record more, or also people's access to their own data, takes `log: Log` and
records it itself:

    role = access.require("member", member_id=member_id)
    async with database.reading() as queries:          # for a change: in its own unit, so that both happen or neither
        rows = ...
        await log.record(queries, access, role, member_id, entity=f"session:{session_id}")

`access_rows(service)` serves the rows to support. Rows use real time, not the product's clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from makegood_contracts.events import AccessOutcome, AccessReason

from makegood_chassis.access import tables
from makegood_chassis.access.request import About, Accesses
from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.http.context import context
from makegood_chassis.http.models import Instant, View, example
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.rights import Access, Grant, Rights, Role, operation

if TYPE_CHECKING:
    from makegood_chassis.service import Service

OPERATION: Final = "access.read"
RIGHTS: Final[Rights] = {OPERATION: (Grant("support"),)}
"""The row in the table of rights of a service that serves `access_rows`."""

_NEWEST: Final = 2**63 - 1


class AccessLog:
    """With this, a route itself logs what it reads or changes, instead of automatically."""

    def __init__(self, accesses: Accesses) -> None:
        self._accesses = accesses

    async def record(
        self, queries: Queries, access: Access, role: Role | None, *people: str, entity: str | None = None
    ) -> None:
        """Writes one row for each person whose data it was. `entity`: which part of it, such as `invoice:<id>`. `role`:
        what `access.require` returned. None: the role that has the operation.

        A change is logged in its own unit. A read is logged just before the answer is sent, because data that could not
        be logged is not shown. An access by support that shows no data is logged too.
        """
        if not people and not self._accesses.elevated:
            return
        about: list[About] = [(person, entity) for person in people] or [(None, entity)]
        role = role or access.grants[0].role
        if isinstance(queries, UnitOfWork):
            await self._accesses.write(queries, about, role=role)
        else:
            self._accesses.shown(role, about)


async def access_log(request: Request) -> AccessLog:
    """FastAPI dependency of a route that records what it shows or changes itself."""
    accesses = context(request).accesses
    if accesses is None:
        raise RuntimeError("ask for the operation first")
    return AccessLog(accesses)


Log = Annotated[AccessLog, Depends(access_log)]
"""The access log, as a parameter of a route."""


class AccessRow(View):
    """An access: who did what to whose data, when and why."""

    model_config = example(
        at="2026-11-23T09:00:00Z",
        caller="support-7",
        role="support",
        operation="credits.read",
        person_id="anna",
        entity=None,
        outcome="shown",
        reason="support_request",
        remark="ticket 4711",
        times=1,
        request_id="019ab0c9-0c3d-7f52-b1d7-1e9f4c2a6d80",
    )

    at: Instant
    caller: str
    role: str
    operation: str
    person_id: str | None
    entity: str | None
    outcome: AccessOutcome
    reason: AccessReason | None
    remark: str | None
    times: int
    request_id: str


PersonQuery = Annotated[
    str,
    Query(min_length=1, max_length=128, description="The person whose data was read or changed.", examples=["anna"]),
]


def access_rows(service: Service) -> APIRouter:
    """GET /v1/<service>/access?person_id=…: the accesses to a person's data, newest first, for support."""
    router = APIRouter(tags=["access log"])

    @router.get(
        f"/v1/{service.name}/access",
        operation_id=f"list_{service.name}_accesses",
        summary="List accesses to a person's data",
        response_model=Page[AccessRow],
        responses=problems("validation"),
    )
    async def read_access_rows(
        person_id: PersonQuery,
        access: Annotated[Access, Depends(operation(OPERATION))],
        log: Log,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[AccessRow]:
        """Lists who read or changed a person's data, when and why, newest first. Refused requests are included. Reading this list
        is an access, too.

        `reason` is the one that support or ops gave. It is null if a member or provider accessed their own data. Refusals that
        follow each other quickly are counted in one row (`times`). `person_id` is the person whose data it was.
        """
        position = decode_cursor(cursor, int)
        before = position[0] if position and position[0] is not None else _NEWEST
        async with service.database.reading() as queries:
            rows = await queries.fetch(tables.READ, person_id, before, limit + 1)
            await log.record(queries, access, None, person_id)
        items, following = page(rows, limit, _view, lambda row: (row["id"],))
        return Page(items=items, next_cursor=following)

    return router


def _view(row: Any) -> AccessRow:
    return AccessRow(**{name: row[name] for name in AccessRow.model_fields})

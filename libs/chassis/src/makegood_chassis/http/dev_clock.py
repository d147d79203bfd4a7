"""The development clock over HTTP. In production these addresses do not exist."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from makegood_chassis.http.answers import answer
from makegood_chassis.http.context import context
from makegood_chassis.http.models import RequestModel
from makegood_chassis.http.problems import invalid
from makegood_chassis.http.rights import AboutNobody, Access, Grant, Rights, operation

if TYPE_CHECKING:
    from makegood_chassis.service import Service

OPERATION: Final = "dev.clock"
RIGHTS: Final[Rights] = {OPERATION: AboutNobody((Grant("ops"),))}
Ops = Annotated[Access, Depends(operation(OPERATION))]
_TEN_YEARS: Final = 3660 * 86400.0
_ALIVE: Final = 5
"""Seconds after which a silent process is no longer waited for."""

_MOVE = """
UPDATE clock SET offset_seconds = $1, revision = revision + 1 WHERE offset_seconds < $1 RETURNING pg_notify('clock', '')
"""
_READ = f"""
SELECT c.offset_seconds,
       NOT EXISTS (SELECT FROM processes AS p
                   WHERE p.seen_at > clock_timestamp() - interval '{_ALIVE} seconds' AND p.clock_revision < c.revision)
       AND NOT EXISTS (SELECT FROM deadlines AS d
                       WHERE d.due_at <= clock_timestamp() + c.offset_seconds * interval '1 second')
       AND NOT EXISTS (SELECT FROM outbox) AS settled
FROM clock AS c
"""  # noqa: S608 - a constant of ours


class ClockMove(RequestModel):
    """How far the product's time is ahead of real time. It only ever moves forward."""

    offset_seconds: float = Field(ge=0, le=_TEN_YEARS, allow_inf_nan=False, strict=True)


def dev_clock(service: Service) -> APIRouter:
    """GET and PUT /v1/<service>/dev/clock, for ops.

    `settled`: every process of this service has the time, nothing that was due up to it is still waiting, and all events
    are sent.
    """
    router = APIRouter(prefix=f"/v1/{service.name}/dev/clock", include_in_schema=False)

    @router.get("")
    async def read_clock(access: Ops) -> Response:
        async with service.database.reading() as queries:
            row = await queries.fetch_one(_READ)
        assert row is not None
        service.clock.set_offset(timedelta(seconds=row["offset_seconds"]))
        return answer(
            200, {"now": service.clock.now(), "offset_seconds": row["offset_seconds"], "settled": row["settled"]}
        )

    @router.put("")
    async def move_clock(move: ClockMove, access: Ops, request: Request) -> Response:
        async with service.database.transaction(context(request).cause) as unit:
            moved = await unit.fetch_one(_MOVE, move.offset_seconds)
            if moved is None and await unit.fetch_value("SELECT offset_seconds FROM clock") != move.offset_seconds:
                raise invalid("#/offset_seconds", "The clock only moves forward, and it is already past that moment.")
        return await read_clock(access)

    return router

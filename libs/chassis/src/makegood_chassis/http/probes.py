"""The probes of every process: alive, ready, started, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from makegood_chassis.http.answers import answer
from makegood_chassis.metrics import READY, REGISTRY_OF_PROCESS

if TYPE_CHECKING:
    from makegood_chassis.service import Service


def probes(service: Service) -> APIRouter:
    """/livez, /readyz, /startupz, /metrics: without a token, and therefore on a separate port that is not reachable
    from outside.
    """
    router = APIRouter(include_in_schema=False)
    health = service.health
    READY.set_function(lambda: health.ready)

    @router.get("/livez")
    async def livez() -> Response:
        """A process that answers is alive: a missing dependency is not a reason to restart it."""
        return answer(200, {"status": "alive"})

    @router.get("/readyz")
    async def readyz() -> Response:
        if health.ready:
            return answer(200, {"status": "ready"})
        waiting = health.problems() or {"process": "starting"}
        return answer(503, {"status": "not ready", "problems": waiting}, headers={"Retry-After": "1"})

    @router.get("/startupz")
    async def startupz() -> Response:
        if health.started:
            return answer(200, {"status": "started"})
        return answer(503, {"status": "starting", "problems": health.problems()}, headers={"Retry-After": "1"})

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(REGISTRY_OF_PROCESS), media_type=CONTENT_TYPE_LATEST)

    return router

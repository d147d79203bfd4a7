"""The FastAPI application of a service: auth, problems, deadlines, security headers, health, OpenAPI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI

from makegood_chassis.http.rights import Rights

if TYPE_CHECKING:
    from makegood_chassis.service import Service


def create_app(
    service: Service, *, title: str, description: str, routers: Sequence[APIRouter], rights: Rights
) -> FastAPI:
    """The app. `request.app.state.service` is the service; routers reach their own parts through `service.parts`.

    Serves also /livez /readyz /startupz /metrics, /v1/<service>/openapi.json and, in development, /v1/<service>/dev/clock.
    """
    raise NotImplementedError

"""The FastAPI application of a service: auth, problems, deadlines, security headers, health, OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Receive, Scope, Send

from makegood_chassis.auth import Authenticator
from makegood_chassis.http import dev_clock, openapi
from makegood_chassis.http.gate import ONE_CLICK, WEBHOOKS, GuardedHandling, Handling
from makegood_chassis.http.limits import Limits
from makegood_chassis.http.mutations import completions
from makegood_chassis.http.probes import probes
from makegood_chassis.http.problems import Problem, problem_of
from makegood_chassis.http.request_middleware import RequestMiddleware
from makegood_chassis.http.rights import Operation, Rights, RightsOfRoles
from makegood_chassis.http.route_table import RouteTable
from makegood_chassis.http.tags import TAGS
from makegood_chassis.keys import Keys
from makegood_chassis.refusals import CommandRefused

if TYPE_CHECKING:
    from makegood_chassis.service import Service

_WITHOUT_TOKEN = (WEBHOOKS, ONE_CLICK, "/v1/calendar/", "/v1/join-links/")
"""Callers of these are authenticated differently: by a signature, by the secret in the address, or by the link that
they ask about.
"""


_OWN_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}
"""The middleware measures requests. The framework's own telemetry would cost time on each request."""


class Application(FastAPI):
    """A FastAPI app whose requests go from its one middleware straight to the table of its routes."""

    def __init__(
        self, service: Service, problem_of: Callable[[CommandRefused], Problem] = problem_of, **options: Any
    ) -> None:
        super().__init__(docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=_OWN_TELEMETRY, **options)
        self._service = service
        self._problem_of = problem_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Goes around the framework's own layers, which would find out at each request that they have nothing to do."""
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Made at the first request. What has no gate, such as probes and development pages, is followed the same way."""
        for route in self.routes:
            if isinstance(route, APIRoute) and not isinstance(route.app, Handling):
                route.app = Handling(route)
        return RequestMiddleware(RouteTable(self.routes, self._problem_of), service=self._service)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.document(self)
        return self.openapi_schema


def create_app(
    service: Service,
    *,
    title: str,
    description: str,
    routers: Sequence[APIRouter],
    rights: Rights,
    enums: Mapping[str, Any] = MappingProxyType({}),
    expensive: Collection[str] = (),
    problem_of: Callable[[CommandRefused], Problem] = problem_of,
    authenticator: Authenticator | None = None,
) -> Application:
    """The app. `request.app.state.service` is the service; routers reach what they share through
    `service.dependencies`.

    Also serves /v1/<service>/openapi.json and, in development, /v1/<service>/dev/clock. `health_app` serves the probes. `enums`: the literal types of its models, by their names in the OpenAPI document. `problem_of`: the problem for a command that a handler refused.
    `expensive`: operations (or paths of routes that need no token) whose requests are limited more narrowly. Raises ValueError
    for a /v1 route that asks for no operation of the table, or for more than one, for a tag that `TAGS` does not describe, and for
    an expensive operation that no route requires.
    """
    app = Application(
        service,
        problem_of,
        title=title,
        description=description,
        version="1",
        openapi_url=f"/v1/{service.name}/openapi.json",
    )
    inner = [*routers]
    if service.settings.development:
        inner.append(dev_clock.dev_clock(service))
        rights = {**rights, **dev_clock.RIGHTS}
    for router in inner:
        app.router.routes.extend(
            router.routes
        )  # added directly, because an included router would match every path twice
    _check_operations(app, rights)
    settings = service.settings
    app.state.service = service
    app.state.rights = rights
    app.state.rights_of_roles = RightsOfRoles(rights)
    app.state.enums = enums
    app.state.parameters = {
        id(route): openapi.query_parameters(route.dependant) for route in app.routes if isinstance(route, APIRoute)
    }
    app.state.completions = completions(service)
    _put_gates(app, Limits(settings), expensive)
    app.state.authenticator = authenticator or Authenticator(
        Keys(
            settings.jwks_url,
            refresh=settings.jwks_refresh,
            maximum_age=settings.jwks_max_age,
            ca_file=settings.jwks_ca_file,
        ),
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        longest=settings.token_max_lifetime,
        dated=not settings.development,
        revocations=service.revocations,
    )
    return app


def health_app(service: Service) -> Application:
    """What every process serves on its port for probes, whatever its role: only health and metrics."""
    app = Application(service, title=service.name, openapi_url=None)
    app.router.routes.extend(probes(service).routes)
    return app


def _put_gates(app: FastAPI, limits: Limits, expensive: Collection[str]) -> None:
    found: set[str] = set()
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path.startswith("/v1/"):  # probes are always answered
            names = {route.path, *openapi.route_operations(route)} & set(expensive)
            route.app = GuardedHandling(route, limits, expensive=bool(names))
            found |= names
    if unknown := set(expensive) - found:
        raise ValueError(f"expensive, but no route asks for it: {sorted(unknown)}")


def _check_operations(app: FastAPI, rights: Rights) -> None:
    for route in app.routes:
        path = getattr(route, "path", "")
        if unknown := {*getattr(route, "tags", ())} - TAGS.keys():
            raise ValueError(f"{path} has a tag that `TAGS` does not describe: {', '.join(map(str, unknown))}")
        if not path.startswith("/v1/") or path == app.openapi_url or path.startswith(_WITHOUT_TOKEN):
            continue
        if not isinstance(route, APIRoute):
            raise ValueError(f"{path} is not a plain route, so its rights cannot be checked")
        operations = openapi.route_operations(route)
        name = f"{'/'.join(sorted(route.methods or ()))} {path}"
        if len(operations) != 1:
            raise ValueError(f"{name} must ask for exactly one operation, and asks for {operations or 'none'}")
        if operations[0] not in rights:
            raise ValueError(f"{name} asks for `{operations[0]}`, which is not in the table of rights")
        # Rights are checked first: 401 and 403 come before any other problem of the request.
        route.dependant.dependencies.sort(key=lambda inner: not isinstance(inner.call, Operation))

"""Finds a request's route among those with its method and number of path segments.

The framework would match the path against every route, one after the other, behind several layers of middleware whose work
`RequestMiddleware` does already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from makegood_chassis.http.problems import Problem
from makegood_chassis.refusals import CommandRefused

_ANY: Final = ""
"""Stands for all methods, to find out which a path has."""


class RouteTable:
    """Hands each request to its route. Of several that fit, the one that was declared first counts."""

    def __init__(self, routes: Iterable[BaseRoute], problem_of: Callable[[CommandRefused], Problem]) -> None:
        self._problem_of = problem_of
        self._routes: defaultdict[tuple[str, int], list[Route]] = defaultdict(list)
        for route in routes:
            if not isinstance(route, Route) or any(kind.regex != "[^/]+" for kind in route.param_convertors.values()):
                raise ValueError(f"{route} is not a plain route, or takes more than one path segment as a parameter")
            for method in (_ANY, *(route.methods or ())):
                self._routes[method, route.path.count("/")].append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        for route in self._routes.get((scope["method"], path.count("/")), ()):
            if found := route.path_regex.match(path):
                scope["route"] = route
                scope["path_params"] = found.groupdict()
                try:
                    await route.app(scope, receive, send)
                except CommandRefused as refused:
                    raise self._problem_of(refused) from None
                return
        raise self._refusal(scope, path)

    def _refusal(self, scope: Scope, path: str) -> HTTPException:
        """404; or 405 with all methods that the path has (the framework names those of the first route alone)."""
        routes = [route for route in self._routes.get((_ANY, path.count("/")), ()) if route.path_regex.match(path)]
        if not routes:
            return HTTPException(404)
        scope["route"] = routes[0]
        methods = {method for route in routes for method in route.methods or ()}
        return HTTPException(
            405, headers={"Allow": ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))}
        )

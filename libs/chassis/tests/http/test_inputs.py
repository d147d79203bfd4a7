"""What handlers take from requests, as FastAPI would read the same declarations, and what their declarations must not ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Cookie, Depends, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from makegood_chassis.http.bodies import BodyRequest
from makegood_chassis.http.inputs import inputs_of
from makegood_chassis.http.models import RequestModel


class Thing(RequestModel):
    name: str


class Listed:
    def __init__(self, request: Request, limit: Annotated[int, Query(ge=1)] = 5) -> None:
        self.path, self.limit = request.url.path, limit


async def owner(name: Annotated[str, Path()], request: Request) -> str:
    return f"{name} of {request.headers['host']}"


async def everything(
    name: str,
    body: Thing | None = None,
    owner: Annotated[str, Depends(owner)] = "",
    listed: Annotated[Listed, Depends()] = None,  # type: ignore[assignment]
    status: Annotated[list[str] | None, Query()] = None,
    starts: Annotated[int | None, Query(alias="from")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "body": body,
        "owner": owner,
        "listed": (listed.path, listed.limit),
        "status": status,
        "from": starts,
        "last": last_event_id,
    }


def _route(handler: Callable[..., Any]) -> APIRoute:
    router = APIRouter()
    router.post("/things/{name}")(handler)
    (route,) = router.routes
    assert isinstance(route, APIRoute)
    return route


async def _asked(query: bytes = b"", body: Any = None, **headers: str) -> dict[str, Any]:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": "here", **headers}.items()]
    scope = {
        "type": "http", "method": "POST", "path": "/things/a", "path_params": {"name": "a"}, "query_string": query,
        "headers": named, "scheme": "http", "server": ("here", 80), "root_path": "",
    }  # fmt: skip
    request = BodyRequest(scope)
    if body is not None:
        request.content, request.parsed = b"{}", body
    found: dict[str, Any] = await everything(**await inputs_of(_route(everything)).of(request))
    return found


async def test_what_is_left_out_has_its_default() -> None:
    assert await _asked() == {
        "name": "a",
        "body": None,
        "owner": "a of here",
        "listed": ("/things/a", 5),
        "status": None,
        "from": None,
        "last": None,
    }


async def test_what_is_sent_has_its_type() -> None:
    found = await _asked(b"limit=7&status=new&status=old&from=3", {"name": "b"}, last_event_id="9")
    assert found["listed"] == ("/things/a", 7)
    assert found["status"] == ["new", "old"]
    assert found["from"] == 3
    assert found["last"] == "9"
    assert found["body"] == Thing(name="b")


async def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(RequestValidationError) as raised:
        await _asked(b"limit=0&from=soon", {"nome": "b"})
    assert [fault["loc"] for fault in raised.value.errors()] == [
        ("query", "limit"),
        ("query", "from"),
        ("body", "name"),
        ("body", "nome"),
    ]


async def test_a_body_that_must_be_there_is_missed() -> None:
    async def handler(body: Thing) -> None: ...

    request = BodyRequest({"type": "http", "path_params": {}, "headers": [], "query_string": b""})
    with pytest.raises(RequestValidationError) as raised:
        await inputs_of(_route(handler)).of(request)
    (fault,) = raised.value.errors()
    assert (fault["type"], fault["loc"]) == ("missing", ("body",))


async def _opened() -> AsyncIterator[int]:
    yield 1


def _in_a_thread() -> int:
    return 1


async def _of_a_body(body: Thing) -> Thing:
    return body


async def _with_cookie(session: Annotated[str, Cookie()]) -> None: ...
async def _with_response(response: Response) -> None: ...
async def _with_opened(opened: Annotated[int, Depends(_opened)]) -> None: ...
async def _with_thread(number: Annotated[int, Depends(_in_a_thread)]) -> None: ...
async def _with_inner_body(thing: Annotated[Thing, Depends(_of_a_body)]) -> None: ...
async def _with_two_bodies(one: Thing, other: Thing) -> None: ...
async def _with_model(filter_: Annotated[Thing, Query()]) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [_with_cookie, _with_response, _with_opened, _with_thread, _with_inner_body, _with_two_bodies, _with_model],
)
def test_a_declaration_that_would_not_be_followed_fails_at_start(handler: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="which no route here does"):
        inputs_of(_route(handler))


def test_a_handler_that_needs_a_thread_or_a_dependency_without_a_name_fails_at_start() -> None:
    router = APIRouter()
    router.add_api_route("/thread", _in_a_thread, response_model=None)
    router.add_api_route("/nameless", owner, dependencies=[Depends(owner)], response_model=None)
    for route in router.routes:
        assert isinstance(route, APIRoute)
        with pytest.raises(ValueError, match=f"{route.path}: .* which no route here does"):
            inputs_of(route)


def test_a_default_that_can_change_is_never_shared() -> None:
    async def handler(tags: Annotated[list[str], Query()] = []) -> list[str]:  # noqa: B006
        tags.append("seen")
        return tags

    request = BodyRequest({"type": "http", "path_params": {}, "headers": [], "query_string": b""})
    inputs = inputs_of(_route(handler))

    async def twice() -> list[list[str]]:
        return [await handler(**await inputs.of(request)) for _ in range(2)]

    assert asyncio.run(twice()) == [["seen"], ["seen"]]

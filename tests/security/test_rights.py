"""SEC-1: every operation of every service, asked by everybody, against the table of rights written out by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import pytest
import pytest_asyncio
from makegood_stack.ports import SERVICES
from makegood_testkit.platform import Platform

from .rights_table import ACTORS, HIDDEN, RIGHTS, ROLE, Actor, Right
from .scene import Operation, Scene, operations

pytestmark = pytest.mark.rule("SEC-1")

_AT_ONCE = 16


Answers = Mapping[tuple[str, Actor], list[httpx.Response]]


@pytest_asyncio.fixture(scope="module")
async def documented(platform: Platform) -> list[Operation]:
    """Every operation that a client can read of."""
    http = platform.gateway.http
    documents = await asyncio.gather(*(http.get(f"/v1/{service}/openapi.json") for service in SERVICES))
    return [operation for document in documents for operation in operations(document.json())]


@pytest_asyncio.fixture(scope="module")
async def scene(platform: Platform) -> Scene:
    return await Scene.set(platform)


@pytest_asyncio.fixture(scope="module")
async def answers(scene: Scene, documented: list[Operation]) -> Answers:
    """Everybody's request to every operation: first all that must be refused, at once; then what only reads, at once;
    then what changes something, one after the other in the table's order."""
    gate = asyncio.Semaphore(_AT_ONCE)
    got: dict[tuple[str, Actor], list[httpx.Response]] = {}

    async def ask(operation: Operation, actor: Actor) -> None:
        async with gate:
            asked = [await scene.ask(operation, actor)]
            if operation.right.shares and operation.method == "GET":
                asked.append(await scene.ask(operation, actor, filtered=True))
            got[operation.name, actor] = asked

    order = {name: place for place, name in enumerate(RIGHTS)}
    listed = sorted((each for each in documented if each.name in RIGHTS), key=lambda each: order[each.name])
    every = [(operation, actor) for operation in listed for actor in ACTORS]
    refused = [each for each in every if each[0].right.expected(each[1]) not in ("let in", "own only")]
    for operation in listed:
        for parameter in operation.parameters:
            if parameter["in"] == "path":
                await scene.value(str(parameter["name"]))
    scene.states.append(await scene.state())
    await asyncio.gather(*(ask(*each) for each in refused))
    scene.states.append(await scene.state())
    let_in = [each for each in every if each not in refused]
    await asyncio.gather(*(ask(*each) for each in let_in if each[0].method == "GET"))
    for each in let_in:
        if each[0].method != "GET":
            await ask(*each)
    return got


async def test_every_operation_has_its_line_in_the_table_and_every_line_its_operation(
    documented: list[Operation],
) -> None:
    there = {operation.name for operation in documented}
    assert not sorted(there - set(RIGHTS)), "add its line to rights_table.py"
    assert not sorted(set(RIGHTS) - there), "no document has it"


@pytest.mark.parametrize("name", RIGHTS)
async def test_the_operation_does_to_everybody_what_the_table_says(answers: Answers, scene: Scene, name: str) -> None:
    wrong = []
    for actor in ACTORS:
        for answer in answers[name, actor]:
            complaint = _complaint(RIGHTS[name], actor, answer, scene)
            if complaint:
                wrong.append(f"{actor}: {complaint}")
    assert not wrong


def _complaint(right: Right, actor: Actor, answer: httpx.Response, scene: Scene) -> str | None:
    """What is wrong with the answer; None if nothing is."""
    status, expected = answer.status_code, right.expected(actor)
    slug = None
    if answer.is_error:
        if not answer.headers["content-type"].startswith("application/problem+json"):
            return f"{status} is no problem page"
        slug = str(answer.json()["type"]).removeprefix("/problems/")
    if expected == "let in":
        # By rights alone; a rule may forbid it at this moment (409), or the payment provider's signature be missing (400).
        right_ = status not in (401, 403, 404, 405, 422) and status < 500
    elif expected == "own only":
        # Or a rule forbids it to them, as to anybody.
        let = answer.is_success or status == 409
        right_ = (status, slug) == (404, "not-found") or (let and not _shows(answer, scene))
    elif expected == "forbidden":
        right_ = (status, slug) == (403, right.refused.get(ROLE[actor], "forbidden"))
    else:
        wanted = {"unauthenticated": (401, "unauthenticated"), "not found": (404, "not-found")}
        right_ = (status, slug) == wanted[expected]
    return None if right_ else f"expected {expected}, got {status} {slug or ''} {_text(answer)[:300]}"


def _text(answer: httpx.Response) -> str:
    return answer.text if answer.is_stream_consumed else "(a stream)"


def _shows(answer: httpx.Response, scene: Scene) -> bool:
    """Whether an answer to a stranger has anything of the first cast in it."""
    theirs = ("room_id", "session_id", "member_id", "provider_id")
    return any(scene.values[name] in _text(answer) for name in theirs)


@pytest.mark.parametrize("name", HIDDEN)
async def test_the_development_clock_is_for_ops_alone(scene: Scene, name: str) -> None:
    statuses = {}
    for actor in ACTORS:
        answer = await scene.ask(Operation(name, example={} if name.startswith("PUT") else None), actor)
        statuses[actor] = answer.status_code
    refused: dict[Actor, int] = {actor: 401 if actor == "nobody" else 403 for actor in ACTORS}
    # A move without its body goes nowhere, for ops neither.
    assert statuses == refused | {"ops": 422 if name.startswith("PUT") else 200}


async def test_nobody_lists_what_was_sent_to_others_by_naming_them(scene: Scene) -> None:
    for actor in ACTORS:
        person = scene.people[actor]
        if person is not None and actor not in ("member", "support"):
            answer = await person.send("GET", "/v1/deliveries", params={"person_id": scene.values["member_id"]})
            assert answer.status_code == (403 if actor == "ops" else 404)


async def test_what_was_refused_did_not_happen_either(answers: Answers, scene: Scene) -> None:
    before, after = scene.states
    assert before == after

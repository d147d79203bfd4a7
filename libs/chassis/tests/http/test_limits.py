"""SEC-8: whatever one person asks for, the process has time for everybody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from makegood_chassis.http.limits import Counted, Limits, Places, Stay, WorkBudget
from makegood_chassis.http.problems import Problem
from makegood_testkit.identity import Identity
from makegood_testkit.waiting import eventually

from . import notes
from .conftest import Make, service_of, serving

pytestmark = pytest.mark.rule("SEC-8")

BURN = 0.02
"""Seconds of work of one request for `/v1/trouble/burn`."""


class Moment:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_is_a_share_of_each_second_and_something_at_once() -> None:
    clock = Moment()
    budget = WorkBudget(0.25, 2.0, now=clock)
    budget.charge("anna", 1.5)
    budget.check("anna")
    budget.charge("anna", 1.5)  # what it costs is known afterwards
    with pytest.raises(Problem, match="processing time") as refused:
        budget.check("anna")
    assert (refused.value.problem.slug, refused.value.status) == ("rate-limited", 429)
    seconds = int(refused.value.headers["Retry-After"])
    budget.check("bert")
    clock.now += seconds - 1.1
    with pytest.raises(Problem):
        budget.check("anna")
    clock.now += 1.1
    budget.check("anna")
    assert budget.left("anna") <= 0.25
    clock.now += 1000
    assert budget.left("anna") == 2.0


async def _held(
    places: Places, person: str | None, together: dict[str | None, int], most: dict[str | None, int]
) -> None:
    await places.enter(person)
    for key in (person, "everybody"):
        together[key] = together.get(key, 0) + 1
        most[key] = max(most.get(key, 0), together[key])
    await asyncio.sleep(0.001)
    for key in (person, "everybody"):
        together[key] -= 1
    places.leave(person)


@pytest.mark.parametrize(("total", "of_one", "of_all"), [(100, 2, 12), (5, 2, 5)])
async def test_places_are_given_in_turn_to_each_person_and_in_total(total: int, of_one: int, of_all: int) -> None:
    places = Places("requests", each=2, line=100, total=total)
    most: dict[str | None, int] = {}
    together: dict[str | None, int] = {}
    people = [f"person-{number % 6}" for number in range(60)]
    await asyncio.gather(*(_held(places, person, together, most) for person in people))
    assert most.pop("everybody") == of_all
    assert max(most.values()) <= of_one
    assert not places._people
    assert places._everybody.idle


async def test_beyond_the_line_a_person_is_refused_and_all_together_are() -> None:
    places = Places("requests", each=1, line=2, total=2)
    waiting: list[asyncio.Task[bool]] = []
    await places.enter("anna")
    waiting += [asyncio.create_task(places.enter("anna")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as refused:
        await places.enter("anna")
    assert (refused.value.problem.slug, refused.value.status) == ("rate-limited", 429)
    assert refused.value.headers["Retry-After"]
    await places.enter("bert")
    waiting += [asyncio.create_task(places.enter(f"other-{number}")) for number in range(200)]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as refused:
        await places.enter("one too many")
    assert (refused.value.problem.slug, refused.value.status) == ("unavailable", 503)
    assert refused.value.headers["Retry-After"]
    for task in waiting:  # whoever gives up waiting leaves nothing behind
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    places.leave("anna")
    places.leave("bert")
    assert not places._people
    assert places._everybody.idle


def test_who_finds_no_place_to_wait_does_without() -> None:
    waits = Counted(each=2, total=3)
    assert [waits.enter("anna") for _ in range(3)] == [True, True, False]
    assert [waits.enter("bert") for _ in range(2)] == [True, False]
    waits.leave("anna")
    assert waits.enter("bert")


async def test_what_is_measured_is_the_work_and_not_the_wait(make_service: Make) -> None:
    stay = Stay(Limits(make_service().settings))

    async def work() -> str:
        await asyncio.sleep(0.2)
        _burn(BURN)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(1)
        return "done"

    assert await stay.measured(work()) == "done"
    assert BURN <= stay.spent < BURN + 0.1


def _burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pytest.fixture
async def busy(
    identity: Identity, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service in which a person may work for a fifth of the time, and for a tenth of a second at once."""
    service = service_of(identity.path, database_url, person_work=0.2, person_work_burst=0.1)
    await service.database.open()
    monkeypatch.setattr(notes, "work", lambda: _burn(BURN))
    async with serving(notes.app(service)) as client:
        client.headers.update(identity.bearer("anna"))
        yield client
    await service.database.close()


async def test_nobody_gets_more_of_the_time_than_their_share(busy: httpx.AsyncClient, identity: Identity) -> None:
    begun, answers, others = time.monotonic(), [], []
    while time.monotonic() - begun < 2:
        found = await asyncio.gather(*(busy.get("/v1/trouble/burn") for _ in range(8)))
        answers += found
        others.append(await busy.get("/v1/notes", headers=identity.bearer("bert")))
    seconds = time.monotonic() - begun
    worked = sum(answer.status_code == 404 for answer in answers) * BURN
    assert (
        0.1 <= worked <= 0.1 + 0.2 * seconds + 4 * BURN
    )  # four are under way at once, and what they cost shows afterwards
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) + round(worked / BURN) == len(answers)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert {answer.status_code for answer in others} == {200}


@pytest.mark.rule("SEC-8")
async def test_a_whole_line_of_requests_gets_no_more_of_the_time_either(busy: httpx.AsyncClient) -> None:
    begun = time.monotonic()
    answers = await asyncio.gather(*(busy.get("/v1/trouble/burn") for _ in range(100)))
    seconds = time.monotonic() - begun
    worked = sum(answer.status_code == 404 for answer in answers) * BURN
    assert 0.1 <= worked <= 0.1 + 0.2 * seconds + 4 * BURN
    assert {answer.status_code for answer in answers} <= {404, 429}


async def test_a_wait_that_is_one_too_many_is_answered_without_it(
    make_service: Make, database_url: str, identity: Identity
) -> None:
    service = make_service(database_url, person_waits=2, person_requests=1)
    service.dependencies = gate = notes.Gate()
    await service.database.open()
    async with serving(notes.app(service)) as client:
        headers = {**identity.bearer("anna"), "Prefer": "wait=5"}

        async def ask(number: int) -> httpx.Response:
            return await client.post(
                "/v1/slow-notes", json={"text": "a"}, headers={**headers, "Idempotency-Key": str(number)}
            )

        asked = [asyncio.create_task(ask(number)) for number in range(3)]
        await gate.reached.wait()

        async def all_written() -> bool:
            return len(await _rows(service)) == 3

        await eventually(all_written)
        gate.opened.set()
        answers: list[Any] = [await task for task in asked]
        again = await ask(7)
    await service.database.close()
    applied = sorted("preference-applied" in answer.headers for answer in answers)
    assert applied == [False, True, True]
    assert "preference-applied" in again.headers


async def _rows(service: Any) -> list[Any]:
    async with service.database.reading() as queries:
        return list(await queries.fetch("SELECT 1 FROM notes"))

"""REL-4: a change that is repeated with its key happens once and answers the same."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from makegood_chassis.http.idempotency import Replay, fingerprint
from makegood_chassis.http.mutations import KeyClaim, claim_many, release_many
from makegood_chassis.http.problems import Problem
from makegood_chassis.service import Service
from makegood_contracts.envelope import Cause
from makegood_testkit.identity import Identity

from . import notes

pytestmark = pytest.mark.rule("REL-4")

CAUSE = Cause("request", "request")


async def _count(service: Service) -> int:
    async with service.database.reading() as queries:
        return int(await queries.fetch_value("SELECT count(*) FROM notes"))


async def _age(service: Service, seconds: float) -> None:
    async with service.database.reading() as queries:
        await queries.execute("UPDATE idempotency_keys SET created_at = created_at - $1 * interval '1 second'", seconds)


async def test_fifty_at_once_have_one_effect_and_one_answer(client: httpx.AsyncClient, service: Service) -> None:
    async def post() -> httpx.Response:
        return await client.post("/v1/notes", json={"text": "once"}, headers={"Idempotency-Key": "k"})

    answers = await asyncio.gather(*(post() for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len({(answer.headers["etag"], answer.headers["location"]) for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert await _count(service) == 1


async def test_the_same_request_may_be_written_differently(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    first = await client.post("/v1/notes", content=b'{"text": "a", "zone": null}', headers=headers)
    again = await client.post("/v1/notes", content=b'{ "zone":null,"text":"\\u0061"}', headers=headers)
    assert again.status_code == 201
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    assert again.headers["content-type"] == first.headers["content-type"]


async def test_a_key_used_for_another_request_is_a_422(client: httpx.AsyncClient, service: Service) -> None:
    await client.post("/v1/notes", json={"text": "a"}, headers={"Idempotency-Key": "k"})
    for path, text in (("/v1/notes", "b"), ("/v1/slow-notes", "a")):
        answer = await client.post(path, json={"text": text}, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert await _count(service) == 1


async def test_keys_are_per_caller(client: httpx.AsyncClient, identity: Identity, service: Service) -> None:
    mine = await client.post("/v1/notes", json={"text": "a"}, headers={"Idempotency-Key": "k"})
    other = await client.post(
        "/v1/notes", json={"text": "a"}, headers={"Idempotency-Key": "k", **identity.bearer("bert")}
    )
    assert (mine.status_code, other.status_code) == (201, 201)
    assert (mine.json()["owner"], other.json()["owner"]) == ("anna", "bert")
    assert await _count(service) == 2


async def test_a_required_key_is_asked_for_and_an_odd_one_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/notes", json={"text": "a"})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/idempotency-key-required")
    for key in ("", "a b", "k" * 256, "ü"):
        headers = {"Idempotency-Key": key.encode("latin-1")}
        answer = await client.post("/v1/notes", json={"text": "a"}, headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 422, key


async def test_a_refusal_frees_the_key(client: httpx.AsyncClient, service: Service) -> None:
    headers = {"Idempotency-Key": "k"}
    for _ in range(2):
        answer = await client.post("/v1/notes", json={"text": "refused"}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/slot-taken")
        assert "idempotent-replayed" not in answer.headers
    async with service.database.reading() as queries:
        assert await queries.fetch_value("SELECT count(*) FROM idempotency_keys") == 0


async def test_in_flight_is_a_409_until_the_first_has_answered(client: httpx.AsyncClient, service: Service) -> None:
    service.dependencies = gate = notes.Gate()
    headers = {"Idempotency-Key": "k", "Prefer": "wait=10"}
    first = asyncio.create_task(client.post("/v1/slow-notes", json={"text": "a"}, headers=headers))
    async with asyncio.timeout(10):
        await gate.reached.wait()
    again = await client.post("/v1/slow-notes", json={"text": "a"}, headers=headers)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/idempotency-in-flight")
    assert again.headers["retry-after"] == "1"
    gate.opened.set()
    answered = await first
    again = await client.post("/v1/slow-notes", json={"text": "a"}, headers=headers)
    assert (answered.status_code, again.status_code) == (201, 201)
    assert again.content == answered.content
    assert again.headers["preference-applied"] == answered.headers["preference-applied"] == "wait=10"
    assert await _count(service) == 1


async def test_an_outcome_that_is_a_refusal_is_the_first_answer(client: httpx.AsyncClient, service: Service) -> None:
    headers = {"Idempotency-Key": "k"}
    answers = [await client.post("/v1/slow-notes", json={"text": "late refusal"}, headers=headers) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {409}
    assert answers[0].json() == answers[1].json()
    assert answers[1].json()["purchasable"] is True
    assert answers[1].headers["content-type"] == "application/problem+json"
    assert await _count(service) == 1


async def test_a_key_whose_process_died_answers_with_what_became_of_it(
    client: httpx.AsyncClient, service: Service
) -> None:
    headers = {"Idempotency-Key": "k"}
    died = await client.post("/v1/slow-notes", json={"text": "die"}, headers=headers)
    assert died.status_code == 503
    assert (await client.post("/v1/slow-notes", json={"text": "die"}, headers=headers)).status_code == 409
    await _age(service, service.settings.request_deadline + 1)
    again = await client.post("/v1/slow-notes", json={"text": "die"}, headers=headers)
    assert (again.status_code, again.json()["text"], again.headers["etag"]) == (202, "die", '"1"')
    assert again.headers["location"] == f"/v1/notes/{again.json()['id']}"
    assert again.headers["idempotent-replayed"] == "true"
    assert await _count(service) == 1


async def test_a_batch_of_claims(service: Service) -> None:
    def claim(key: str, body: bytes = b"{}", caller: str = "anna") -> KeyClaim:
        return KeyClaim(caller, key, fingerprint("POST", "/v1/notes", body))

    async with service.database.transaction(CAUSE) as unit:
        assert list(await claim_many([claim("old"), None], ["/v1/notes/1", None], unit)) == [None, None]
    async with service.database.transaction(CAUSE) as unit:
        batch = [claim("b"), claim("old"), None, claim("a"), claim("b"), claim("b", b"1"), claim("old", caller="bert")]
        found = await claim_many(batch, ["/v1/notes/2"] * len(batch), unit)
        await release_many([batch[3]], unit)
    slugs = [refusal.problem.slug if isinstance(refusal, Problem) else refusal for refusal in found]
    in_flight, reused = "idempotency-in-flight", "idempotency-key-reused"
    assert slugs == [None, in_flight, None, None, in_flight, reused, None]
    async with service.database.transaction(CAUSE) as unit:
        assert list(await claim_many([claim("a")], [None], unit)) == [None]


async def test_batches_with_the_same_keys_in_another_order_do_not_block_each_other(service: Service) -> None:
    claims = [KeyClaim("anna", f"k{index}", b"f") for index in range(40)]

    async def take(batch: list[KeyClaim]) -> int:
        async with service.database.transaction(CAUSE) as unit:
            found = await claim_many(batch, ["/v1/notes/1"] * len(batch), unit)
            return sum(refusal is None for refusal in found)

    won = await asyncio.gather(*(take(claims[::step]) for step in (1, -1, 1, -1)))
    assert sorted(won) == [0, 0, 0, 40]


async def test_a_dead_claim_names_its_resource(service: Service) -> None:
    claim = KeyClaim("anna", "k", b"f", patience=0.0)
    async with service.database.transaction(CAUSE) as unit:
        await claim_many([claim], ["/v1/notes/7"], unit)
    async with service.database.transaction(CAUSE) as unit:
        (found,) = await claim_many([claim], ["/v1/notes/8"], unit)
    assert isinstance(found, Replay)
    assert found.resource == "/v1/notes/7"

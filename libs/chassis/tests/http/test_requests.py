"""What every request gets from the chassis, whatever it asks: problems for each error, limits, deadlines, headers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
import structlog
from makegood_chassis.http.app import health_app
from makegood_chassis.http.problems import Problem
from makegood_chassis.service import Service
from makegood_testkit.identity import Identity

from . import notes
from .conftest import Make, serving

JSON = {"Content-Type": "application/json", "Idempotency-Key": "k"}


def _slug(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == answer.status_code
    assert content["title"]
    assert content["detail"]
    return str(content["type"]).removeprefix("/problems/")


async def _post(client: httpx.AsyncClient, content: bytes, **headers: str) -> httpx.Response:
    return await client.post("/v1/notes", content=content, headers={**JSON, **headers})


@pytest.mark.parametrize("token", [None, "Bearer", "Bearer x", "Basic YTpi", "bearer a.b.c"])
@pytest.mark.rule("SEC-2")
async def test_nobody_gets_a_401_with_a_challenge(client: httpx.AsyncClient, token: str | None) -> None:
    del client.headers["authorization"]
    answer = await client.get("/v1/notes", headers={"Authorization": token} if token else {})
    assert (answer.status_code, _slug(answer)) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.rule("SEC-2")
async def test_a_role_that_never_has_the_operation_gets_a_403_before_anything_else(
    client: httpx.AsyncClient, identity: Identity
) -> None:
    answer = await client.post("/v1/notes", json={"nonsense": 1}, headers=identity.bearer("otto", "ops"))
    assert (answer.status_code, _slug(answer)) == (403, "forbidden")


@pytest.mark.rule("SEC-2")
async def test_headers_that_claim_an_identity_are_not_believed(client: httpx.AsyncClient) -> None:
    made = await _post(client, b'{"text": "mine"}')
    spoofed = {"X-Subject": "eve", "X-Roles": "support", "X-Forwarded-User": "eve", "X-Jwt-Payload": "e30"}
    answer = await client.get(made.headers["location"], headers=spoofed)
    assert answer.json()["owner"] == "anna"
    del client.headers["authorization"]
    assert (await client.get(made.headers["location"], headers=spoofed)).status_code == 401


async def test_what_is_not_yours_is_a_404_and_a_role_may_read_it(client: httpx.AsyncClient, identity: Identity) -> None:
    path = (await _post(client, b'{"text": "mine"}')).headers["location"]
    answer = await client.get(path, headers=identity.bearer("bert"))
    assert (answer.status_code, _slug(answer)) == (404, "not-found")
    assert (await client.get(path, headers=identity.bearer("sue", "support"))).status_code == 200


@pytest.mark.parametrize(
    "content", [b"", b"{", b"nonsense", b'{"text": }', b"\xff\xfe", b'{"text": "\xe9"}', b'{"text": "\x00"}']
)
async def test_no_json_is_a_400_or_422(client: httpx.AsyncClient, content: bytes) -> None:
    answer = await _post(client, content)
    assert (answer.status_code, _slug(answer)) == (422 if content == b"" else 400, "validation")


async def test_very_deep_json_and_very_long_numbers_do_no_harm(client: httpx.AsyncClient) -> None:
    for content in (b"[" * 200_000, b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"):
        assert (await _post(client, content)).status_code == 400
    assert (await _post(client, b'{"text": ' + b"9" * 10_000 + b"}")).status_code in (400, 422)
    assert (await _post(client, b'{"text": NaN}')).status_code == 422


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({}, "#/text"),
        ({"text": 7}, "#/text"),
        ({"text": "a", "colour": "red"}, "#/colour"),
        ({"text": "a", "weekly": [{"day": "monday"}, {"day": "someday"}]}, "#/weekly/1/day"),
        ({"text": "a", "at": "2026-11-24T10:00:00"}, "#/at"),
        ({"text": "a", "at": "tomorrow"}, "#/at"),
        ({"text": "a", "a/b~c": 1}, "#/a~1b~0c"),
        ([], "#"),
        ({"text": "a\x00b"}, "#/text"),
        ({"text": "a", "weekly": [{"day": "\ud800"}]}, "#/weekly/0/day"),
    ],
)
async def test_wrong_values_are_a_422_that_points_at_them(
    client: httpx.AsyncClient, content: Any, pointer: str
) -> None:
    answer = await _post(client, json.dumps(content).encode())
    assert (answer.status_code, _slug(answer)) == (422, "validation")
    assert [(error["in"], error["pointer"]) for error in answer.json()["errors"]] == [("body", pointer)]


async def test_an_answer_never_repeats_what_was_sent(client: httpx.AsyncClient) -> None:
    secret = "jane.doe@example.org"
    content = {"text": [secret], "at": secret, "zone": secret, "weekly": [{"day": secret}]}
    answer = await _post(client, json.dumps(content).encode())
    assert len(answer.json()["errors"]) == 4
    assert secret not in answer.text


async def test_pairs_of_surrogates_are_text(client: httpx.AsyncClient) -> None:
    answer = await _post(client, b'{"text": "\\ud83d\\ude00 \\\\u0000"}')
    assert (answer.status_code, answer.json()["text"]) == (201, "\U0001f600 \\u0000")


async def test_two_megabytes_are_a_413_however_they_are_sent(client: httpx.AsyncClient, service: Service) -> None:
    large = b'{"text": "' + b"x" * (2 << 20) + b'"}'

    async def pieces() -> Any:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    for content in (large, pieces()):
        try:
            answer = await client.post("/v1/notes", content=content, headers=JSON)
        except (httpx.WriteError, httpx.ReadError):
            continue  # the connection was closed while we were still sending
        assert (answer.status_code, _slug(answer)) == (413, "payload-too-large")
    async with service.database.reading() as queries:
        assert await queries.fetch_value("SELECT count(*) FROM idempotency_keys") == 0


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/plain"}, {"Content-Type": "application/xml"}, {"Content-Encoding": "gzip"}]
)
async def test_other_media_types_are_a_415(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await _post(client, b'{"text": "a"}', **headers)
    assert (answer.status_code, _slug(answer)) == (415, "unsupported-media-type")


async def test_json_with_a_charset_is_json(client: httpx.AsyncClient) -> None:
    assert (
        await _post(client, b'{"text": "a"}', **{"Content-Type": "application/json; charset=utf-8"})
    ).status_code == 201


async def test_unknown_addresses_and_methods(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/nowhere")
    assert (answer.status_code, _slug(answer)) == (404, "not-found")
    answer = await client.delete("/v1/notes")
    assert (answer.status_code, _slug(answer)) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert (await client.get("/v1/notes/a%00b")).status_code == 404
    assert _slug(await client.get("/v1/trouble/NO-KIND")) == "not-found"
    assert (await client.get("/v1/notes?cursor=a%00b")).status_code == 422


async def test_every_answer_has_its_id_and_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/v1/notes", "/v1/nowhere", "/v1/trouble/bug"):
        answer = await client.get(path, headers={"X-Request-Id": "from-the-gateway"})
        assert answer.headers["x-request-id"] == "from-the-gateway"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    odd = await client.get("/v1/notes", headers={"X-Request-Id": "a b"})
    assert odd.headers["x-request-id"] != "a b"


async def test_a_fault_of_ours_is_an_honest_500_without_its_text(client: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = await client.get("/v1/trouble/bug")
    content = answer.json()
    assert (answer.status_code, content["type"]) == (500, "about:blank")
    assert content["request_id"] == answer.headers["x-request-id"]
    assert "Jane" not in answer.text
    assert [log["request_id"] for log in logs if log["event"] == "request failed"] == [content["request_id"]]


@pytest.mark.rule("REL-9")
async def test_a_database_that_is_gone_is_a_503_with_retry_after(
    client: httpx.AsyncClient, make_service: Make, identity: Identity
) -> None:
    answer = await client.get("/v1/trouble/database")
    assert (answer.status_code, _slug(answer)) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await client.get("/v1/notes")).status_code == 200
    starting = make_service()
    starting.health.started = False
    async with serving(notes.app(starting)) as early:
        answer = await early.get("/v1/notes", headers=identity.bearer())
        assert (answer.status_code, _slug(answer)) == (503, "unavailable")
    async with serving(health_app(starting)) as inside:
        assert (await inside.get("/livez")).status_code == 200
        assert (await inside.get("/readyz")).status_code == 503


@pytest.mark.rule("REL-9")
async def test_without_keys_nobody_can_be_told_apart(make_service: Make, database_url: str, identity: Identity) -> None:
    service = make_service(database_url, jwks_url="http://127.0.0.1:1/jwks.json")
    async with serving(notes.app(service)) as client:
        answer = await client.get("/v1/notes", headers=identity.bearer())
    assert (answer.status_code, _slug(answer)) == (503, "unavailable")
    assert "retry-after" in answer.headers


@pytest.mark.rule("REL-9")
async def test_no_request_hangs_past_its_deadline(make_service: Make, database_url: str, identity: Identity) -> None:
    service = make_service(database_url, request_deadline=0.3)
    await service.database.open()
    begun = asyncio.get_running_loop().time()
    async with serving(notes.app(service)) as client:
        answer = await client.get("/v1/trouble/hang", headers=identity.bearer())
    await service.database.close()
    assert (answer.status_code, _slug(answer)) == (504, "deadline-exceeded")
    assert asyncio.get_running_loop().time() - begun < 20


@pytest.mark.rule("REL-9")
async def test_the_gateways_nearer_deadline_holds(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/trouble/hang", headers={"x-envoy-expected-rq-timeout-ms": "200"})
    assert (answer.status_code, _slug(answer)) == (504, "deadline-exceeded")


async def test_head_is_get_without_its_body(client: httpx.AsyncClient) -> None:
    made = await _post(client, b'{"text": "a"}')
    for path in (made.headers["location"], "/v1/notes", "/v1/notes/openapi.json", "/v1/nowhere"):
        get, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        kept = ("etag", "content-type", "content-length", "cache-control")
        assert [head.headers.get(name) for name in kept] == [get.headers.get(name) for name in kept]
    head = await client.head("/v1/ticks")  # whose body never ends
    assert (head.status_code, head.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
    assert (await client.head("/v1/slow-notes")).status_code == 405
    del client.headers["authorization"]
    assert (await client.head("/v1/notes")).status_code == 401


async def test_who_has_the_answer_already_gets_304_without_it(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/notes", json={"text": "a"}, headers=JSON)).json()
    path = f"/v1/notes/{made['id']}"
    whole = await client.get(path)
    tag = whole.headers["etag"]
    for known in (tag, f"W/{tag}", "*", f'"other", {tag}'):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, path, headers={"If-None-Match": known})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag), (method, known)
            assert "content-type" not in answer.headers
            assert answer.headers["x-request-id"]
    for lines in ([tag, '"other"'], ['"other"', tag]):  # a list may come in several lines (RFC 9110 §5.3)
        answer = await client.get(path, headers=[("If-None-Match", line) for line in lines])
        assert answer.status_code == 304, lines
    for other in ('"other"', tag.strip('"'), "", "W/", '"', "\xff"):
        answer = await client.get(path, headers=[(b"If-None-Match", other.encode("latin-1"))])
        assert (answer.status_code, answer.json()) == (200, whole.json()), other
    lists = await client.get("/v1/notes", headers={"If-None-Match": "*"})
    assert lists.status_code == 200, "a list has no tag"
    missing = await client.get("/v1/notes/none", headers={"If-None-Match": "*"})
    assert missing.status_code == 404


@pytest.mark.parametrize("query", ["limit=2&limit=3", "limit=2&limit=2", "cursor=a&limit=1&cursor=a"])
async def test_a_parameter_that_is_sent_twice_is_refused(
    client: httpx.AsyncClient, identity: Identity, query: str
) -> None:
    """Which of the two counts would be a guess; two parts of a system guess differently."""
    answer = await client.get(f"/v1/notes?{query}", headers=identity.bearer())
    assert (answer.status_code, _slug(answer)) == (422, "validation")
    name = query.partition("=")[0]
    assert answer.json()["errors"] == [{"in": "query", "pointer": f"#/{name}", "detail": "Send this parameter once."}]


async def test_a_parameter_that_the_route_does_not_know_is_refused(
    client: httpx.AsyncClient, identity: Identity
) -> None:
    answer = await client.get("/v1/notes?limit=5&lmit=5&Cursor=")
    assert (answer.status_code, _slug(answer)) == (422, "validation")
    assert [(error["in"], error["pointer"]) for error in answer.json()["errors"]] == [
        ("query", "#/Cursor"),
        ("query", "#/lmit"),
    ]
    assert (await client.post("/v1/notes?x=1", json={"text": "a"}, headers=JSON)).status_code == 422
    assert (await client.get("/v1/notes?x=1", headers=identity.bearer("otto", "ops"))).status_code == 403
    assert (await client.get("/v1/notes?limit=5")).status_code == 200
    assert (await client.get("/v1/notes?")).status_code == 200


@pytest.mark.rule("SEC-1")
async def test_a_role_that_is_told_why_it_may_not(client: httpx.AsyncClient, identity: Identity) -> None:
    for roles, slug in (
        (("support",), "support-may-not"),
        (("ops",), "forbidden"),
        (("ops", "support"), "support-may-not"),
    ):
        answer = await client.post("/v1/notes", json={"text": "a"}, headers={**JSON, **identity.bearer("sue", *roles)})
        assert (answer.status_code, _slug(answer)) == (403, slug)
    both = identity.bearer("sue", "support", "member")
    assert (await client.post("/v1/notes", json={"text": "a"}, headers={**JSON, **both})).status_code == 201


async def test_a_wait_names_the_seconds_that_are_granted(
    make_service: Make, database_url: str, identity: Identity
) -> None:
    service = make_service(database_url, request_deadline=4.9)
    await service.database.open()
    async with serving(notes.app(service)) as client:
        client.headers.update(identity.bearer())
        granted = {}
        for asked in ("wait=2", "wait=3000", "wait=0", "respond-async"):
            headers = {"Idempotency-Key": asked, "Prefer": asked}
            answer = await client.post("/v1/slow-notes", json={"text": "a"}, headers=headers)
            assert answer.status_code == 201
            granted[asked] = answer.headers.get("preference-applied")
        plain = await client.post("/v1/notes", json={"text": "a"}, headers={**JSON, "Prefer": "wait=2"})
    await service.database.close()
    assert granted == {"wait=2": "wait=2", "wait=3000": "wait=4", "wait=0": None, "respond-async": None}
    assert "preference-applied" not in plain.headers


async def test_a_refusal_by_a_rule_has_its_reasons(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/slow-notes", json={"text": "late refusal"}, headers={"Idempotency-Key": "k", "Prefer": "wait=3"}
    )
    content = answer.json()
    assert (answer.status_code, answer.headers["preference-applied"]) == (409, "wait=3")
    assert content["reasons"] == [{"code": "no-session-credits", "detail": content["detail"]}]
    assert "reasons" not in Problem("idempotency-in-flight").members
    given = [{"code": "slot-taken", "detail": "It is taken."}, {"code": "member-busy", "detail": "So is she."}]
    assert Problem("slot-taken", reasons=given).members["reasons"] == given
    assert "reasons" not in Problem("support-may-not").members


async def test_a_version_of_what_does_not_exist_yet_cannot_match(client: httpx.AsyncClient, service: Service) -> None:
    for sent in ('"1"', "*"):
        answer = await _post(client, b'{"text": "a"}', **{"If-Match": sent})
        assert (answer.status_code, _slug(answer)) == (412, "version-mismatch")
    assert (await client.get("/v1/notes")).json()["items"] == []


@pytest.mark.rule("SEC-4")
async def test_a_repeat_with_a_malformed_version_is_refused_too(client: httpx.AsyncClient) -> None:
    path = (await _post(client, b'{"text": "a"}')).headers["location"]
    headers = {"If-Match": "*", "Idempotency-Key": "once"}
    assert (await client.put(path, json={"text": "b"}, headers=headers)).status_code == 200
    repeated = await client.put(path, json={"text": "b"}, headers=headers)
    assert repeated.headers["idempotent-replayed"] == "true"
    malformed = await client.put(path, json={"text": "b"}, headers={**headers, "If-Match": "3"})
    assert (malformed.status_code, _slug(malformed)) == (422, "validation")


async def test_a_route_that_forgets_to_compare_the_version_changes_nothing(client: httpx.AsyncClient) -> None:
    path = (await _post(client, b'{"text": "a"}')).headers["location"]
    answer = await client.post(f"{path}/forgetful", headers={"If-Match": '"1"'})
    assert answer.status_code == 500
    assert (await client.get(path)).json()["text"] == "a"


async def test_versions(client: httpx.AsyncClient) -> None:
    made = await _post(client, b'{"text": "a"}')
    path, content = made.headers["location"], {"text": "b"}
    assert _slug(await client.put(path, json=content)) == "version-required"
    stale = await client.put(path, json=content, headers={"If-Match": '"7"'})
    assert (stale.status_code, _slug(stale)) == (412, "version-mismatch")
    done = await client.put(path, json=content, headers={"If-Match": made.headers["etag"]})
    assert (done.status_code, done.headers["etag"], done.json()["text"]) == (200, '"2"', "b")
    assert (await client.put(path, json=content, headers={"If-Match": made.headers["etag"]})).status_code == 412

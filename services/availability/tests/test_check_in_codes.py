"""The code that a venue shows: made and read by ops, told to the other services as a digest alone (JOIN-3)."""

from __future__ import annotations

import pytest
from makegood_contracts.check_in import is_code
from makegood_contracts.events import VenueCodeChanged
from makegood_contracts.ids import new_id

from .harness import AvailabilityHarness
from .test_api import Client


@pytest.mark.rule("JOIN-3")
async def test_ops_makes_a_code_and_others_hear_its_digest_alone(harness: AvailabilityHarness, client: Client) -> None:
    ops = client("ops", "olga")
    made = await ops.post("/v1/venues", json={"name": "Room 4", "time_zone": "Europe/Berlin"})
    venue_id, path = made.json()["id"], f"{made.headers['location']}/check-in-code"
    assert (await ops.get(path)).status_code == 404
    first = await ops.post(path, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    second = await ops.post(path)
    codes = [answer.json()["code"] for answer in (first, second)]
    assert codes[0] != codes[1]
    assert (await ops.get(path)).json() == {"venue_id": venue_id, "code": codes[1]}
    told = [event for event in await harness.outbox() if isinstance(event, VenueCodeChanged)]
    assert [event.venue_version for event in told] == [2, 3]
    assert [is_code(code, venue_id, event.code_digest) for code, event in zip(codes, told, strict=True)] == [True, True]
    assert not any(code in str(event) for code in codes for event in told)


@pytest.mark.rule("JOIN-3", "SEC-1")
async def test_nobody_else_reads_it(client: Client) -> None:
    ops = client("ops", "olga")
    made = await ops.post("/v1/venues", json={"name": "Room 4", "time_zone": "Europe/Berlin"})
    path = f"{made.headers['location']}/check-in-code"
    code = (await ops.post(path)).json()["code"]
    for role in ("member", "provider", "support"):
        person = client(role, "p")
        assert (await person.get(path)).status_code == 403
        assert (await person.post(path)).status_code == 403
        assert code not in (await person.get(made.headers["location"])).text
    for odd in ("nonsense", new_id()):
        assert (await ops.get(f"/v1/venues/{odd}/check-in-code")).status_code == 404
        assert (await ops.post(f"/v1/venues/{odd}/check-in-code")).status_code == 404


async def test_a_venue_that_cannot_be_is_not_found_whatever_the_key(client: Client) -> None:
    ops, key = client("ops", "olga"), {"Idempotency-Key": "one-key"}
    made = await ops.post("/v1/venues", json={"name": "Room 4", "time_zone": "Europe/London"}, headers=key)
    assert made.status_code == 201, made.text
    for answer in (
        await ops.post("/v1/venues/none/check-in-code", headers=key),
        await ops.put("/v1/venues/none", json={"name": "Room 4", "time_zone": "Europe/London"}, headers=key),
    ):
        assert answer.status_code == 404, answer.text

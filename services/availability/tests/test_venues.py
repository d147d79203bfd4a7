"""The other services hear of venues: messages name them (NOTE-1)."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from makegood_availability.handlers.venues import publish_unpublished
from makegood_contracts.events import VenuePublished
from makegood_testkit.service import CAUSE

from .harness import AvailabilityHarness

Client = Callable[[str, str], httpx.AsyncClient]


@pytest.mark.rule("NOTE-1")
async def test_a_venue_is_published_as_it_stands_with_its_place(harness: AvailabilityHarness, client: Client) -> None:
    ops = client("ops", "olga")
    room = {"name": "Room 4", "place": "12 Park Lane, Leeds", "time_zone": "Europe/London"}
    made = (await ops.post("/v1/venues", json=room)).json()
    assert made["place"] == "12 Park Lane, Leeds"
    await ops.put(f"/v1/venues/{made['id']}", json={**room, "place": None}, headers={"If-Match": '"1"'})
    told = [event for event in await harness.outbox() if isinstance(event, VenuePublished)]
    assert [(one.venue_version, one.name, one.place) for one in told] == [
        (1, "Room 4", "12 Park Lane, Leeds"),
        (2, "Room 4", None),
    ]
    assert {one.venue_id for one in told} == {made["id"]}
    assert await publish_unpublished(harness.service) == 0
    async with harness.database.transaction(CAUSE) as unit:
        await unit.execute("UPDATE venues SET told = false")  # as an older version left it
    assert await publish_unpublished(harness.service) == 1
    assert [type(event) for event in await harness.outbox()] == [VenuePublished]
    refused = await ops.post("/v1/venues", json={**room, "place": "see https://evil.example"})
    assert refused.status_code == 422

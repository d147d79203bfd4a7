"""A cancellation's remark for the message to the other party: it leaves booking as ciphertext alone (SEC-3)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
from makegood_booking.api.cancelling_models import CancelledView
from makegood_chassis.personal_data.letters import Letter, open_letter, public_half
from makegood_chassis.personal_data.master_keys import new_key
from makegood_contracts.events import PersonErased, RemarkKeyPublished, SessionCancelled
from makegood_contracts.events.sessions import LONGEST_SEALED_REMARK
from makegood_testkit.databases import as_owner
from makegood_testkit.service import received

from .examples import HOUR, NOW, START
from .harness import BookingHarness
from .test_api_outcomes import details

pytestmark = pytest.mark.rule("CANC-1", "CANC-2", "SEC-3")

CANARY = "a private remark"
KEY = new_key()


async def publish(harness: BookingHarness, person: str, key: bytes, sequence: int = 1) -> None:
    one = received(RemarkKeyPublished(person_id=person, public_key=public_half(key)))
    async with harness.service.database.transaction(one.cause) as unit:
        await harness.service.events[RemarkKeyPublished]([replace(one, sequence=sequence)], unit)


async def cancel(harness: BookingHarness, session: Any, person: str, **body: Any) -> tuple[Any, SessionCancelled]:
    await harness.outbox()
    client = harness.member if person == "anna" else harness.provider
    answer = await client.post(f"/v1/sessions/{session['id']}/cancel", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json(), await harness.wait_for(SessionCancelled)


@pytest.mark.parametrize("person", ["anna", "dr-lee"])
async def test_the_event_carries_it_sealed_with_its_authors_key(harness: BookingHarness, person: str) -> None:
    await publish(harness, person, KEY)
    session = await harness.confirmed(START)
    answer, event = await cancel(harness, session, person, remark=CANARY, share_remark=True)
    assert (answer["status"], answer["remark_shared"]) == ("cancelled", True)
    assert CANARY not in repr(event)
    assert event.sealed_remark is not None
    letter = Letter("SessionCancelled", session["id"], person)
    assert open_letter(KEY, letter, event.sealed_remark) == CANARY
    assert open_letter(new_key(), letter, event.sealed_remark) is None
    assert CANARY in repr(await details(harness, session, "member", "anna")), "the record has it as before"


async def test_without_share_remark_it_stays_for_the_record(harness: BookingHarness) -> None:
    await publish(harness, "anna", KEY)
    session = await harness.confirmed(START)
    answer, event = await cancel(harness, session, "anna", remark=CANARY)
    assert (answer["remark_shared"], event.sealed_remark) == (False, None)
    assert CANARY in repr(await details(harness, session, "provider", "dr-lee"))


async def test_before_the_authors_key_is_known_the_answer_says_that_it_is_not_shared(harness: BookingHarness) -> None:
    await publish(harness, "dr-lee", KEY)
    session = await harness.confirmed(START)
    answer, event = await cancel(harness, session, "anna", remark=CANARY, share_remark=True)
    assert (answer["status"], answer["remark_shared"]) == ("cancelled", False)
    assert event.sealed_remark is None


async def test_a_repeat_of_an_answer_that_was_lost_fits_its_own_description(harness: BookingHarness) -> None:
    """The process ended while the client waited: the repeat reads the session anew, which knows nothing of the remark."""
    session = await harness.confirmed(START)
    path = f"/v1/sessions/{session['id']}/cancel"
    waiting = asyncio.create_task(
        harness.member.post(path, json={"remark": CANARY}, headers={"Idempotency-Key": "once", "Prefer": "wait=20"})
    )
    await harness.wait_for(SessionCancelled)
    waiting.cancel()
    await asyncio.wait({waiting})
    async with as_owner(harness.service.database.url) as owner:
        await owner.execute("UPDATE idempotency_keys SET created_at = created_at - interval '1 hour'")
    again = await harness.member.post(path, json={"remark": CANARY}, headers={"Idempotency-Key": "once"})
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert again.json()["status"] == "cancelled"
    CancelledView.model_validate(again.json())


@pytest.mark.parametrize("body", [{}, {"remark": ""}, {"remark": "  \n"}, {"remark": None}])
async def test_there_must_be_something_to_share(harness: BookingHarness, body: Any) -> None:
    session = await harness.confirmed(START)
    refused = await harness.member.post(f"/v1/sessions/{session['id']}/cancel", json={**body, "share_remark": True})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "#/remark"
    assert (await harness.read(session))["status"] == "confirmed"


async def test_the_longest_remark_fits_into_the_event(harness: BookingHarness) -> None:
    await publish(harness, "anna", KEY)
    session = await harness.confirmed(START)
    answer, event = await cancel(harness, session, "anna", remark="\U0001f600" * 2000, share_remark=True)
    assert answer["remark_shared"] is True
    assert event.sealed_remark is not None
    assert len(event.sealed_remark) <= LONGEST_SEALED_REMARK


@pytest.mark.rule("SEC-7")
@pytest.mark.parametrize(
    "unusable", ["", "no base64", *(b64encode(octets).decode() for octets in (bytes(31), bytes(33), bytes(32)))]
)
async def test_a_key_that_seals_nothing_is_refused(harness: BookingHarness, unusable: str) -> None:
    """Or it would break every later cancellation of its person."""
    await publish(harness, "dr-lee", KEY)
    one = received(RemarkKeyPublished(person_id="anna", public_key=unusable))
    async with harness.service.database.transaction(one.cause) as unit:
        await harness.service.events[RemarkKeyPublished]([one], unit)
    assert unit.refused == {one.id: "not-its-terms"}
    session = await harness.confirmed(START)
    answer, _ = await cancel(harness, session, "anna", remark=CANARY, share_remark=True)
    assert (answer["status"], answer["remark_shared"]) == ("cancelled", False)


async def test_the_newest_key_counts_and_an_erasure_forgets_it(harness: BookingHarness) -> None:
    newer = new_key()
    await publish(harness, "anna", newer, 3)
    await publish(harness, "anna", KEY, 2)
    first, second = await harness.confirmed(START), await harness.confirmed(START + 2 * HOUR)
    _, event = await cancel(harness, first, "anna", remark=CANARY, share_remark=True)
    assert open_letter(newer, Letter("SessionCancelled", first["id"], "anna"), event.sealed_remark or "") == CANARY
    await harness.handle(PersonErased(person_id="anna", erased_at=NOW))
    async with harness.service.database.reading() as queries:
        assert await queries.fetch_value("SELECT count(*) FROM remark_keys") == 0
    assert (await harness.read(second))["status"] == "cancelled"

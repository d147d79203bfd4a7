"""A session as a FHIR R4 Appointment, checked by a public FHIR library.

The library's R4B has the Appointment of R4: that resource did not change between the two.
"""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.appointment import Appointment
from makegood_testkit.service import slug

from .examples import HOUR, MINUTE, START
from .harness import Answers, BookingHarness

_STATUS: Any = Appointment.model_fields["status"]
CODES = _STATUS.json_schema_extra["enum_values"]


async def appointment(harness: BookingHarness, session: Any) -> Any:
    answer = await harness.member.get(f"/v1/sessions/{session['id']}/fhir")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json")
    current = await harness.read(session)
    assert answer.headers["etag"] == f'"{current["version"]}"'
    found = answer.json()
    Appointment.model_validate(found)
    assert found["status"] in CODES
    assert (found["id"], found["meta"]["versionId"], found["start"]) == (
        session["id"],
        str(current["version"]),
        current["starts_at"],
    )
    return found


def reason(found: Any) -> tuple[str, str]:
    return found["cancelationReason"]["coding"][0]["code"], found["cancelationReason"]["text"]


async def test_each_status_is_one_of_fhirs(harness: BookingHarness) -> None:
    session = await harness.ask()
    assert (await appointment(harness, session))["status"] == "proposed"
    await harness.handle(Answers.slot_held(session))
    await harness.handle(Answers.credit_held(session))
    found = await appointment(harness, session)
    people = [
        (one["actor"]["type"], one["actor"]["identifier"]["value"], one["status"]) for one in found["participant"]
    ]
    assert people == [("Patient", "anna", "accepted"), ("Practitioner", "dr-lee", "needs-action")]
    assert (found["status"], found["minutesDuration"], found["appointmentType"]) == ("pending", 30, {"text": "video"})
    await harness.provider.post(f"/v1/sessions/{session['id']}/confirm")
    found = await appointment(harness, session)
    assert (found["status"], found["participant"][1]["status"]) == ("booked", "accepted")
    assert "cancelationReason" not in found
    await harness.advance(START)
    for person in (harness.member, harness.provider):
        await person.post(f"/v1/sessions/{session['id']}/join")
    assert (await appointment(harness, session))["status"] == "arrived"
    await harness.advance(START + 30 * MINUTE)
    assert (await appointment(harness, session))["status"] == "fulfilled"


@pytest.mark.parametrize(("who", "code"), [("member", "pat"), ("provider", "prov")])
async def test_a_cancelled_session_says_whose_reason_it_was(harness: BookingHarness, who: str, code: str) -> None:
    session = await harness.confirmed()
    person = harness.member if who == "member" else harness.provider
    await person.post(f"/v1/sessions/{session['id']}/cancel", json={"remark": "a canary"})
    found = await appointment(harness, session)
    assert (found["status"], reason(found)) == ("cancelled", (code, "cancelled"))
    assert "canary" not in repr(found)


async def test_a_missed_session_is_no_no_show_of_the_patients(harness: BookingHarness) -> None:
    missed = await harness.confirmed()
    no_show = await harness.confirmed(START + HOUR)
    refused = await harness.ask(START + 2 * HOUR)
    await harness.handle(Answers.slot_refused(refused))
    await harness.handle(Answers.credit_held(refused))
    declined = await harness.reserved(START + 3 * HOUR)
    await harness.provider.post(f"/v1/sessions/{declined['id']}/decline")
    lost = await harness.confirmed(START + 4 * HOUR)
    await harness.handle(Answers.slot_lapsed(lost))
    await harness.advance(START + 10 * MINUTE)
    harness.clock.moment = START + HOUR
    await harness.provider.post(f"/v1/sessions/{no_show['id']}/join")
    await harness.advance(START + HOUR + 15 * MINUTE)
    seen = {
        name: (found["status"], reason(found) if "cancelationReason" in found else None)
        for name, session in (
            ("missed", missed),
            ("no_show", no_show),
            ("refused", refused),
            ("declined", declined),
            ("lost", lost),
        )
        if (found := await appointment(harness, session))
    }
    assert seen == {
        "missed": ("cancelled", ("prov", "provider_missed")),
        "no_show": ("noshow", None),
        "refused": ("cancelled", ("other", "rejected")),
        "declined": ("cancelled", ("prov", "declined")),
        "lost": ("cancelled", ("other", "cancelled")),
    }


@pytest.mark.parametrize(
    ("confirmed", "by", "member", "provider"),
    [
        (True, "member", "declined", "accepted"),
        (True, "provider", "accepted", "declined"),
        (False, "member", "declined", "tentative"),
        (False, "provider", "accepted", "declined"),
    ],
)
async def test_nobody_is_asked_to_answer_what_was_cancelled(
    harness: BookingHarness, confirmed: bool, by: str, member: str, provider: str
) -> None:
    session = await (harness.confirmed() if confirmed else harness.reserved())
    await (harness.member if by == "member" else harness.provider).post(f"/v1/sessions/{session['id']}/cancel")
    found = await appointment(harness, session)
    assert [one["status"] for one in found["participant"]] == [member, provider]


async def test_nobody_is_asked_to_answer_what_is_over(harness: BookingHarness) -> None:
    expired = await harness.reserved()
    rejected = await harness.ask(START + HOUR)
    await harness.handle(Answers.slot_refused(rejected))
    await harness.handle(Answers.credit_held(rejected))
    lost = await harness.confirmed(START + 2 * HOUR)
    await harness.handle(Answers.slot_lapsed(lost))
    declined = await harness.reserved(START + 3 * HOUR)
    await harness.provider.post(f"/v1/sessions/{declined['id']}/decline")
    missed = await harness.confirmed(START + 4 * HOUR)
    await harness.advance(START + 4 * HOUR + 15 * MINUTE)
    found = [
        ((seen := await appointment(harness, session))["status"], seen["participant"][1]["status"])
        for session in (expired, rejected, lost, declined, missed)
    ]
    states = ["tentative", "tentative", "accepted", "declined", "accepted"]
    assert found == [("cancelled", state) for state in states]


async def test_a_venue_takes_part(harness: BookingHarness) -> None:
    venue = "0193f5b5-0000-7000-8000-00000000abcd"
    session = await harness.ask(modality="in_person", venue_id=venue)
    place = (await appointment(harness, session))["participant"][2]["actor"]
    assert (place["type"], place["identifier"]["value"]) == ("Location", venue)


@pytest.mark.rule("SEC-1")
async def test_strangers_see_no_appointment(harness: BookingHarness) -> None:
    session = await harness.ask()
    answer = await harness.client("member", "bea").get(f"/v1/sessions/{session['id']}/fhir")
    assert (answer.status_code, slug(answer)) == (404, "not-found")
    assert (await harness.client("ops", "olga").get(f"/v1/sessions/{session['id']}/fhir")).status_code == 403

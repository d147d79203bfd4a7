"""A session as a FHIR R4 Appointment, checked by a public FHIR library.

The library's R4B has the Appointment of R4: that resource did not change between the two.
"""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.appointment import Appointment

from .examples import HOUR, MINUTE, START
from .world import Answers, World, slug

_STATUS: Any = Appointment.model_fields["status"]
CODES = _STATUS.json_schema_extra["enum_values"]


async def appointment(world: World, session: Any) -> Any:
    answer = await world.member.get(f"/v1/sessions/{session['id']}/fhir")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json")
    current = await world.read(session)
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


async def test_each_status_is_one_of_fhirs(world: World) -> None:
    session = await world.ask()
    assert (await appointment(world, session))["status"] == "proposed"
    await world.handle(Answers.slot_held(session))
    await world.handle(Answers.credit_held(session))
    found = await appointment(world, session)
    people = [
        (one["actor"]["type"], one["actor"]["identifier"]["value"], one["status"]) for one in found["participant"]
    ]
    assert people == [("Patient", "anna", "accepted"), ("Practitioner", "dr-lee", "needs-action")]
    assert (found["status"], found["minutesDuration"], found["appointmentType"]) == ("pending", 30, {"text": "video"})
    await world.provider.post(f"/v1/sessions/{session['id']}/confirm")
    found = await appointment(world, session)
    assert (found["status"], found["participant"][1]["status"]) == ("booked", "accepted")
    assert "cancelationReason" not in found
    await world.pass_time(START)
    for person in (world.member, world.provider):
        await person.post(f"/v1/sessions/{session['id']}/join")
    assert (await appointment(world, session))["status"] == "arrived"
    await world.pass_time(START + 30 * MINUTE)
    assert (await appointment(world, session))["status"] == "fulfilled"


@pytest.mark.parametrize(("who", "code"), [("member", "pat"), ("provider", "prov")])
async def test_a_cancelled_session_says_whose_reason_it_was(world: World, who: str, code: str) -> None:
    session = await world.confirmed()
    person = world.member if who == "member" else world.provider
    await person.post(f"/v1/sessions/{session['id']}/cancel", json={"remark": "a canary"})
    found = await appointment(world, session)
    assert (found["status"], reason(found)) == ("cancelled", (code, "cancelled"))
    assert "canary" not in repr(found)


async def test_a_missed_session_is_no_no_show_of_the_patients(world: World) -> None:
    missed = await world.confirmed()
    no_show = await world.confirmed(START + HOUR)
    refused = await world.ask(START + 2 * HOUR)
    await world.handle(Answers.slot_refused(refused))
    await world.handle(Answers.credit_held(refused))
    declined = await world.reserved(START + 3 * HOUR)
    await world.provider.post(f"/v1/sessions/{declined['id']}/decline")
    lost = await world.confirmed(START + 4 * HOUR)
    await world.handle(Answers.slot_lapsed(lost))
    await world.pass_time(START + 10 * MINUTE)
    world.clock.moment = START + HOUR
    await world.provider.post(f"/v1/sessions/{no_show['id']}/join")
    await world.pass_time(START + HOUR + 15 * MINUTE)
    seen = {
        name: (found["status"], reason(found) if "cancelationReason" in found else None)
        for name, session in (
            ("missed", missed),
            ("no_show", no_show),
            ("refused", refused),
            ("declined", declined),
            ("lost", lost),
        )
        if (found := await appointment(world, session))
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
    world: World, confirmed: bool, by: str, member: str, provider: str
) -> None:
    session = await (world.confirmed() if confirmed else world.reserved())
    await (world.member if by == "member" else world.provider).post(f"/v1/sessions/{session['id']}/cancel")
    found = await appointment(world, session)
    assert [one["status"] for one in found["participant"]] == [member, provider]


async def test_nobody_is_asked_to_answer_what_is_over(world: World) -> None:
    expired = await world.reserved()
    rejected = await world.ask(START + HOUR)
    await world.handle(Answers.slot_refused(rejected))
    await world.handle(Answers.credit_held(rejected))
    lost = await world.confirmed(START + 2 * HOUR)
    await world.handle(Answers.slot_lapsed(lost))
    declined = await world.reserved(START + 3 * HOUR)
    await world.provider.post(f"/v1/sessions/{declined['id']}/decline")
    missed = await world.confirmed(START + 4 * HOUR)
    await world.pass_time(START + 4 * HOUR + 15 * MINUTE)
    found = [
        ((seen := await appointment(world, session))["status"], seen["participant"][1]["status"])
        for session in (expired, rejected, lost, declined, missed)
    ]
    states = ["tentative", "tentative", "accepted", "declined", "accepted"]
    assert found == [("cancelled", state) for state in states]


async def test_a_venue_takes_part(world: World) -> None:
    venue = "0193f5b5-0000-7000-8000-00000000abcd"
    session = await world.ask(modality="in_person", venue_id=venue)
    place = (await appointment(world, session))["participant"][2]["actor"]
    assert (place["type"], place["identifier"]["value"]) == ("Location", venue)


@pytest.mark.rule("SEC-1")
async def test_strangers_see_no_appointment(world: World) -> None:
    session = await world.ask()
    answer = await world.person("member", "bea").get(f"/v1/sessions/{session['id']}/fhir")
    assert (answer.status_code, slug(answer)) == (404, "not-found")
    assert (await world.person("ops", "olga").get(f"/v1/sessions/{session['id']}/fhir")).status_code == 403

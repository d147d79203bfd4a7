"""Whoever reaches Kafka forges nothing; whoever has a service's key tells nothing that cannot be (SEC-7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_contracts.envelope import Cause, Record, encode
from makegood_contracts.events import (
    CreditReturned,
    Event,
    MemberNoShow,
    ProviderMissed,
    SessionCancelled,
    SessionCompleted,
    SlotReleased,
)
from makegood_contracts.ids import new_id
from makegood_contracts.topics import SERVICES, ServiceName, dead_letters
from makegood_testkit.forging import write
from makegood_testkit.platform import Cast, Platform

from .test_canaries import _records

pytestmark = [pytest.mark.rule("SEC-7"), pytest.mark.last]


def told(kind: type[Event], session: Mapping[str, Any], **facts: Any) -> Record:
    """An event of a session as booking would tell it next."""
    names = ("room_id", "member_id", "provider_id", "length_minutes", "modality", "time_zone")
    event = kind(
        session_id=session["id"],
        starts_at=datetime.fromisoformat(session["starts_at"]),
        ends_at=datetime.fromisoformat(session["ends_at"]),
        session_version=session["version"] + 1,
        **({name: session[name] for name in names} | facts),
    )
    return encode(event, sequence=session["version"] + 1, cause=Cause(new_id(), new_id()))


def missed(session: Mapping[str, Any], **facts: Any) -> Record:
    start = datetime.fromisoformat(session["starts_at"])
    return told(
        ProviderMissed,
        session,
        **{"absent_party": "provider", "missed_at": start + timedelta(minutes=10), "grace_minutes": 10, **facts},
    )


async def letters(platform: Platform, *ids: str) -> Counter[tuple[str, str]]:
    """Service and reason of the dead letters of these events."""
    found: Counter[tuple[str, str]] = Counter()
    async for record in _records(platform, [dead_letters(service).name for service in SERVICES]):
        headers = {name: value.decode() for name, value in record.headers}
        if headers.get("ce_id") in ids:
            found[
                record.topic.removeprefix(platform.topic_prefix).partition(".")[0], headers["makegood_dead_reason"]
            ] += 1
    return found


async def refused(cast: Cast, record: Record, reason: str, *services: ServiceName) -> None:
    """Once these services have refused the event for this reason, and no other has refused it."""
    wanted = Counter({(service, reason): 1 for service in services})
    await cast.eventually(lambda: letters(cast.platform, record.id), lambda found: found == wanted, seconds=40)
    await cast.platform.settle()
    assert await letters(cast.platform, record.id) == wanted


async def as_it_was(cast: Cast, session: Mapping[str, Any]) -> None:
    """Nothing came of it: session, credit and slot stand, and nobody was told anything."""
    await cast.platform.settle()
    seen = await cast.session(session)
    assert (seen["status"], seen["credit"]["state"]) == ("confirmed", "held")
    credits = await cast.credits()
    assert (credits["available"], credits["held"]) == (3, 1)
    subjects = [mail["Subject"] for mail in await cast.inbox().all()]
    assert not [subject for subject in subjects if "missed" in subject.lower()]
    assert not [
        message for message in await cast.chat() if message.get("template") in ("provider-missed", "credit-returned")
    ]
    slots = await cast.member.get(
        f"/v1/providers/{cast.provider.subject}/slots",
        **{
            "from": session["starts_at"],
            "to": session["ends_at"],
            "length_minutes": cast.length,
            "modality": cast.modality,
        },
    )
    assert session["starts_at"] not in [slot["starts_at"] for slot in slots["items"]]


CONSUMERS: tuple[ServiceName, ...] = ("availability", "credits", "notifications")
"""Who follows what happens to sessions."""


async def test_a_miss_that_an_anonymous_client_writes_changes_nothing(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=3))
    forged = missed(session)
    await write(cast.platform, forged)
    await refused(cast, forged, "unsigned", *CONSUMERS)
    await as_it_was(cast, session)


async def test_another_services_key_does_not_speak_for_booking(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=3))
    forged = missed(session)
    await write(cast.platform, forged, signed_by="credits")
    await refused(cast, forged, "key-of-another-service", *CONSUMERS)
    await as_it_was(cast, session)


async def test_hundreds_of_forged_events_stop_nobody(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=3))
    await write(cast.platform, *(missed(session) for _ in range(300)))
    await cast.platform.settle()
    await as_it_was(cast, session)
    await cast.member.post(f"/v1/sessions/{session['id']}/cancel", {}, wait=15)
    await cast.balance(available=4, held=0)


@pytest.mark.parametrize("kind", [ProviderMissed, MemberNoShow, SessionCompleted])
async def test_an_outcome_before_its_time_is_refused_though_booking_signed_it(cast: Cast, kind: type[Event]) -> None:
    session = await cast.confirmed(timedelta(days=3))
    facts = {MemberNoShow: {"marked_by": "system"}, SessionCompleted: {}}
    forged = missed(session) if kind is ProviderMissed else told(kind, session, **facts[kind])
    await write(cast.platform, forged, signed_by="booking")
    await refused(cast, forged, "before-its-time", *CONSUMERS)
    await as_it_was(cast, session)


async def test_times_that_the_forger_chose_do_not_make_an_outcome_possible(cast: Cast) -> None:
    """The consumers know when the session starts; what the event says of it does not count."""
    session = await cast.confirmed(timedelta(days=3))
    past = (await cast.platform.now()) - timedelta(hours=2)
    forged = missed(
        {**session, "starts_at": past.isoformat(), "ends_at": (past + timedelta(minutes=30)).isoformat()},
        missed_at=past + timedelta(minutes=10),
    )
    await write(cast.platform, forged, signed_by="booking")
    await refused(cast, forged, "before-its-time", *CONSUMERS)
    await as_it_was(cast, session)


async def test_a_session_cannot_be_settled_for_somebody_else(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=3))
    forged = told(
        SessionCancelled, session,
        member_id="somebody-else", cancelled_by="member", cancelled_at=await cast.platform.now(), forfeits=True,
        was_confirmed=True,
    )  # fmt: skip
    await write(cast.platform, forged, signed_by="booking")
    await refused(cast, forged, "not-its-parties", *CONSUMERS)
    await as_it_was(cast, session)


async def test_credits_cannot_settle_a_session_that_is_not_over(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=3))
    facts = {
        "entry_id": new_id(), "member_id": session["member_id"], "lot_id": new_id(), "amount": 1, "available_after": 4,
        "held_after": 0, "session_id": session["id"], "hold_id": new_id(), "source": "plan", "expires_at": None,
    }  # fmt: skip
    early = CreditReturned(**{**facts, "cause": "provider_missed"})
    others = CreditReturned(**{**facts, "entry_id": new_id(), "member_id": "somebody-else", "cause": "support"})
    first, second = (
        encode(event, sequence=900 + n, cause=Cause(new_id(), new_id())) for n, event in enumerate((early, others))
    )
    await write(cast.platform, first, second, signed_by="credits")
    await refused(cast, first, "not-its-terms", "booking")
    await refused(cast, second, "not-its-parties", "booking", "notifications")
    seen = await cast.session(session)
    assert (seen["status"], seen["credit"]["state"]) == ("confirmed", "held")


async def test_availability_cannot_take_the_slot_of_somebody_elses_session(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=3))
    start, end = (datetime.fromisoformat(session[name]) for name in ("starts_at", "ends_at"))
    event = SlotReleased(
        session_id=session["id"], provider_id=session["provider_id"], member_id="somebody-else", starts_at=start, ends_at=end,
        cause="lapsed", reopened=True,
    )  # fmt: skip
    forged = encode(event, sequence=900, cause=Cause(new_id(), new_id()))
    await write(cast.platform, forged, signed_by="availability")
    await refused(cast, forged, "not-its-parties", "booking")
    await as_it_was(cast, session)

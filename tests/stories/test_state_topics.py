"""The compacted state topics: the latest state of each entity, as the events tell it, and nothing of erased people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from makegood_contracts.topics import (
    ACCESS,
    BALANCES_STATE,
    DELIVERIES_STATE,
    EVENT_TOPICS,
    INVOICES_STATE,
    STATE_TOPICS,
    Topic,
)
from makegood_stack.event_verifier import verifier_of
from makegood_stack.tail import Seen, Tail
from makegood_testkit.folding import Fold, States
from makegood_testkit.platform import Cast, Platform
from makegood_testkit.waiting import eventually

_EVENTS = [topic for topic in EVENT_TOPICS if topic not in ACCESS.values()]
_UNTOLD: dict[str, tuple[str, set[Any]]] = {
    DELIVERIES_STATE.name: ("status", {"queued", "skipped"}),
    INVOICES_STATE.name: ("status", {"pending"}),
    BALANCES_STATE.name: ("available", {0}),
}
"""States that no event tells: of messages that were not sent, of charges that are not owed yet, and of members who never had a
credit."""


async def read(platform: Platform, topics: Iterable[Topic], *, verify: bool = False) -> list[Seen]:
    """Everything on these topics."""
    verifier = verifier_of(platform.stack) if verify else None
    names, found, quiet = [topic.name for topic in topics], [], 0
    async with Tail(
        platform.stack.kafka, names, prefix=platform.topic_prefix, from_beginning=True, verifier=verifier
    ) as tail:
        while quiet < 3:
            batch = await tail.batch()
            quiet = 0 if batch else quiet + 1
            found += batch
    return found


def latest(records: Iterable[Seen]) -> dict[str, dict[str, Seen]]:
    """The last record of each key, by topic, as compaction leaves it."""
    found: dict[str, dict[str, Seen]] = {topic.name: {} for topic in STATE_TOPICS}
    for record in sorted(records, key=lambda one: (one.topic, one.partition, one.offset)):
        found[record.topic][record.key] = record
    return found


def stated(records: Mapping[str, Seen]) -> States:
    return {key: msgspec.structs.asdict(one.received.event) for key, one in records.items() if one.received is not None}


async def differences(platform: Platform, people: set[str]) -> list[str]:
    """Where the state topics say something else than the events of these people."""
    fold = Fold().of(one.received for one in await read(platform, _EVENTS) if one.received is not None)
    found = []
    for topic, records in latest(await read(platform, STATE_TOPICS)).items():
        said, told = stated(records), fold.states[topic]
        for key in said.keys() | told.keys():
            state, expected = said.get(key), told.get(key, {})
            named = {str(value) for name, value in (state or expected).items() if name.endswith("_id")}
            if not named & people:
                continue
            gone = fold.erased & named
            if gone:
                found += [f"{topic} {key}: tells of {gone}"] if state else []
            elif state is None:
                found.append(f"{topic} {key}: missing, or a tombstone")
            elif not expected and (topic not in _UNTOLD or state[_UNTOLD[topic][0]] not in _UNTOLD[topic][1]):
                found.append(f"{topic} {key}: no event tells of {state}")
            else:
                found += [
                    f"{topic} {key}: {name} is {state[name]}, not {value}"
                    for name, value in expected.items()
                    if state[name] != value
                ]
    return found


async def agree(platform: Platform, people: set[str]) -> None:
    last: list[str] = []

    async def look() -> bool:
        last[:] = await differences(platform, people)
        return not last

    try:
        await eventually(look, seconds=30)
    except BaseException:
        pytest.fail("\n".join(last[:20]))


@pytest.mark.last
async def test_a_fold_of_the_events_is_what_the_state_topics_say(cast: Cast) -> None:
    """After a life of sessions, credits and messages."""
    platform = cast.platform
    session = await cast.confirmed(timedelta(days=4))
    await cast.provider.post(f"/v1/sessions/{session['id']}/cancel", wait=15)
    await cast.settled(session, "cancelled", "returned")
    await cast.confirmed(timedelta(days=5))
    await platform.advance(timedelta(days=6))
    await agree(platform, {cast.member.subject, cast.provider.subject})


@pytest.mark.rule("NOTE-5")
async def test_after_an_erasure_nothing_is_left_but_tombstones(cast: Cast) -> None:
    session = await cast.confirmed(timedelta(days=20))
    people = {cast.member.subject}

    async def about(people: set[str]) -> dict[str, dict[str, Seen]]:
        found = latest(await read(cast.platform, STATE_TOPICS, verify=True))
        return {
            topic: {k: r for k, r in rows.items() if _names(r, people) or k in keys} for topic, rows in found.items()
        }

    def _names(record: Seen, people: set[str]) -> bool:
        payload: Any = record.payload
        return isinstance(payload, dict) and bool(people & {str(value) for value in payload.values()})

    keys: set[str] = set()

    async def everything() -> bool:
        rows = await about(people)
        keys.update(key for records in rows.values() for key in records)
        return session["id"] in rows["booking.sessions.state.v1"] and all(
            rows[topic.name] for topic in STATE_TOPICS if topic is not INVOICES_STATE
        )

    await eventually(everything)
    await cast.member.delete(f"/v1/people/{cast.member.subject}", params={"reason": "person_asked"})
    await cast.platform.advance(timedelta(days=7))

    async def erased() -> bool:
        rows = [record for records in (await about(people)).values() for record in records.values()]
        return all(record.payload is None for record in rows)

    await eventually(erased, seconds=30)
    tombstones = [record for records in (await about(people)).values() for record in records.values()]
    assert {record.key for record in tombstones} >= keys
    assert {(record.signature, record.malformed) for record in tombstones} == {("genuine", None)}

"""What a consumer does with records that their topic's owner did not sign, and with events that a rule refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from makegood_chassis.database import Database, UnitOfWork
from makegood_chassis.messaging import forgeries
from makegood_chassis.messaging.dead_letters import DeadLetterLimit, DeadLetterLimitExceeded, restored
from makegood_chassis.messaging.event_keys import EventKey, EventKeys, EventKeysUnavailable
from makegood_chassis.messaging.failures import Stopped
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.refusals import REASONS
from makegood_chassis.messaging.signatures import SIGNATURE, Signer, leaf
from makegood_chassis.messaging.verification import Verifier
from makegood_contracts.envelope import Received, Record
from makegood_contracts.events import SessionConfirmed
from makegood_contracts.ids import new_id
from makegood_testkit.waiting import eventually

from .messaging_example import Handlers, session_event
from .messaging_helpers import effects, polled, record_of

BOOKING, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
SIGNER = Signer(BOOKING)
KEYS = EventKeys.fixed({SIGNER.kid: EventKey("booking", BOOKING.public_key())})


def sign(records: Sequence[Record], signer: Signer = SIGNER) -> list[Record]:
    raw = [[(name, text.encode()) for name, text in record.headers] for record in records]
    leaves = [leaf(one.topic, one.key.encode(), two, one.value) for one, two in zip(records, raw, strict=True)]
    return [
        Record(one.topic, one.key, [*one.headers, (SIGNATURE, signature.decode())], one.value)
        for one, signature in zip(records, signer.sign(leaves), strict=True)
    ]


def with_header(record: Record, name: str, value: str) -> Record:
    return Record(
        record.topic, record.key, [*((n, v) for n, v in record.headers if n != name), (name, value)], record.value
    )


def make(
    database: Database, handlers: Handlers, *, limit: int = 5, keys: EventKeys = KEYS, **options: Any
) -> Processor:
    return Processor(
        database,
        options.pop("table", handlers.table()),
        service="availability",
        guard=DeadLetterLimit(limit, 60),
        verifier=Verifier(keys),
        **options,
    )


async def letters(database: Database) -> list[dict[str, str]]:
    """The headers of the dead letters."""
    async with database.reading() as queries:
        rows = await queries.fetch(
            "SELECT headers FROM outbox WHERE topic = 'availability.dead-letters.v1' ORDER BY id"
        )
    return [dict(json.loads(row[0])) for row in rows]


async def reasons(database: Database) -> list[str]:
    return [letter["makegood_dead_reason"] for letter in await letters(database)]


async def reasons_are(database: Database, expected: Sequence[str]) -> bool:
    return await reasons(database) == list(expected)


@pytest.mark.rule("SEC-7")
async def test_only_what_the_topics_owner_signed_has_an_effect(database: Database) -> None:
    handlers = Handlers()
    genuine = sign([record_of(session_event(new_id())) for _ in range(3)])
    forged = [
        record_of(session_event(new_id())),
        *sign([record_of(session_event(new_id()))], Signer(STRANGER)),
        with_header(sign([record_of(session_event(new_id()))])[0], "ce_sequence", "7"),
        Record("booking.sessions.v1", "x", [("ce_type", "makegood.booking.SessionConfirmed.v1")], b"no event"),
    ]
    await make(database, handlers).process(polled([genuine[0], forged[0], genuine[1], *forged[1:], genuine[2]]))
    assert [row[0] for row in await effects(database)] == [record.id for record in genuine]
    assert await reasons(database) == ["unsigned", "unsigned", "key-unknown", "signature-wrong"]
    assert set(await reasons(database)) <= set(REASONS)


@pytest.mark.rule("SEC-7")
async def test_a_forged_record_does_not_take_the_id_of_a_genuine_one(database: Database) -> None:
    handlers = Handlers()
    processor = make(database, handlers)
    [genuine] = sign([record_of(session_event(new_id()))])
    stolen = record_of(session_event(new_id()), event_id=genuine.id)
    await processor.process(polled([stolen, Record(stolen.topic, stolen.key, stolen.headers, b"{}")]))
    await processor.process(polled([genuine], start=2))
    assert [row[0] for row in await effects(database)] == [genuine.id]


@pytest.mark.rule("SEC-7")
async def test_hundreds_of_forged_records_neither_stop_the_consumer_nor_fill_the_dead_letters(
    database: Database,
) -> None:
    handlers = Handlers()
    processor = make(database, handlers, limit=5)
    forged = [record_of(session_event(new_id())) for _ in range(300)]
    genuine = sign([record_of(session_event(new_id())) for _ in range(2)])
    await processor.process(polled([*forged[:150], genuine[0]]))
    await processor.process(polled([*forged[150:], genuine[1]], start=151))
    assert [row[0] for row in await effects(database)] == [record.id for record in genuine]
    assert await reasons(database) == ["unsigned"] * forgeries.WHOLE


@pytest.mark.rule("SEC-7")
async def test_what_got_no_letter_of_its_own_is_told_by_its_place(database: Database) -> None:
    processor = make(database, Handlers())
    processor._forgeries = forgeries.Forgeries(database, "availability", whole=1, window=0.0)
    processor._forgeries._window = 1000.0
    await processor.process(polled([record_of(session_event(new_id())) for _ in range(4)]))
    processor._forgeries._window = 0.0
    await processor.process(polled([record_of(session_event(new_id()))], start=4))
    last = (await letters(database))[-1]
    told = {name: last[f"makegood_dead_{name}"] for name in ("topic", "partition", "offset", "until", "count")}
    assert told == {"topic": "booking.sessions.v1", "partition": "0", "offset": "1", "until": "3", "count": "3"}


@pytest.mark.rule("SEC-7")
async def test_a_dead_letter_keeps_the_signature_so_that_it_can_be_put_back(database: Database) -> None:
    handlers = Handlers()
    processor = make(database, handlers)
    [poison] = sign([record_of(session_event(new_id(), member="poison"))])
    await processor.process(polled([poison]))
    [letter] = await letters(database)
    handlers.mended = True
    back = [(name, value) for name, value in letter.items() if not name.startswith("makegood_dead")]
    again = Record(poison.topic, poison.key, [*back, ("makegood_redrive", "1")], poison.value)
    await processor.process(polled([again], start=1))
    assert [row[0] for row in await effects(database)] == [poison.id]


@pytest.mark.rule("SEC-7")
async def test_keys_that_cannot_be_had_now_are_waited_for(database: Database) -> None:
    class Away(EventKeys):
        tries = 0

        async def ensure(self) -> None:
            self.tries += 1
            if self.tries < 3:
                raise EventKeysUnavailable
            self._keys, self._fetched = KEYS._keys, float("inf")

    waits: list[bool] = []
    processor = make(database, Handlers(), keys=Away(""), waiting=waits.append)
    genuine = sign([record_of(session_event(new_id()))])
    await processor.process(polled(genuine))
    assert [row[0] for row in await effects(database)] == [genuine[0].id]
    assert waits == [True, False]
    assert await letters(database) == []
    stopping = make(database, Handlers(), keys=EventKeys("/nowhere"), given_up=lambda: True)
    with pytest.raises(Stopped):
        await stopping.process(polled(genuine))


@pytest.mark.rule("SEC-7")
@pytest.mark.parametrize("known", [{}, KEYS._keys], ids=["none yet", "an unknown one is named"])
async def test_what_no_key_could_make_genuine_is_refused_while_the_keys_are_away(
    database: Database, known: dict[str, EventKey]
) -> None:
    """Otherwise whoever keeps the keys away also hides what they write."""

    class Away(EventKeys):
        back = asyncio.Event()

        async def refresh(self) -> bool:
            if self.back.is_set():
                self._keys, self._fetched = KEYS._keys, float("inf")
            return self.back.is_set()

    keys = Away("/nowhere")
    keys._keys, keys._fetched = known, float("inf") if known else float("-inf")
    waits: list[bool] = []
    processor = make(database, Handlers(), keys=keys, waiting=waits.append)
    signed = sign([record_of(session_event(new_id()))])
    strange = sign([record_of(session_event(new_id()))], Signer(STRANGER)) if known else []
    unsigned = record_of(session_event(new_id()))
    bent = with_header(unsigned, SIGNATURE, "no signature")
    working = asyncio.create_task(processor.process(polled([unsigned, *signed, *strange, bent])))
    try:
        await eventually(lambda: reasons_are(database, ["unsigned", "signature-malformed"]))
        await eventually(lambda: waits == [True])
        assert not working.done()
    finally:
        keys.back.set()
        await working
    assert [row[0] for row in await effects(database)] == [signed[0].id]
    assert await reasons(database) == ["unsigned", "signature-malformed", *["key-unknown" for _ in strange]]


@pytest.mark.rule("SEC-7")
@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("ce_source", "/makegood/credits", "wrong-source"),
        ("ce_subject", "somebody else", "wrong-subject"),
        ("ce_dataschema", "/schemas/other.json", "wrong-schema"),
    ],
)
async def test_an_event_that_contradicts_its_envelope_is_refused(
    database: Database, header: str, value: str, reason: str
) -> None:
    handlers = Handlers()
    bent = sign([with_header(record_of(session_event(new_id())), header, value)])
    await make(database, handlers).process(polled(bent))
    assert (await reasons(database), await effects(database)) == ([reason], [])


@pytest.mark.rule("SEC-7")
async def test_an_event_under_another_key_or_on_another_topic_is_refused(database: Database) -> None:
    handlers = Handlers()
    first, record = record_of(session_event(new_id())), record_of(session_event(new_id()))
    other_key = Record(first.topic, new_id(), first.headers, first.value)
    other_topic = Record("booking.rooms.v1", record.key, record.headers, record.value)
    await make(database, handlers).process(polled(sign([other_key, other_topic])))
    assert (await reasons(database), await effects(database)) == (["wrong-key", "wrong-topic"], [])


@pytest.mark.rule("SEC-7")
async def test_a_number_that_an_entity_had_before_is_refused_unless_put_back(database: Database) -> None:
    handlers = Handlers()
    processor = make(database, handlers)
    session = new_id()
    first, second, gap = (record_of(session_event(session), number) for number in (1, 2, 9))
    same, lower, late = (record_of(session_event(session), number) for number in (9, 3, 5))
    await processor.process(polled(sign([first, second, second, gap, same])))
    await processor.process(polled(sign([lower, first]), start=5))
    assert [row[0] for row in await effects(database)] == [first.id, second.id, gap.id]
    assert await reasons(database) == ["sequence-repeated"] * 2
    await processor.process(polled([with_header(sign([late])[0], "makegood_redrive", "1")], start=7))
    assert [row[0] for row in await effects(database)][-1] == late.id


class Judges:
    """Refuses the events of some members, as a rule of a service does."""

    def __init__(self, reason: Any = "not-its-parties") -> None:
        self.calls = 0
        self.reason = reason

    async def judge(self, batch: Sequence[Received[Any]], unit: UnitOfWork) -> None:
        self.calls += 1
        taken = [one for one in batch if one.event.member_id != "other"]
        for one in batch:
            if one.event.member_id == "other":
                unit.refuse(one.id, self.reason)
        await Handlers().effect(taken, unit)


@pytest.mark.rule("SEC-7")
async def test_what_a_rule_refuses_dies_at_once_and_the_others_go_on(database: Database) -> None:
    judges = Judges()
    processor = make(database, Handlers(), table={SessionConfirmed: judges.judge})
    records = sign([record_of(session_event(new_id(), member=member)) for member in ("m", "other", "m", "other")])
    await processor.process(polled(records))
    assert judges.calls == 2, "once as if all were new, and once more when the inbox has said that they are"
    assert [row[0] for row in await effects(database)] == [records[0].id, records[2].id]
    assert await reasons(database) == ["not-its-parties"] * 2
    await processor.process(polled(records))
    assert len(await letters(database)) == 2, "an event that comes again has one letter"
    again = with_header(records[1], "makegood_redrive", "1")
    await processor.process(polled([again], start=9))
    assert len(await letters(database)) == 3, "what is put back is judged again"


@pytest.mark.rule("SEC-7")
async def test_refusals_of_well_signed_events_count_towards_a_flood(database: Database) -> None:
    """The fault may be the rule's: then the consumer stops instead of giving up what comes."""
    judges = Judges()
    processor = make(database, Handlers(), limit=2, table={SessionConfirmed: judges.judge})
    records = sign([record_of(session_event(new_id(), member="other")) for _ in range(3)])
    await processor.process(polled(records[:2]))
    with pytest.raises(DeadLetterLimitExceeded):
        await processor.process(polled(records[2:], start=2))


async def test_a_clock_that_is_moved_a_moment_later_is_waited_for(database: Database) -> None:
    judges = Judges("before-its-time")
    waiting: list[bool] = []

    def moved(waits: bool) -> None:
        waiting.append(waits)
        judges.judge = Handlers().effect  # type: ignore[method-assign, assignment]

    table = {SessionConfirmed: lambda batch, unit: judges.judge(batch, unit)}
    processor = make(database, Handlers(), table=table, clock_patience=30.0, waiting=moved)
    [record] = sign([record_of(session_event(new_id(), member="other"))])
    await processor.process(polled([record]))
    assert [row[0] for row in await effects(database)] == [record.id]
    impatient = make(database, Handlers(), table={SessionConfirmed: Judges("before-its-time").judge})
    await impatient.process(polled(sign([record_of(session_event(new_id(), member="other"))]), start=1))
    assert await reasons(database) == ["before-its-time"]


@pytest.mark.rule("SEC-7", "REL-7")
async def test_copies_that_claim_to_be_put_back_neither_stop_the_consumer_nor_bar_the_operator(
    database: Database,
) -> None:
    judges = Judges()
    processor = make(database, Handlers(), limit=5, table={SessionConfirmed: judges.judge})
    [record] = sign([record_of(session_event(new_id(), member="other"))])
    await processor.process(polled([record]))
    copies = [with_header(record, "makegood_redrive", str(n)) for n in (2147483647, 5000, 1000, *range(1, 200))]
    odd = [with_header(record, "other", "x") for _ in range(10)]
    for start, copy in enumerate([*copies, *odd], 1):
        await processor.process(polled([copy], start=start))
    found = await letters(database)
    assert len(found) <= 1 + forgeries.WHOLE
    judges.judge = Handlers().effect  # type: ignore[method-assign, assignment]
    mended = make(database, Handlers(), table={SessionConfirmed: judges.judge})
    newest = [(name, value.encode()) for name, value in found[-1].items()]
    back = [(name, value.decode()) for name, value in restored(newest)]
    await mended.process(polled([Record(record.topic, record.key, back, record.value)] * 2, start=900))
    assert [row[0] for row in await effects(database)] == [record.id]

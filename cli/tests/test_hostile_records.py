"""The tools read on past records that anybody can write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition
from makegood_chassis.messaging.dead_letters import restored
from makegood_chassis.messaging.event_keys import EventKeys
from makegood_chassis.messaging.redrive import read_letter
from makegood_chassis.messaging.verification import Verifier
from makegood_cli.audit.topics import Reader, TopicWitness
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events import RoomOpened, SlotReleased
from makegood_contracts.ids import new_id
from makegood_stack.tail import seen

NAMES = ("ce_type", "ce_id", "ce_sequence", "ce_time", "makegood_redrive", "makegood_dead_key", "other")
DEEP = b'{"unknown":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def hostile(changes: dict[str, bytes | None], value: bytes = DEEP) -> ConsumerRecord[bytes, bytes]:
    headers: dict[str, bytes | None] = {
        "ce_type": SlotReleased.type.encode(), "ce_id": b"x", "ce_sequence": b"1", "ce_time": b"2026-01-01T00:00:00Z",
        "ce_correlationid": b"x", "ce_causationid": b"x",
    }  # fmt: skip
    return ConsumerRecord(
        "availability.reservations.v1", 0, 0, 0, 0, b"k", value, None, 1, 1, tuple((headers | changes).items())
    )


@pytest.mark.rule("SEC-7", "REL-7")
@pytest.mark.parametrize(
    "record", [*(hostile({name: None}) for name in NAMES), hostile({"ce_time": b"2026-01-01T00:00:00"})]
)
def test_a_hostile_record_is_shown_listed_and_counted(record: ConsumerRecord[bytes, bytes]) -> None:
    assert seen(record).malformed
    assert read_letter(record).position == 0
    assert dict(restored(record.headers))["makegood_redrive"] == b"1"
    witness = TopicWitness()
    witness.take("availability.reservations.v1", record.key, record.headers, record.value)
    assert witness.malformed == 1


@pytest.mark.rule("SEC-7")
async def test_the_audit_believes_no_unsigned_record_even_at_the_beginning() -> None:
    verifier = Verifier(EventKeys.fixed({}))
    topic, record = "availability.reservations.v1", hostile({}, b"{}")

    class Polls:
        """One partition with one record."""

        at = 0

        def assignment(self) -> set[TopicPartition]:
            return {TopicPartition(topic, 0)}

        async def position(self, _: TopicPartition) -> int:
            return self.at

        async def getmany(self, *_: Any, **__: Any) -> Any:
            self.at = 1
            return {TopicPartition(topic, 0): [record]}

        async def beginning_offsets(self, parts: Any) -> Any:
            return dict.fromkeys(parts, 0)

        async def end_offsets(self, parts: Any) -> Any:
            return dict.fromkeys(parts, 1)

    witness = await Reader(Polls(), "", verifier).catch_up()
    assert (witness.forged, witness.malformed, witness.events) == (1, 0, 0)


@pytest.mark.rule("REL-6")
def test_the_audit_passes_over_what_a_restore_withdrew() -> None:
    record = encode(
        RoomOpened(room_id=new_id(), member_id="m", provider_id="p", room_version=1, opened_at=datetime.now(UTC)),
        sequence=1,
        cause=Cause.begin(),
    )
    headers = [(name, value.encode()) for name, value in record.headers]
    witness = TopicWitness(withdrawn=frozenset({record.id}))
    witness.take(record.topic, record.key.encode(), headers, record.value)
    assert (witness.passed_over, witness.events, witness.last[record.topic]) == (1, 0, {})

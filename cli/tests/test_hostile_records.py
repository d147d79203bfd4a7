"""The tools read on past records that anybody can write."""

from __future__ import annotations

import pytest
from aiokafka.structs import ConsumerRecord
from makegood_chassis.messaging.dead_letters import restored
from makegood_chassis.messaging.redrive import read_letter
from makegood_cli.audit.topics import TopicWitness
from makegood_cli.tail import seen
from makegood_contracts.events import SlotReleased

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

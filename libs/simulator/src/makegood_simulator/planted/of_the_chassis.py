"""Bugs in what moves events, deadlines and requests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.http import idempotency
from makegood_chassis.messaging import batches, failpoints, inbox, relay, tables
from makegood_chassis.messaging.batch_producer import BatchProducer
from makegood_chassis.messaging.consumer import Consumer
from makegood_chassis.messaging.deadlines import Deadlines
from makegood_chassis.messaging.processor import Processor
from makegood_chassis.messaging.relay import Relay

from makegood_simulator.planted.changing import PlantedBug, attribute, everywhere, together

Change = AbstractContextManager[None]


def _no_inbox() -> Change:
    async def claim(received: Sequence[Any], unit: UnitOfWork) -> list[Any]:
        return list(received)

    return together(everywhere(inbox.claim, claim), attribute(UnitOfWork, "note_handled", lambda self, event_ids: None))


async def _publish_apart(unit: UnitOfWork) -> None:
    """Writes what the unit publishes in a transaction of its own."""
    records, unit._records = unit._records, []
    if records:
        statement: Any = tables.publish([record for record, _ in records])
        pool: Any = unit.connection._holder._pool  # type: ignore[union-attr]
        async with pool.acquire() as other:
            await other.fetch(statement.sql, *statement.values)


def _publish_before_commit() -> Change:
    commit = UnitOfWork.commit

    async def early(self: UnitOfWork) -> None:
        await _publish_apart(self)
        await commit(self)

    return attribute(UnitOfWork, "commit", early)


def _publish_after_commit() -> Change:
    commit = UnitOfWork.commit

    async def late(self: UnitOfWork) -> None:
        records, self._records = self._records, []
        await commit(self)
        failpoints.reached("unit.committed")
        self._records = records
        await _publish_apart(self)

    return attribute(UnitOfWork, "commit", late)


def _offsets_first() -> Change:
    process = Consumer._process

    async def hasty(self: Consumer, polled: Any) -> None:
        for partition, records in polled.records.items():
            self._note_handled(partition, records[-1].offset)
        await self._commit()
        await process(self, polled)

    return attribute(Consumer, "_process", hasty)


def _tail_lost() -> Change:
    process = Processor.process

    async def careless(self: Processor, records: Sequence[Any]) -> None:
        await process(self, records[:-1] if len(records) > 5 else records)

    return attribute(Processor, "process", careless)


def _order_of_keys() -> Change:
    def by_type(received: Sequence[Any], together: Any = None) -> list[list[Any]]:
        groups: dict[Any, list[Any]] = {}
        for one in reversed(received):
            groups.setdefault(type(one.event), []).append(one)
        return list(groups.values())

    return everywhere(batches.group_preserving_key_order, by_type)


def _delete_before_sending() -> Change:
    following = Relay._next

    async def eager(self: Relay) -> list[Any]:
        rows = await following(self)
        async with self._database.reading() as queries:
            await queries.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", [row.id for row in rows])
        return rows

    return attribute(Relay, "_next", eager)


def _failures_taken_for_sent() -> Change:
    send = BatchProducer.send

    async def trusting(self: BatchProducer, rows: Sequence[Any]) -> Any:
        outcome = await send(self, rows)
        if outcome.failed:
            outcome.sent, outcome.failed = [row.id for row in rows], {}
        return outcome

    return attribute(BatchProducer, "send", trusting)


def _newest_first() -> Change:
    return attribute(relay, "_FETCH", relay._FETCH.replace("ORDER BY id", "ORDER BY id DESC"))


def _deadlines_taken_apart() -> Change:
    rows_of = Deadlines._rows

    async def apart(self: Deadlines, unit: UnitOfWork, these: Any) -> Any:
        async with self._database.transaction(unit.cause) as other:
            return await rows_of(self, other, these)

    return attribute(Deadlines, "_rows", apart)


def _keys_not_claimed() -> Change:
    async def claim_many(claims: Sequence[Any], resources: Any, unit: UnitOfWork) -> list[None]:
        return [None] * len(claims)

    return everywhere(idempotency.claim_many, claim_many)


BUGS: Final = (
    PlantedBug("no-inbox", "Nobody asks whether an event was handled before.", _no_inbox),
    PlantedBug(
        "publish-before-commit", "Events are published before the commit of what they tell of.", _publish_before_commit
    ),
    PlantedBug(
        "publish-after-commit", "Events are published after the commit of what they tell of.", _publish_after_commit
    ),
    PlantedBug("offsets-first", "Offsets are committed before the events are handled.", _offsets_first),
    PlantedBug("tail-lost", "The last event of a large poll is dropped.", _tail_lost),
    PlantedBug("order-of-keys", "The events of one poll are handled in no order.", _order_of_keys),
    PlantedBug("delete-before-sending", "The relay deletes what it has not sent yet.", _delete_before_sending),
    PlantedBug("failures-taken-for-sent", "The relay takes a failed request for a sent one.", _failures_taken_for_sent),
    PlantedBug("newest-first", "The relay sends the newest events first.", _newest_first),
    PlantedBug(
        "deadlines-taken-apart", "Deadlines are taken in another transaction than their effect.", _deadlines_taken_apart
    ),
    PlantedBug("keys-not-claimed", "A repeated request is done again.", _keys_not_claimed),
)

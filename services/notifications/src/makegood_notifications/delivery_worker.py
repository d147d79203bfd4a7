"""Sends the queued messages of one channel. It leases them with the transaction that queues them, or later from the queue."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from makegood_chassis import tracing
from makegood_chassis.database import Database, UnitOfWork
from makegood_chassis.group_commit import GroupCommit
from makegood_chassis.made_good import made_good
from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.failures import is_transient, until_it_passes
from makegood_chassis.real_time import utc_now
from makegood_contracts.events import MessageDelivered, MessageFailed
from opentelemetry.trace import SpanKind

from makegood_notifications.channels import Carrier, InDoubt, Late, Refused, Trouble, Unreachable
from makegood_notifications.domain.deliveries import (
    ALWAYS,
    HELD_UP,
    ONLY_TAKE_BACK,
    VENUE_PATIENCE,
    caught_up,
    no_longer_true,
    retry_after,
)
from makegood_notifications.domain.notices import Notice
from makegood_notifications.metrics import CHANNEL_UNREACHABLE, DELIVERIES_IN_HAND, DELIVERY_DELAY, count_deliveries
from makegood_notifications.store import deliveries, withdrawals
from makegood_notifications.store.deliveries import Finished, LeasedDelivery, Postponed
from makegood_notifications.store.news import News

POLL: Final = 1.0
"""Seconds after which the queue is read even if nothing wakes the worker."""
LONGEST_PAUSE: Final = 5.0
"""Longest pause between two attempts to reach an unreachable channel, seconds: so soon people hear again after an outage (REL-9)."""
POLL_FOR_VENUE: Final = timedelta(seconds=2)
"""Pause before a message is retried that names a venue that is not known yet."""
MISSED: Final = "provider-missed"
"""The template of what a member is told whose provider has missed the session."""
AT_ONCE: Final = 256
"""Most deliveries that a worker has in hand at once."""
FOR_NEWS: Final = timedelta(seconds=0.5)
"""Pause before a delayed message is retried while later events are still being read."""
LINGER: Final = 0.03
"""How long a result waits at most for those of the other messages being sent, in seconds. They commit together."""
DRAIN: Final = 5.0
"""Seconds that running deliveries have to finish when the process stops."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of one attempt. `pause` is set if there will be another. `counts`: whether this one counts as an attempt."""

    delivery: LeasedDelivery
    status: str = "queued"
    reason: str | None = None
    pause: timedelta | None = None
    counts: bool = True
    at: datetime | None = None
    """When the channel accepted the message, in product time."""
    traceparent: str | None = None
    """The span in which the channel accepted the message."""

    @property
    def finished(self) -> Finished:
        """The delivery as it ended."""
        return Finished(
            self.delivery.id, self.delivery.attempts, self.status, self.reason, self.at, self.invited, self.told
        )

    @property
    def postponed(self) -> Postponed:
        """The delivery as it is queued again."""
        return Postponed(self.delivery.id, self.delivery.attempts, self.pause or timedelta(), self.counts)

    @property
    def invited(self) -> str | None:
        """The address at which the person now has the invitation."""
        sent_by_mail = self.status == "sent" and self.delivery.channel == "email"
        return self.delivery.email if sent_by_mail and self.delivery.notice.content.method == "REQUEST" else None

    @property
    def told(self) -> str | None:
        """For a CANCEL that is over: the address that was told that the appointment is off. Empty if none was: then the person's own
        address is told, too. None for anything else, and if the person was erased."""
        delivery = self.delivery
        cancels = (
            delivery.channel == "email" and delivery.notice.content.method == "CANCEL" and delivery.recipient is None
        )
        if not cancels or self.status == "queued" or self.reason == "erased":
            return None
        return delivery.email or "" if self.status in ("sent", "failed") else ""


class DeliveryWorker:
    """Sends what is queued, in order for each person and session, `at_once` at a time."""

    def __init__(
        self, database: Database, carrier: Carrier, news: News, *, give_up_after: timedelta, at_once: int = AT_ONCE
    ) -> None:
        self._database = database
        self.carrier = carrier
        self._channel = carrier.channel
        self._news = news
        self._give_up_after = give_up_after
        self._at_once = at_once
        self._woken = asyncio.Event()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._closed_until = 0.0
        self._knocks = 0
        self._finish: GroupCommit[AttemptResult, None] = GroupCommit(
            database, self._record, at_once=1, linger=self._linger
        )
        self._running = False
        self._unrecorded = 0
        """Results that wait for the database. Until they are recorded, nothing more is leased: it might be the same messages."""
        self._attempts = 0
        self._all_answered = asyncio.Event()
        CHANNEL_UNREACHABLE.labels(self._channel).set_function(lambda: time.monotonic() < self._closed_until)
        DELIVERIES_IN_HAND.labels(self._channel).set_function(lambda: len(self._in_hand))

    def wake(self) -> None:
        """Tells the worker that something was queued."""
        self._woken.set()

    def capacity(self) -> int:
        """How many more deliveries it can send now."""
        if not self._running or self._unrecorded or time.monotonic() < self._closed_until:
            return 0
        # If the channel was away, one delivery tries it first.
        return max(0, (self._at_once if not self._knocks else 1) - len(self._in_hand))

    def send_after_commit(self, unit: UnitOfWork, leased: Sequence[LeasedDelivery], queued: int) -> None:
        """Sends what was leased with the transaction that queued it: another transaction would take as long as the sending.
        `queued` is how many messages there were to lease."""
        if leased:
            read_until = datetime.min.replace(tzinfo=UTC)  # in the middle of reading
            unit.after_commit(lambda: self._start(leased, read_until))
        if len(leased) < queued:
            unit.after_commit(self.wake)

    async def run(self) -> None:
        """Sends until cancelled. Then it finishes what is being sent."""
        self._running = True
        itself = asyncio.current_task()
        assert itself is not None
        try:
            # asyncio.wait_for before Python 3.12 swallows a cancellation if its wait ends in that moment.
            while not itself.cancelling():
                self._woken.clear()
                try:
                    full = await self._take()
                except Exception as error:
                    if not is_transient(error):
                        raise
                    _log.warning("queue not readable", error=type(error).__name__)
                    full = False
                await self._rest(full)
        finally:
            self._running = False
            if self._in_hand:
                await asyncio.wait(self._in_hand, timeout=DRAIN)
            for task in self._in_hand:
                task.cancel()
            await self.carrier.close()

    async def _take(self) -> bool:
        """Leases what there is capacity for. Returns whether there may be more."""
        capacity = self.capacity()
        if not capacity:
            return time.monotonic() >= self._closed_until
        async with self._database.reading() as queries:
            if not await deliveries.any_due(queries, self._channel):
                return False
        read_until = await self._news.read_until()  # before the current state is read
        async with self._database.reading() as queries:
            leased = await deliveries.lease(queries, capacity, self._channel, self._database.clock.now())
        self._start(leased, read_until)
        return len(leased) == capacity

    def _start(self, leased: Sequence[LeasedDelivery], read_until: datetime) -> None:
        for delivery in leased:
            task = asyncio.create_task(self._deliver(delivery, read_until))
            self._in_hand.add(task)
            task.add_done_callback(self._done)

    async def _rest(self, full: bool) -> None:
        pause = max(POLL, self._closed_until - time.monotonic())
        if full and self._in_hand:
            await asyncio.wait(self._in_hand, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            return
        try:
            await asyncio.wait_for(self._woken.wait(), timeout=pause)
        except TimeoutError:
            return

    def _done(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("delivery not recorded", error=type(error).__name__)  # its lease ends, then it is leased again

    async def _deliver(self, delivery: LeasedDelivery, read_until: datetime) -> None:
        self._attempts += 1
        self._all_answered.clear()
        try:
            outcome = await self._attempt(delivery, read_until)
        finally:
            self._attempts -= 1
            if not self._attempts:
                self._all_answered.set()
        failpoints.reached("delivery.attempted")
        await self._keep(outcome)

    async def _keep(self, outcome: AttemptResult) -> None:
        """Records the result, if necessary when the database is back: the message would be sent again, or count as unknown."""
        waits = False

        def failed(error: BaseException, attempts: int) -> None:
            nonlocal waits
            if not waits:
                waits = True
                self._unrecorded += 1

        try:
            await until_it_passes(
                lambda: self._finish.submit(outcome), given_up=lambda: not self._running, failed=failed, longest=0.5
            )
        finally:
            self._unrecorded -= waits

    async def _linger(self) -> None:
        if self._attempts:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    await self._all_answered.wait()

    async def _attempt(self, delivery: LeasedDelivery, read_until: datetime) -> AttemptResult:
        """`read_until`: how far the topics had been read before the current state of what the message is about was
        read.
        """
        waited = utc_now() - delivery.notice.source.occurred_at
        if delivery.withdrawn is not None:
            return AttemptResult(delivery, "skipped", delivery.withdrawn)
        if hindrance := self.carrier.hindrance(delivery):
            return AttemptResult(delivery, *hindrance)
        # Messages that protect the account depend on no later events.
        needs_news = waited > HELD_UP and delivery.notice.template not in ALWAYS
        if needs_news and not self._news.suffices(read_until, delivery.id):
            return AttemptResult(delivery, pause=FOR_NEWS, counts=False)
        if (notice := caught_up(delivery.notice, delivery.state)) is not delivery.notice:
            delivery = replace(delivery, notice=notice)
        if no_longer_true(notice, delivery.state, self._database.clock.now()):
            return AttemptResult(delivery, "skipped", "no-longer-true")
        if notice.template in ONLY_TAKE_BACK and not delivery.invited:
            return AttemptResult(delivery, "skipped", "no-longer-true")
        if delivery.lacks_venue and utc_now() - delivery.written_at < VENUE_PATIENCE:
            return AttemptResult(delivery, pause=POLL_FOR_VENUE, counts=False)
        attributes = {"makegood.delivery_id": delivery.id, "makegood.template": notice.template}
        within: str | None = None
        try:
            with tracing.span(
                f"send {self._channel}", attributes, traceparent=notice.source.traceparent, kind=SpanKind.CLIENT
            ) as within:
                await self.carrier.send(delivery)
        except Unreachable as trouble:
            return self._unreachable(delivery, waited, str(trouble))
        except InDoubt as trouble:
            self._knock(str(trouble))
            return AttemptResult(delivery, "failed", "unknown")
        except Late:
            return AttemptResult(delivery, pause=timedelta(), counts=False)
        except Refused as trouble:
            _log.warning("message refused", channel=self._channel, delivery_id=delivery.id, answer=str(trouble))
            return AttemptResult(delivery, "failed", "refused")
        except Trouble as trouble:
            return self._put_off(delivery, waited, str(trouble))
        except Exception as error:
            _log.exception("message not composed", channel=self._channel, delivery_id=delivery.id, exc_info=type(error))
            return self._put_off(delivery, waited, type(error).__name__)
        self._knocks = 0
        self._measure(notice)
        return AttemptResult(delivery, "sent", at=self._database.clock.now(), traceparent=within)

    def _measure(self, notice: Notice) -> None:
        """Notes how long it took until the channel accepted the message."""
        since = notice.source.occurred_at
        DELIVERY_DELAY.labels(self._channel).observe(max(0.0, (utc_now() - since).total_seconds()))
        if notice.template == MISSED and notice.to == "member" and self._channel == "email":
            made_good("email", since)

    def _unreachable(self, delivery: LeasedDelivery, waited: timedelta, trouble: str) -> AttemptResult:
        """The channel cannot be reached. Everything waits, and no attempt counts, but no message waits forever."""
        self._knock(trouble)
        if waited > self._give_up_after:
            return self._given_up(delivery, trouble)
        return AttemptResult(
            delivery, pause=timedelta(seconds=max(self._closed_until - time.monotonic(), 0)), counts=False
        )

    def _knock(self, trouble: str) -> None:
        """The channel did not answer. Nothing is sent for a while, then one message tries it."""
        if time.monotonic() >= self._closed_until:
            self._knocks += 1
            pause = min(2.0 ** (self._knocks - 1), LONGEST_PAUSE)
            self._closed_until = time.monotonic() + pause
            _log.warning("channel unreachable", channel=self._channel, trouble=trouble, pause_seconds=pause)

    def _put_off(self, delivery: LeasedDelivery, waited: timedelta, trouble: str) -> AttemptResult:
        if waited > self._give_up_after:
            return self._given_up(delivery, trouble)
        _log.info(
            "message put off",
            channel=self._channel,
            delivery_id=delivery.id,
            trouble=trouble,
            attempts=delivery.attempts,
        )
        return AttemptResult(delivery, pause=retry_after(delivery.attempts) * random.uniform(0.9, 1.1))

    def _given_up(self, delivery: LeasedDelivery, trouble: str) -> AttemptResult:
        _log.warning("message given up", channel=self._channel, delivery_id=delivery.id, trouble=trouble)
        return AttemptResult(delivery, "failed", "unreachable")

    async def _record(self, outcomes: Sequence[AttemptResult], unit: UnitOfWork) -> Sequence[None]:
        """Records many results in one transaction: rows and events."""
        done = [one for one in outcomes if one.status != "queued"]
        later = [one for one in outcomes if one.status == "queued"]
        if later:
            await deliveries.postpone(unit, [one.postponed for one in later])
        if done:
            ended = await deliveries.finish(unit, [one.finished for one in done])
            cancels = [(one.delivery.id, one.told or "") for one in done if one.delivery.id in ended.invited_elsewhere]
            if (cancels and await withdrawals.follow(unit, cancels)) or ended.waited_for:
                unit.after_commit(self.wake)
            counts = Counter(one.status for one in done if one.delivery.id in ended.ids)
            unit.after_commit(lambda: count_deliveries(self._channel, counts))
            for one in done:
                if one.delivery.id in ended.ids:
                    self._publish(one, unit)
        return [None] * len(outcomes)

    def _publish(self, outcome: AttemptResult, unit: UnitOfWork) -> None:
        """Publishes MessageDelivered or MessageFailed, and nothing for a message that was left out."""
        delivery = outcome.delivery
        notice = delivery.notice
        if outcome.status == "sent":
            delivered = MessageDelivered(
                delivery_id=delivery.id,
                person_id=delivery.person_id,
                channel=self._channel,
                template=notice.template,
                session_id=notice.content.session_id,
                delivered_at=outcome.at or unit.now,
            )
            unit.publish(delivered, sequence=1, cause=replace(notice.source.cause, traceparent=outcome.traceparent))
        elif outcome.status == "failed":
            failed = MessageFailed(
                delivery_id=delivery.id,
                person_id=delivery.person_id,
                channel=self._channel,
                template=notice.template,
                session_id=notice.content.session_id,
                failure="refused" if outcome.reason == "refused" else "unreachable",
            )
            unit.publish(failed, sequence=1, cause=notice.source.cause)

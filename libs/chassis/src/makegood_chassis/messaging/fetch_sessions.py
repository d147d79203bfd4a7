"""Fetch sessions (KIP-227): the broker remembers what a consumer reads, so a fetch names only what has changed since the last one.

aiokafka has none. Each of its fetches names every partition, and so does each answer. With a hundred partitions, that took a third of
the processor time of reading an event. So this stands between its fetcher and its client, and shortens requests to the broker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from aiokafka.errors import FetchSessionIdNotFound, InvalidFetchSessionEpoch, NoError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

_SINCE: Final = 7
"""The first version of the fetch request that has sessions."""
_LAST_EPOCH: Final = 2**31 - 1

Wanted = dict[tuple[str, int], tuple[int, int]]
"""From which offset each partition is read, and how many bytes at most."""


class FetchSessions:
    """The sessions of one consumer, one for each broker. `install` before the consumer starts."""

    def __init__(self, send: Callable[..., Any], assignment: Callable[[], Any]) -> None:
        self._send = send
        self._assignment = assignment
        self._known: Any = None
        self._sessions: dict[int, _Session] = {}

    @classmethod
    def install(cls, kafka: Any) -> None:
        """Has an AIOKafkaConsumer fetch in sessions."""
        client, subscription = kafka._client, kafka._subscription
        client.send = cls(client.send, lambda: subscription.subscription.assignment).send

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """As `AIOKafkaClient.send`. Raises KafkaError, as that does, also if the whole answer is an error."""
        if not isinstance(request, FetchRequest):
            return await self._send(node_id, request, **options)
        assignment = self._assignment()
        if assignment is not self._known:
            # The new assignment knows nothing of what an old session has told already, such as where the partitions end.
            self._known = assignment
            for session in self._sessions.values():
                session.begin_again()
        session = self._sessions.setdefault(node_id, _Session())
        try:
            response = await self._send(node_id, session.next(request), **options)
        except BaseException:  # whether the broker has seen it is not known
            session.begin_again()
            raise
        if session.follow(response):
            _note_polled(assignment, session.wanted.keys() - _named(response.topics))
        return response


def _note_polled(assignment: Any, silent: Iterable[tuple[str, int]]) -> None:
    """Of these partitions the broker said nothing: there is nothing new, which is news for those who ask until when they were read."""
    now_ms = int(1000 * time.time())
    for topic, partition in silent:
        assignment.state_value(TopicPartition(topic, partition)).timestamp = now_ms


def _named(topics: Iterable[tuple[str, Iterable[tuple[int, ...]]]]) -> set[tuple[str, int]]:
    return {(topic, partition[0]) for topic, partitions in topics for partition in partitions}


class _Session:
    """What one broker remembers of this consumer. With epoch 0, it forgets that and begins anew."""

    def __init__(self) -> None:
        self.id = 0
        self.epoch = 0
        self.wanted: Wanted = {}
        self.before: Wanted = {}

    def begin_again(self) -> None:
        self.epoch, self.wanted = 0, {}

    def next(self, request: Any) -> _SessionFetch:
        self.before, self.wanted = self.wanted, {
            (topic, partition): (offset, most)
            for topic, partitions in request.topics
            for partition, offset, most in partitions
        }  # fmt: skip
        return _SessionFetch(request, self)

    def follow(self, response: Any) -> bool:
        """Whether the answer says by silence that a partition has nothing new. Raises KafkaError if all of it is an error."""
        if response.API_VERSION < _SINCE:
            return False
        error = for_code(response.error_code)
        if error is not NoError:
            self.begin_again()
            if error not in (FetchSessionIdNotFound, InvalidFetchSessionEpoch):
                raise error
            return False
        incremental = self.epoch > 0
        self.id = response.session_id
        # A broker with too many sessions gives none: id 0.
        self.epoch = 0 if not self.id else self.epoch % _LAST_EPOCH + 1
        return incremental and not response.throttle_time_ms  # a throttled answer is empty, whatever there is


class _SessionFetch(FetchRequest):  # type: ignore[misc]
    """A fetch that names what is new to the session, in the version of the request that the broker speaks."""

    def __init__(self, whole: Any, session: _Session) -> None:
        self.__dict__.update(whole.__dict__)
        self._session = session

    def build(self, request_struct_class: Any) -> Any:
        if request_struct_class.API_VERSION < _SINCE:
            return super().build(request_struct_class)
        session, before = self._session, self._session.before
        if session.epoch:
            self._topics: list[Any] = [(topic, news) for topic, partitions in self._topics if (news := [
                one for one in partitions if before.get((topic, one[0])) != one[1:]
            ])]  # fmt: skip
        request = super().build(request_struct_class)
        request.session_id, request.session_epoch = session.id, session.epoch
        if session.epoch:
            request.forgotten_topics_data = [
                (topic, [partition]) for topic, partition in before.keys() - session.wanted.keys()
            ]
        return request

"""Wake-ups of waiting requests and streams, in this process and, through Redis, in the others. They may be lost.
Waiting requests also check by themselves from time to time, so that everything works without Redis, only slower.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Generic, TypeVar

import msgspec
import structlog
from makegood_contracts.ids import new_id

from makegood_chassis import metrics, real_time
from makegood_chassis.ending import end
from makegood_chassis.lean_imports import without

with without("opentelemetry.sdk"):  # for metrics of its own
    from redis.asyncio import Redis, SSLConnection
    from redis.exceptions import RedisError

T = TypeVar("T")

_BUFFER: Final = 256
_LONGEST_LOOK: Final = 2.0
_OFTEN: Final = 0.5
_MOST_KEYS: Final = 500
_PATIENCE: Final = 0.5
"""Seconds to wait for an answer of Redis."""
_QUIET: Final = 5.0
"""Seconds without any signal after which Redis is asked whether it is still there, and that its answer may take."""
_LOST: Final = (RedisError, OSError, TimeoutError, RuntimeError)
"""What a command raises if Redis is away. RuntimeError: uvloop raises it for a connection that was lost in this moment."""
_log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[str, list[str]]).decode


class Waiter(Generic[T]):
    """Waits for one key's signal."""

    def __init__(self, ending: Callable[[], bool], every: float) -> None:
        self._every = every
        self._woken = asyncio.Event()
        self._values: list[T] = []
        self._ending = ending

    def wake(self, value: T | None) -> None:
        if value is not None:
            self._values.append(value)
        self._woken.set()

    async def result(
        self, timeout: float, look: Callable[[], Awaitable[T | None]], *, every: float | None = None
    ) -> T | None:
        """The value signalled in this process, or what `look()` returns after a signal from another process or after
        `every` seconds (by default rarely while Redis is connected, and often while it is not). None after `timeout`
        seconds, or if the process stops. `look` returns None as long as there is no outcome. It is called less and less
        often.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        every = every or self._every
        while True:
            left = end - loop.time()
            if not self._woken.is_set() and left > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(every, left)):
                        await self._woken.wait()
            if self._values:
                return self._values[-1]
            self._woken.clear()
            found = await look()
            if found is not None:
                return found
            if loop.time() >= end or self._ending():
                return None
            every = min(every * 1.5, _LONGEST_LOOK)


class _Stream:
    """A listener's own buffer."""

    def __init__(self) -> None:
        self.values: deque[Any] = deque(maxlen=_BUFFER)
        self.woken = asyncio.Event()

    def wake(self, value: Any) -> None:
        self.values.append(value)
        self.woken.set()


class _EncryptedConnection(SSLConnection):
    """Reads the file of authorities at each connection: redis-py keeps what it read at the first one."""

    def _connection_arguments(self) -> Mapping[str, Any]:
        self.ssl_context.context = None
        return super()._connection_arguments()


class Signals:
    """Signals by key. `service` separates the services' keys in a shared Redis."""

    def __init__(self, redis_url: str, service: str, *, ca_file: str = "") -> None:
        self._url = redis_url
        # The server's name is always checked (redis-py's default).
        self._authorities: dict[str, Any] = (
            {"ssl_ca_certs": ca_file} if ca_file and redis_url.startswith("rediss://") else {}
        )
        self._channel = f"makegood:{service}:signals"
        self._self = new_id()
        self._listeners: dict[str, set[Waiter[Any] | _Stream]] = {}
        self._unsent: dict[str, None] = {}
        self._have_unsent = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._redis: Redis | None = None
        self._ending = False
        self.connected = False
        """Whether signals reach other processes and come from them. For operators only."""

    async def open(self) -> None:
        """Subscribes. A Redis that cannot be reached is not an error, now or later."""
        if not self._url:
            return
        self._redis = Redis.from_url(
            self._url,
            socket_connect_timeout=2,
            socket_timeout=2,
            socket_keepalive=True,
            retry=None,
            **self._authorities,
        )
        if self._authorities:
            self._redis.connection_pool.connection_class = _EncryptedConnection
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._publish())]

    async def close(self) -> None:
        self.end_waits()
        tasks, self._tasks = self._tasks, []
        await end(tasks)
        if self._redis is not None:
            redis, self._redis = self._redis, None
            with suppress(*_LOST):
                await redis.aclose()

    def end_waits(self) -> None:
        """Ends all waits, because the process is stopping. Each checks once more and gets what there is."""
        self._ending = True
        for listeners in list(self._listeners.values()):
            for listener in list(listeners):
                listener.wake(None)

    def send(self, values: Mapping[str, Any]) -> None:
        """Wakes everything that waits for these keys, here with the value, in other processes without. Never blocks or
        raises.
        """
        elsewhere = [key for key, value in values.items() if not self._wake(key, value)]
        if self._url and elsewhere:
            if len(self._unsent) > _BUFFER * _MOST_KEYS:
                metrics.SIGNALS_LOST.inc(len(elsewhere))
                return
            self._unsent.update(dict.fromkeys(elsewhere))
            self._have_unsent.set()

    def _wake(self, key: str, value: Any) -> bool:
        """Wakes listeners. Returns whether one was a request, which waits in one process only, unlike streams."""
        found = False
        for listener in tuple(self._listeners.get(key, ())):
            listener.wake(value)
            found = found or isinstance(listener, Waiter)
        return found

    def is_awaited(self, key: str) -> bool:
        """Whether anybody in this process listens to the key, for a wait or a stream."""
        return key in self._listeners

    def _add(self, key: str, listener: Waiter[Any] | _Stream) -> None:
        self._listeners.setdefault(key, set()).add(listener)

    def _remove(self, key: str, listener: Waiter[Any] | _Stream) -> None:
        listeners = self._listeners[key]
        listeners.discard(listener)
        if not listeners:
            del self._listeners[key]

    @asynccontextmanager
    async def waiting(self, key: str) -> AsyncIterator[Waiter[Any]]:
        """Registers a waiter before the change is made, so that no signal between change and wait is missed."""
        waiter: Waiter[Any] = Waiter(lambda: self._ending, _LONGEST_LOOK if self.connected else _OFTEN)
        self._add(key, waiter)
        try:
            yield waiter
        finally:
            self._remove(key, waiter)

    async def listen(self, key: str) -> AsyncIterator[Any]:
        """An endless stream of signals for one key (server-sent events). Its buffer is limited and drops the oldest. A
        signal from another process is just the key. None: some may have been lost. Ends when the process stops.
        """
        stream = _Stream()
        self._add(key, stream)
        try:
            while not self._ending:
                await stream.woken.wait()
                stream.woken.clear()
                while stream.values:
                    yield stream.values.popleft()
        finally:
            self._remove(key, stream)

    async def enlist(self, key: str, name: str, *, most: int, seconds: float) -> Sequence[str]:
        """Adds a name to those that all processes share under a key, each for at most `seconds`. Removes and returns
        those beyond the newest `most`, oldest first. Returns none while Redis cannot be reached, because each process
        then knows only its own.
        """
        if self._redis is None or not self.connected:
            return ()
        listed, now = f"{self._channel}:{key}", real_time.now()
        try:
            async with asyncio.timeout(_PATIENCE), self._redis.pipeline() as pipeline:
                pipeline.zadd(listed, {name: now})
                pipeline.zremrangebyscore(listed, "-inf", now - seconds)
                pipeline.zrange(listed, 0, -most - 1)
                pipeline.zremrangebyrank(listed, 0, -most - 1)
                pipeline.expire(listed, int(seconds))
                surplus = (await pipeline.execute())[2]
        except _LOST:
            return ()
        return [found.decode() for found in surplus]

    def delist(self, key: str, name: str) -> None:
        """Removes a name again, without waiting for it."""
        if self._redis is not None and self.connected:
            task = asyncio.create_task(self._delist(f"{self._channel}:{key}", name))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _delist(self, listed: str, name: str) -> None:
        redis = self._redis
        if redis is not None:
            with suppress(*_LOST):
                await redis.zrem(listed, name)

    async def _publish(self) -> None:
        """Publishes one message at a time, with all keys that were collected in the meantime."""
        assert self._redis is not None
        while True:
            await self._have_unsent.wait()
            keys = list(self._unsent)[:_MOST_KEYS]
            for key in keys:
                del self._unsent[key]
            if not self._unsent:
                self._have_unsent.clear()
            try:
                await self._redis.publish(self._channel, _encode((self._self, keys)))
            except _LOST:
                metrics.SIGNALS_LOST.inc(len(keys) + len(self._unsent))
                self._unsent.clear()
                self._have_unsent.clear()
                await asyncio.sleep(0.5)

    async def _receive(self) -> None:
        assert self._redis is not None
        pause = 0.1
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    self.connected, pause = True, 0.1
                    # Signals that were missed in the meantime are found by checking.
                    self._wake_all()
                    asked = False
                    while True:
                        message = await subscription.get_message(timeout=_QUIET)
                        if message is None and asked:
                            raise TimeoutError
                        asked = message is None
                        if message is None:
                            await subscription.ping()
                        elif message["type"] == "message":
                            self._received(message["data"])
            except _LOST as error:
                if self.connected:
                    _log.warning("signals from other processes are lost", error=type(error).__name__)
                self.connected = False
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    def _wake_all(self) -> None:
        for key in list(self._listeners):
            self._wake(key, None)

    def _received(self, data: bytes) -> None:
        try:
            sender, keys = _decode(data)
        except msgspec.MsgspecError:
            return
        if sender != self._self:
            for key in keys:
                for listener in tuple(self._listeners.get(key, ())):
                    listener.wake(None if isinstance(listener, Waiter) else key)

"""Limits how much of a process one person may use, so that everyone else is still served (SEC-8). There are three
limits per person, each also with a total:

- **Places.** A few requests of one person are handled at the same time. Further ones wait in a queue, and if that is
full they are answered 429. Expensive operations have a separate, shorter queue. - **Waits.** A request that waits for
its outcome (`Prefer: wait`) does no work while it waits, so it takes another kind of place. If none is left, the
preference is not applied: the change is made and answered 202. - **Work.** The cost of a person's requests is measured
in seconds of the process's event loop, and has a budget. It covers everything expensive, known or not. All limits are
kept in the process, because they protect its event loop.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from makegood_chassis import metrics
from makegood_chassis.http.problems import Problem

if TYPE_CHECKING:
    from makegood_chassis.settings import ServiceSettings

T = TypeVar("T")

PERSON_LINE: Final = 200
"""Maximum number of queued requests of one person. The gateway lets a person send 100 at once."""
EXPENSIVE_LINE: Final = 20
"""Maximum number of queued expensive requests of one person."""
TOTAL_LINE: Final = 200
"""Maximum number of queued requests in total."""
_PEOPLE: Final = 10_000
"""The number of people whose budgets are remembered."""


class _Full(Exception):
    """There is no free place, and too many requests wait for one."""


class _Line:
    """A number of places, and the requests that wait for one, in order."""

    __slots__ = ("_free", "_longest", "_waiting", "places")

    def __init__(self, places: int, longest: int) -> None:
        self.places = self._free = places
        self._longest = longest
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def idle(self) -> bool:
        return self._free == self.places

    def take(self) -> bool:
        """Takes a place, if one is free."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Takes the next place that becomes free, in turn. Raises _Full."""
        if len(self._waiting) >= self._longest:
            raise _Full
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Gives the place to the next in the queue."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Places:
    """Places for requests: `each` for one person, `total` for all. A request that finds none waits in the queue, and is
    refused if that is full.
    """

    def __init__(self, name: str, *, each: int, line: int, total: int) -> None:
        self._name = name
        self._each = each
        self._line = line
        self._everybody = _Line(total, TOTAL_LINE)
        self._people: dict[str, _Line] = {}

    async def enter(self, person: str | None) -> bool:
        """Takes a place. Without a person, only one of the total. Returns whether it had to wait. Raises 429
        `rate-limited` or 503 `unavailable`.
        """
        waited = person is not None and await self._enter_own(person)
        if self._everybody.take():
            return waited
        try:
            await self._everybody.wait()
        except BaseException as error:
            self._leave_own(person)
            if isinstance(error, _Full):
                raise _too_many(self._name) from None
            raise
        return True

    def leave(self, person: str | None) -> None:
        self._everybody.leave()
        self._leave_own(person)

    async def _enter_own(self, person: str) -> bool:
        own = self._people.get(person)
        if own is None:
            own = self._people[person] = _Line(self._each, self._line)
        if own.take():
            return False
        try:
            await own.wait()
        except _Full:
            raise _too_much(
                self._name, "You have too many requests under way; wait for some of them to be answered.", 1
            ) from None
        return True

    def _leave_own(self, person: str | None) -> None:
        if person is not None:
            own = self._people[person]
            own.leave()
            if own.idle:
                del self._people[person]


class Counted:
    """Places without a queue: a request that finds none goes without."""

    def __init__(self, *, each: int, total: int) -> None:
        self._each = each
        self._free = total
        self._people: dict[str, int] = {}

    def enter(self, person: str) -> bool:
        """Whether there was a place."""
        taken = self._people.get(person, 0)
        if not self._free or taken >= self._each:
            return False
        self._free -= 1
        self._people[person] = taken + 1
        return True

    def leave(self, person: str) -> None:
        self._free += 1
        if self._people[person] == 1:
            del self._people[person]
        else:
            self._people[person] -= 1


class WorkBudget:
    """Seconds of work for each person: `share` of every second, and `burst` at once. The use is known only afterwards,
    so a budget can be overdrawn. Then nothing more is done for that person until it is positive again.
    """

    def __init__(self, share: float, burst: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._burst = burst
        self._now = now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, person: str) -> None:
        """Raises 429 `rate-limited` with `Retry-After` while the person's budget is used up."""
        left = self.left(person)
        if left <= 0:
            raise _too_much(
                "work",
                "Your recent requests took more processing time than one person may use. Try again later.",
                math.ceil((self._share / 10 - left) / self._share),
            )

    def left(self, person: str) -> float:
        """Seconds of work that the person has left."""
        left, at = self._left.get(person, (self._burst, 0.0))
        return min(self._burst, left + (self._now() - at) * self._share)

    def until_half(self, person: str) -> float:
        """Seconds until half of the person's budget is available."""
        return max(0.0, (self._burst / 2 - self.left(person)) / self._share)

    def charge(self, person: str, seconds: float) -> None:
        self._left[person] = self.left(person) - seconds, self._now()
        self._left.move_to_end(person)
        if len(self._left) > _PEOPLE:
            self._left.popitem(last=False)


class Limits:
    """The limits of one process."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.ordinary = Places(
            "requests", each=settings.person_requests, line=PERSON_LINE, total=settings.requests_at_once
        )
        self.expensive = Places(
            "expensive requests",
            each=settings.person_expensive_requests,
            line=EXPENSIVE_LINE,
            total=settings.expensive_requests_at_once,
        )
        self.waits = Counted(each=settings.person_waits, total=settings.waits_at_once)
        self.work = WorkBudget(settings.person_work, settings.person_work_burst)


class Stay:
    """One request's place, from its admission until it is completely over."""

    __slots__ = ("_limits", "_places", "_waiting", "person", "spent")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._places: Places | None = None
        self._waiting = False
        self.person: str | None = None
        self.spent = 0.0

    async def enter(self, person: str | None, *, expensive: bool) -> None:
        """Raises 429 `rate-limited` if the person asks for too much, and 503 `unavailable` if all people together do."""
        self.person = person
        if person is not None:
            self._limits.work.check(person)
        places = self._limits.expensive if expensive else self._limits.ordinary
        waited = await places.enter(person)
        self._places = places
        if waited and person is not None:
            self._limits.work.check(person)  # again, because the requests before it in the queue were work too

    def may_wait(self) -> bool:
        """Whether the request may wait for its outcome. If so, it gives its place to another one."""
        if self.person is None or self._places is None or not self._limits.waits.enter(self.person):
            return False
        self._waiting = True
        self._leave_place()
        return True

    def leave(self) -> None:
        """Ends the request: releases its places, and charges what it cost."""
        if self._waiting:
            assert self.person is not None
            self._limits.waits.leave(self.person)
            self._waiting = False
        self._leave_place()
        self._account()

    def _leave_place(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.leave(self.person)

    async def paced(self, chunks: AsyncIterable[Any]) -> AsyncIterator[Any]:
        """A long answer in many pieces, as fast as the person's budget allows. Half of the budget is left for other
        requests.
        """
        following = aiter(chunks)
        while True:
            try:
                chunk: Any = await self.measured(anext(following))  # type: ignore[arg-type]
            except StopAsyncIteration:
                return
            yield chunk
            self._account()
            await asyncio.sleep(0.0 if self.person is None else self._limits.work.until_half(self.person))

    def _account(self) -> None:
        """Charges what was spent so far."""
        if self.person is not None:
            spent, self.spent = self.spent, 0.0
            self._limits.work.charge(self.person, spent)

    @coroutine
    def measured(self, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Awaits `work` and adds up the processor time between its waits."""
        failure: BaseException | None = None
        while True:
            begun = time.thread_time()
            try:
                waited_for = work.send(None) if failure is None else work.throw(failure)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            finally:
                failure = None
                self.spent += time.thread_time() - begun
            try:
                yield waited_for
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:
                failure = error


def _too_much(what: str, detail: str, seconds: int) -> Problem:
    metrics.REQUESTS_REFUSED.labels("person", what).inc()
    return Problem("rate-limited", detail, headers={"Retry-After": str(max(1, seconds))})


def _too_many(what: str) -> Problem:
    metrics.REQUESTS_REFUSED.labels("total", what).inc()
    return Problem("unavailable", f"There are too many {what} at the moment. Try again.", headers={"Retry-After": "1"})

"""What the chassis knows about a request while it is handled."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request
from makegood_contracts.envelope import Cause, new_traceparent
from makegood_contracts.ids import new_id

if TYPE_CHECKING:
    from makegood_chassis.access.request import Accesses
    from makegood_chassis.auth import Caller
    from makegood_chassis.http.limits import Stay
    from makegood_chassis.http.problems import Problem

SCOPE_KEY = "makegood"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True, eq=False)
class RequestContext:
    """One request. `deadline` is in the time of the event loop's clock."""

    request_id: str
    sent_traceparent: str | None
    deadline: float
    caller: Caller | None = None
    timeout: asyncio.Timeout | None = None
    refusal: Problem | None = None
    """Why it was ended early: its token is no longer valid."""
    stay: Stay | None = None
    accesses: Accesses | None = None
    """The accesses to people's data that it makes or is refused. Set once its operation is known."""
    at_end: Callable[[], None] | None = None
    """Called when the request is completely over, including a streamed answer."""
    _traceparent: str | None = None

    @property
    def traceparent(self) -> str:
        """The W3C trace parent of the request, or a new trace if it has none or an invalid one. Most reads need none."""
        if self._traceparent is None:
            sent = self.sent_traceparent
            self._traceparent = sent if sent and _TRACEPARENT.fullmatch(sent) else new_traceparent()
        return self._traceparent

    def belongs_to(self, traceparent: str | None) -> None:
        """What the request leads to belongs to this span."""
        self._traceparent = traceparent

    @property
    def cause(self) -> Cause:
        """The request as the cause of what follows from it."""
        return Cause(self.request_id, self.request_id, self.traceparent)

    def refuse(self, refusal: Problem) -> None:
        """Ends the request now: with this problem if the answer has not started, otherwise by ending the stream."""
        self.refusal = refusal
        if self.timeout is not None and not self.timeout.expired():
            self.timeout.reschedule(asyncio.get_running_loop().time())

    def break_off(self) -> None:
        """Cuts off an answer that has started but does not finish, for example because the client does not read it."""
        if self.timeout is not None and not self.timeout.expired():
            self.timeout.reschedule(asyncio.get_running_loop().time())

    def remaining(self) -> float:
        """Seconds until the request's deadline, never below 0."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


def request_id(sent: str | None) -> str:
    """The id sent by the gateway, or a new one if there is none or an invalid one."""
    return sent if sent and _REQUEST_ID.fullmatch(sent) else new_id()


def context(request: Request) -> RequestContext:
    """The request's context, for dependencies and routes."""
    found: Any = request.scope[SCOPE_KEY]
    return found  # type: ignore[no-any-return]


async def dependencies_of(request: Request) -> Any:
    """For `Depends`: the service's own `Dependencies`. (FastAPI would run a plain function in a thread.)"""
    return request.app.state.service.dependencies

"""Changes over HTTP: idempotency keys kept in the effect's transaction, If-Match, Prefer: wait, and the answer's shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from fastapi import Request, Response
from makegood_contracts.envelope import Cause
from pydantic import BaseModel

from makegood_chassis.database import UnitOfWork


@dataclass(frozen=True, slots=True)
class Claim:
    """An idempotency key as the request sent it, with the fingerprint of method, path and body."""

    caller: str
    key: str
    fingerprint: bytes


class Replay(Exception):
    """The change was made before; carries the first answer. Answered with `Idempotent-Replayed: true`."""

    def __init__(self, response: Response) -> None:
        self.response = response


async def claim_many(
    claims: Sequence[Claim | None], resources: Sequence[str], unit: UnitOfWork
) -> Sequence[Exception | None]:
    """Claims keys in `unit` with one statement, for batches. Per claim: None where the key is new (or None was passed), else
    what to raise: Replay, `idempotency-key-reused`, or `idempotency-in-flight`. A key whose first request died unanswered
    longer ago than the request deadline is answered by reading `resource` anew."""
    raise NotImplementedError


class Change:
    """One change: from FastAPI, `change: Annotated[Change, Depends(changes())]`."""

    @property
    def claim(self) -> Claim | None:
        """None where the caller sent no key."""
        raise NotImplementedError

    @property
    def cause(self) -> Cause:
        """The request as the cause of the events it leads to (request id, traceparent)."""
        raise NotImplementedError

    @property
    def wait(self) -> float:
        """Seconds the caller wants to wait (`Prefer: wait=N`), cut to the request's deadline; 0 without."""
        raise NotImplementedError

    def expect_version(self, version: int, *, required: bool = False) -> None:
        """Checks `If-Match` against the entity's version: 412 `version-mismatch`; 428 `version-required` if it must be sent."""
        raise NotImplementedError

    @asynccontextmanager
    async def unit(self, *, resource: str | None = None) -> AsyncIterator[UnitOfWork]:
        """A transaction that claims the key first and stores the answer given by `answer` with the effect.

        Raises Replay or the idempotency problems. Where the answer comes later (`Prefer: wait`), pass `resource`, the path
        that tells the outcome, and call `complete` when it is known.
        """
        raise NotImplementedError
        yield

    def answer(
        self,
        status: int,
        content: BaseModel | msgspec.Struct | None = None,
        *,
        version: int | None = None,
        location: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """The response (ETag from `version`), remembered as the first answer for the key."""
        raise NotImplementedError

    async def complete(self, response: Response) -> Response:
        """Stores the answer of a change whose unit was committed before the outcome was known."""
        raise NotImplementedError


def changes(*, key_required: bool = False) -> Callable[[Request], Awaitable[Change]]:
    """FastAPI dependency. `key_required`: without `Idempotency-Key` the answer is 400 `idempotency-key-required`."""
    raise NotImplementedError

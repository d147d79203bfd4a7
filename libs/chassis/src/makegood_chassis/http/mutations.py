"""Changes over HTTP: idempotency keys kept in the effect's transaction, If-Match, Prefer: wait, and the answer's shape.

A route whose outcome is known at once:

    async with mutation.unit() as unit:
        ...
        return mutation.answer(200, view, version=session.version)

One whose outcome arrives on topics: `unit(resource=path)`, wait up to `mutation.wait` seconds, then
`return await mutation.complete(mutation.answer(...))`. Many concurrent ones in one transaction: `claim_many` with each
`mutation.claim` inside the group's `apply`, then `complete` likewise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final, Literal

import structlog
from fastapi import Depends, Request, Response
from makegood_contracts.envelope import Cause

from makegood_chassis.database import UnitOfWork
from makegood_chassis.group_commit import GroupCommit
from makegood_chassis.http import answers, preconditions
from makegood_chassis.http.bodies import BodyRequest
from makegood_chassis.http.context import RequestContext, context
from makegood_chassis.http.idempotency import (
    REPLAYED,
    KeyClaim,
    Replay,
    claim_many,
    fingerprint,
    opened,
    read_key,
    release_many,
    store_many,
    store_sealed,
)
from makegood_chassis.http.problems import Problem
from makegood_chassis.http.rights import Caller, authenticate
from makegood_chassis.messaging.failures import is_transient

if TYPE_CHECKING:
    from makegood_chassis.service import Service

__all__ = [
    "KeyClaim",
    "KeyedMutation",
    "Mutation",
    "MutationDependency",
    "MutationOf",
    "Replay",
    "UnversionedMutation",
    "claim_many",
    "mutation",
    "release_many",
    "store_many",
]

MARGIN: Final = 0.5
"""Seconds before the request's deadline at which a wait ends, so that the 202 is still sent in time."""

IfMatch = Literal["honoured", "required", "none"]
"""What a change does with `If-Match`. `honoured`: compares it if it is sent. `required`: it must be sent. `none`: the
change is refused if it is sent, because nothing exists yet that could match.
"""

_log = structlog.get_logger(__name__)

Completions = GroupCommit[tuple[KeyClaim, Response], None]


def completions(service: Service) -> Completions:
    """Stores the answers of changes whose outcome came after their commit, those of many requests in one transaction."""

    async def apply(answered: Sequence[tuple[KeyClaim, Response]], unit: UnitOfWork) -> Sequence[None]:
        store_many(answered, unit)
        return [None] * len(answered)

    return GroupCommit(service.database, apply, at_once=1, name="answers")


class Mutation:
    """One change. An endpoint gets it with `mutation: MutationOf`, or `Annotated[Mutation, Depends(mutation(…))]`."""

    def __init__(
        self,
        request: BodyRequest,
        key: str | None,
        if_match: Sequence[str],
        prefer: Sequence[str],
        *,
        version_required: bool = False,
    ) -> None:
        self._state = request.scope["app"].state
        self._context: RequestContext = context(request)
        self._request = request
        self._key = key
        self._made_claim: KeyClaim | None = None
        self._if_match = if_match
        self._version_required = version_required
        self._compared = not if_match
        asked = preconditions.wait_seconds(prefer)
        stay = self._context.stay
        if asked and stay is not None and not stay.may_wait():
            asked = 0  # too many already wait, so the preference is not applied, and the outcome is at `Location`
        self._granted = max(0, min(asked, int(self._context.remaining() - MARGIN))) if asked else 0
        self._answer: Response | None = None
        self.repeated = False
        """Inside a `secret` unit: whether the change was already made with this key, so that only its answer must be
        made again.
        """
        self._personal_of: str | None = None

    @property
    def claim(self) -> KeyClaim | None:
        """None if the caller sent no key. It is made at its first use, when the body has been validated."""
        if self._key is None:
            return None
        if self._made_claim is None:
            request, scope, caller = self._request, self._request.scope, self._context.caller
            assert caller is not None
            target = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
            patience: float = self._state.service.settings.request_deadline + MARGIN
            made = fingerprint(scope["method"], target, request.content, request.parsed)
            self._made_claim = KeyClaim(caller.subject, self._key, made, patience)
        return self._made_claim

    @property
    def caller(self) -> Caller:
        """Who requests the change."""
        caller = self._context.caller
        assert caller is not None
        return caller

    @property
    def now(self) -> datetime:
        """The product's present moment."""
        service: Service = self._state.service
        return service.clock.now()

    @property
    def cause(self) -> Cause:
        """The request as the cause of the events it leads to (request id, traceparent)."""
        return self._context.cause

    @property
    def wait(self) -> float:
        """Seconds that the caller wants to wait (`Prefer: wait=N`), limited by the request's deadline. Default: 0."""
        return 0.0 if not self._granted else max(0.0, min(float(self._granted), self._context.remaining() - MARGIN))

    def expect_version(self, version: int) -> None:
        """Checks `If-Match` against the entity's version: 412 `version-mismatch`; 428 `version-required` if it must be sent."""
        self._compared = True
        if self.repeated:
            return  # it was compared when the change was made, which has raised the version since
        preconditions.check_version(self._if_match, version, required=self._version_required)

    @asynccontextmanager
    async def unit(self, *, resource: str | None = None, secret: bool = False) -> AsyncIterator[UnitOfWork]:
        """A transaction that claims the key first and stores the answer given by `answer` with the effect.

        Raises Replay or the idempotency problems. If the answer comes later (`Prefer: wait`), pass `resource`, the path
        at which the outcome can be read, and call `complete` when it is known. An exception inside rolls back and frees
        the key. `secret`: only the status of the answer is stored. A repeat also enters the block, with `repeated`: it
        must change nothing, and make its answer again.
        """
        service: Service = self._state.service
        async with service.database.transaction(self.cause) as unit:
            if self.claim is not None:
                (refusal,) = await claim_many([self.claim], [resource], unit)
                self.repeated = secret and isinstance(refusal, Replay)
                if isinstance(refusal, Replay) and not secret:
                    raise await opened(refusal, self.claim, unit)
                if refusal is not None and not self.repeated:
                    raise refusal
            self._answer, self._personal_of = None, None
            yield unit
            if not self._compared:
                raise RuntimeError("call mutation.expect_version() inside the unit, or use mutation(if_match='none')")
            if self._answer is not None:
                if self.claim is not None and self._personal_of is not None:
                    await store_sealed(self.claim, self._answer, self._personal_of, unit)
                elif self.claim is not None and not self.repeated:
                    kept = Response(status_code=self._answer.status_code) if secret else self._answer
                    store_many([(self.claim, kept)], unit)
            elif resource is None:
                raise RuntimeError("call mutation.answer() inside the unit, or pass `resource` and complete() later")
            if service.audited and self._context.accesses is not None:
                await self._context.accesses.keep_in(unit)

    def answer(
        self,
        status: int,
        content: answers.AnswerBody = None,
        *,
        version: int | None = None,
        location: str | None = None,
        headers: dict[str, str] | None = None,
        personal_of: str | None = None,
    ) -> Response:
        """The response (ETag from `version`), stored as the first answer for the key. `personal_of`: the person whose
        data it contains. It is then stored encrypted with their key.
        """
        self._personal_of = personal_of
        if self.repeated:
            headers = {**(headers or {}), REPLAYED: "true"}
        self._answer = self._prefer_applied(
            answers.answer(status, content, version=version, location=location, headers=headers)
        )
        return self._answer

    async def complete(self, response: Response | Problem) -> Response:
        """Stores the answer of a change whose unit was committed before the outcome was known, and returns it.

        A `Problem` is the outcome of a change that took place and was then refused on topics. If the answer cannot be
        stored now, the caller gets it anyway, and a repeat reads the resource again.
        """
        if isinstance(response, Problem):
            response = self._prefer_applied(response.response())
        if self.claim is not None:
            stored: Completions = self._state.completions
            try:
                await stored.submit((self.claim, response))
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("answer not stored", error=type(error).__name__)
        return response

    def _prefer_applied(self, response: Response) -> Response:
        if self._granted:
            response.headers["Preference-Applied"] = f"wait={self._granted}"
        return response


class MutationDependency:
    """The dependency that `mutation()` returns."""

    def __init__(self, key_required: bool, if_match: IfMatch, waits: bool) -> None:
        self.key_required = key_required
        self.if_match = if_match
        self.waits = waits

    async def __call__(self, request: Request) -> Mutation:
        assert isinstance(request, BodyRequest)
        await authenticate(request)
        keys: list[str] = []
        if_match: list[str] = []
        prefer: list[str] = []
        wanted = {b"idempotency-key": keys, b"if-match": if_match, b"prefer": prefer}
        for name, value in request.scope["headers"]:
            if name in wanted:
                wanted[name].append(value.decode("latin-1"))
        key = read_key(keys, required=self.key_required)
        if if_match and self.if_match == "none":
            raise Problem(
                "version-mismatch",
                "This creates something new, so there is nothing for `If-Match` to match. Send the request without it.",
            )
        if if_match:
            preconditions.well_formed(if_match)  # also if this is a repeat, which compares no version
        return Mutation(
            request,
            key,
            if_match,
            prefer if self.waits else (),
            version_required=self.if_match == "required",
        )


@cache
def mutation(*, key_required: bool = False, if_match: IfMatch = "honoured", waits: bool = False) -> MutationDependency:
    """FastAPI dependency. `key_required`: without `Idempotency-Key` the answer is 400 `idempotency-key-required`.
    `waits`: the outcome comes later, and `Prefer: wait` is honoured."""
    return MutationDependency(key_required, if_match, waits)


MutationOf = Annotated[Mutation, Depends(mutation())]
"""A change of something that has a version: `If-Match` is honoured."""
UnversionedMutation = Annotated[Mutation, Depends(mutation(if_match="none"))]
"""A change of something that has no version yet, or never has one."""
KeyedMutation = Annotated[Mutation, Depends(mutation(key_required=True, if_match="none"))]
"""As `UnversionedMutation`, for what must not happen twice: it needs an `Idempotency-Key`."""

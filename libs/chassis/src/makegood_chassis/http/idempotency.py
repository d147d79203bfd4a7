"""BOOK-9: idempotency keys, stored in the service's own database in the transaction of the effect (REL-4).

A key belongs to its caller. The first request claims it; the effect and, if it is known, the answer are committed with
the claim. A request that repeats it gets the first answer. A different request with the key gets 422, and one that
comes before the first is finished gets 409. A request that a rule refuses claims nothing: its transaction is rolled
back, so that the same key can be used again later.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi import Response

from makegood_chassis.database import Row, UnitOfWork
from makegood_chassis.http.problems import Problem, invalid, not_found
from makegood_chassis.personal_data.sealing import Place

PATIENCE: Final = 30.0
REPLAYED: Final = "Idempotent-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

_CLAIM = """
INSERT INTO idempotency_keys (caller, key, fingerprint, resource)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[])
ON CONFLICT (caller, key) DO NOTHING
RETURNING caller, key
"""
_FIND = """
SELECT k.caller, k.key, k.fingerprint, k.resource, k.status, k.headers, k.body, k.sealed_for,
       extract(epoch FROM clock_timestamp() - k.created_at)::float8 AS age
FROM idempotency_keys AS k JOIN unnest($1::text[], $2::text[]) AS wanted (caller, key) USING (caller, key)
"""
_STORE = """
UPDATE idempotency_keys AS k SET status = a.status, headers = a.headers, body = a.body, sealed_for = a.sealed_for
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::jsonb[], $5::bytea[], $6::text[])
     AS a (caller, key, status, headers, body, sealed_for)
WHERE k.caller = a.caller AND k.key = a.key AND k.status IS NULL
"""
_RELEASE = """
DELETE FROM idempotency_keys AS k USING unnest($1::text[], $2::text[]) AS r (caller, key)
WHERE k.caller = r.caller AND k.key = r.key AND k.status IS NULL
"""


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """An idempotency key as the request sent it, with the fingerprint of method, path and body. `patience`: seconds of
    real time after which a first request without an answer counts as dead. It is the request's deadline.
    """

    caller: str
    key: str
    fingerprint: bytes
    patience: float = PATIENCE


class Replay(Exception):
    """The change was made before. Has the first answer, which is sent with `Idempotent-Replayed: true`.

    With `resource` the first request died before it could answer: the app reads the resource as the caller's GET would
    and answers 202 with it, which is true whatever came of it, and shows the outcome as far as it is known.
    `sealed_for`: the body is encrypted with this person's key still.
    """

    def __init__(self, response: Response, resource: str | None = None, *, sealed_for: str | None = None) -> None:
        super().__init__("made before")
        self.response = response
        self.resource = resource
        self.sealed_for = sealed_for
        response.headers[REPLAYED] = "true"


def read_key(sent: Sequence[str], *, required: bool) -> str | None:
    """The key in the `Idempotency-Key` headers. Raises 400 if it is required and missing, and 422 if it is invalid."""
    if not sent:
        if required:
            raise Problem("idempotency-key-required")
        return None
    if len(sent) > 1 or not _KEY.fullmatch(sent[0]):
        raise invalid("#/idempotency-key", "Send one key of 1 to 255 visible ASCII characters.", where="header")
    return sent[0]


def fingerprint(method: str, path: str, body: bytes, content: Any = None) -> bytes:
    """SHA-256 of the request. `content`: the body, if it was parsed. Then spacing and the order of members make no
    difference.
    """
    canonical = body
    if content is not None:
        with suppress(OverflowError, UnicodeEncodeError, msgspec.MsgspecError):  # such as integers beyond 64 bits
            canonical = msgspec.json.encode(content, order="sorted")
    return hashlib.sha256(f"{method} {path}\n".encode(errors="surrogateescape") + canonical).digest()


async def claim_many(
    claims: Sequence[KeyClaim | None], resources: Sequence[str | None], unit: UnitOfWork
) -> Sequence[Exception | None]:
    """Claims keys in `unit` with one statement, for batches. Per claim: None if the key is new (or None was passed),
    otherwise what to raise: Replay, `idempotency-key-reused`, or `idempotency-in-flight`. If the first request died
    without an answer, its key is answered after the request deadline by reading `resource` again.

    Claim before anything else is locked in the transaction, because it waits for another transaction that claims the
    same key. A batch that refuses one of its commands afterwards must `release_many` its claim; otherwise the key stays
    taken.
    """
    first: dict[tuple[str, str], int] = {}
    for index, claim in enumerate(claims):
        if claim is not None:
            first.setdefault((claim.caller, claim.key), index)
    if not first:
        return [None] * len(claims)
    pairs = sorted(first)  # in a fixed order, so that no two batches wait for each other
    chosen = [claims[first[pair]] for pair in pairs]
    rows = await unit.fetch(
        _CLAIM,
        [pair[0] for pair in pairs],
        [pair[1] for pair in pairs],
        [claim.fingerprint for claim in chosen if claim is not None],
        [resources[first[pair]] for pair in pairs],
    )
    taken: dict[tuple[str, str], Row] = {}
    if len(rows) < len(pairs):
        new = {(row[0], row[1]) for row in rows}
        old = [pair for pair in pairs if pair not in new]
        found = await unit.fetch(_FIND, [pair[0] for pair in old], [pair[1] for pair in old])
        taken = {(row[0], row[1]): row for row in found}
        # A key that was released between the two statements is missing here. Its repeat is asked to try again.
        first = {pair: index for pair, index in first.items() if pair in new}
    return [
        None
        if claim is None or first.get((claim.caller, claim.key)) == index
        else _refusal(claim, index, first, claims, taken)
        for index, claim in enumerate(claims)
    ]


def _refusal(
    claim: KeyClaim,
    index: int,
    first: dict[tuple[str, str], int],
    claims: Sequence[KeyClaim | None],
    taken: dict[tuple[str, str], Row],
) -> Exception:
    pair = (claim.caller, claim.key)
    if pair in first:  # claimed by another command of the same batch
        before = claims[first[pair]]
        same = before is not None and before.fingerprint == claim.fingerprint
        return _in_flight() if same else Problem("idempotency-key-reused")
    row = taken.get(pair)
    if row is None:
        return _in_flight()
    if row["fingerprint"] != claim.fingerprint:
        return Problem("idempotency-key-reused")
    if row["status"] is not None and row["headers"] is None:
        return _erased()
    if row["status"] is not None:
        answer = Response(row["body"] or b"", row["status"], headers=row["headers"])
        return Replay(answer, sealed_for=row["sealed_for"])
    if row["resource"] is not None and row["age"] > claim.patience:
        return Replay(Response(status_code=202, headers={"Location": row["resource"]}), row["resource"])
    return _in_flight()


def _erased() -> Problem:
    return not_found("answer any more: the data was erased")


def _in_flight() -> Problem:
    return Problem("idempotency-in-flight", headers={"Retry-After": "1"})


async def store_sealed(claim: KeyClaim, answer: Response, person_id: str, unit: UnitOfWork) -> None:
    """Stores a first answer with personal data, encrypted with the person's key."""
    place = _place(claim, person_id)
    (body,) = await unit.personal_data.seal(unit, [(place, bytes(answer.body).decode())])
    await unit.execute(
        _STORE, [claim.caller], [claim.key], [answer.status_code], [_headers(answer)], [body], [person_id]
    )


async def opened(replay: Replay, claim: KeyClaim, unit: UnitOfWork) -> Exception:
    """The replay with its body decrypted. Raises 404 if the person has been erased since."""
    if replay.sealed_for is None:
        return replay
    stored = replay.response
    (body,) = await unit.personal_data.open(unit, [(_place(claim, replay.sealed_for), bytes(stored.body))])
    if body is None:
        return _erased()
    headers = {name: value for name, value in stored.headers.items() if name != "content-length"}
    return Replay(Response(body.encode(), stored.status_code, headers=headers))


def _place(claim: KeyClaim, person_id: str) -> Place:
    return Place("idempotency_keys", f"{claim.caller}\0{claim.key}", person_id)


def store_many(answers: Sequence[tuple[KeyClaim, Response]], unit: UnitOfWork) -> None:
    """Stores first answers without personal data for claimed keys. A key that already has an answer keeps it."""
    ordered = sorted(answers, key=lambda pair: (pair[0].caller, pair[0].key))
    unit.defer(
        _STORE,
        [claim.caller for claim, _ in ordered],
        [claim.key for claim, _ in ordered],
        [response.status_code for _, response in ordered],
        [_headers(response) for _, response in ordered],
        [bytes(response.body) for _, response in ordered],
        [None] * len(ordered),
    )


async def release_many(claims: Sequence[KeyClaim | None], unit: UnitOfWork) -> None:
    """Releases unanswered keys that were claimed in `unit` for commands that it then refused."""
    pairs = sorted({(claim.caller, claim.key) for claim in claims if claim is not None})
    if pairs:
        await unit.execute(_RELEASE, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def _headers(response: Response) -> dict[str, Any]:
    return {name: value for name, value in response.headers.items() if name != "content-length"}

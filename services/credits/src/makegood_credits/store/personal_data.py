"""What support writes about a ledger entry, a proposal or a voided invoice. It is stored separately, encrypted with the
member's key, and erased with the member.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from makegood_chassis.database import Queries, Row, UnitOfWork
from makegood_chassis.personal_data.sealing import Place
from makegood_chassis.statements import Statement, any_of, batch
from sqlalchemy import ColumnElement, ScalarSelect, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from makegood_credits.store.tables import constant, support_reasons

BY_HAND: Final = "Made by support."
"""What replaces the reason, and is all that is left of it once the member is erased."""

ReasonKind = Literal["entry", "proposal", "invoice"]

_S: Final = support_reasons.c
_NEW: Final = batch("new", (_S.entity_id, _S.sealed))
_KEEP = Statement(
    insert(support_reasons).from_select(
        ["kind", "member_id", "entity_id", "sealed"],
        select(bindparam("kind", type_=_S.kind.type), bindparam("member", type_=_S.member_id.type), _NEW),
    )
)
_READ = Statement(select(support_reasons).where(_S.kind == bindparam("kind"), any_of(_S.entity_id)))
_ERASE = Statement(delete(support_reasons).where(any_of(_S.member_id)))
_IN_THE_CLEAR = Statement(
    select(support_reasons)
    .where(_S.reason.is_not(None))
    .order_by(_S.kind, _S.entity_id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_SEALED: Final = batch("new", (_S.kind, _S.entity_id, _S.sealed))
_SEAL = Statement(
    update(support_reasons)
    .values(sealed=_SEALED.c.sealed, reason=None)
    .where(_S.kind == _SEALED.c.kind, _S.entity_id == _SEALED.c.entity_id)
)


async def keep_reason(unit: UnitOfWork, kind: ReasonKind, member_id: str, ids: Sequence[str], reason: str) -> None:
    """Saves what somebody wrote about these things of the member."""
    sealed = await unit.personal_data.seal(unit, [(_place(kind, one, member_id), reason) for one in ids])
    await unit.execute(_KEEP(kind=kind, member=member_id, entity_id=list(ids), sealed=sealed))


async def read_reasons(queries: Queries, kind: ReasonKind, ids: Sequence[object]) -> dict[str, str]:
    """What was written about them, if there is anything and the member was not erased."""
    return await open_reasons(queries, await queries.fetch(_READ(kind=kind, entity_id=list(ids))) if ids else [])


def reason_of(kind: ReasonKind, entity_id: ColumnElement[str]) -> ScalarSelect[Any]:
    """What `open_reasons` reads, as a column of a larger statement: null if nothing was written."""
    return select(func.row(*_S)).where(_S.kind == constant(kind), _S.entity_id == entity_id).scalar_subquery()


async def open_reasons(queries: Queries, rows: Sequence[Iterable[Any]]) -> dict[str, str]:
    """The texts in rows of `support_reasons`, by what they are about, without those of members who were erased."""
    written = [(_place(kind, str(id_), member_id), reason, sealed) for kind, id_, member_id, reason, sealed in rows]
    texts = await queries.personal_data.open(queries, [(place, sealed) for place, _, sealed in written])
    found = {
        place.row.partition("/")[2]: reason if text is None else text
        for (place, reason, _), text in zip(written, texts, strict=True)
    }
    return {one: text for one, text in found.items() if text is not None}


async def erase(unit: UnitOfWork, people: Sequence[str]) -> None:
    """Erases what was written about these people, with their keys. The ledger keeps who, when and how much."""
    await unit.personal_data.erase(unit, people)
    await unit.execute(_ERASE(member_id=list(people)))


async def seal_reasons(unit: UnitOfWork, at_once: int) -> int:
    """Encrypts reasons that an older version stored in the clear. Returns how many there were."""
    rows = await unit.fetch(_IN_THE_CLEAR(most=at_once))
    if rows:
        sealed = await unit.personal_data.seal(unit, [(_place_of(row), row["reason"]) for row in rows])
        kinds, ids = [row["kind"] for row in rows], [row["entity_id"] for row in rows]
        await unit.execute(_SEAL(kind=kinds, entity_id=ids, sealed=sealed))
    return len(rows)


def _place_of(row: Row) -> Place:
    return _place(row["kind"], str(row["entity_id"]), row["member_id"])


def _place(kind: ReasonKind, entity_id: str, member_id: str) -> Place:
    return Place("support_reasons", f"{kind}/{entity_id}", member_id)

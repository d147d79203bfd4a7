"""What people wrote about sessions: remarks of cancellations, notes of disputes, reasons of corrections. They are
encrypted with the key of the person who wrote them, or whom they are about, and never part of an event, a log or a dead
letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.personal_data.sealing import Place

from makegood_booking.domain.session import Session

_KEEP_REMARK: Final = "INSERT INTO session_remarks (session_id, author, sealed) VALUES ($1, $2, $3)"
_READ_REMARK: Final = "SELECT author, remark, sealed FROM session_remarks WHERE session_id = $1"
_KEEP_NOTE: Final = """
INSERT INTO session_notes (session_id, version, kind, author, role, person_id, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_READ_NOTES: Final = """
SELECT version, kind, author, role, person_id, note, sealed FROM session_notes
WHERE session_id = $1 AND version = ANY($2::int[])
"""
_AUTHOR: Final = "CASE h.by WHEN 'member' THEN s.member_id WHEN 'provider' THEN s.provider_id END"
_ERASE: Final = (
    "DELETE FROM session_remarks WHERE author = ANY($1::text[])",
    # Remarks of an older version, whose author only the history knows.
    f"""
    DELETE FROM session_remarks AS r USING sessions AS s, session_history AS h
    WHERE r.author IS NULL AND r.session_id = s.id AND h.session_id = s.id AND h.type = 'SessionCancelled'
        AND {_AUTHOR} = ANY($1::text[])
    """,  # noqa: S608 (a constant of ours)
    "UPDATE session_notes SET note = NULL, sealed = NULL WHERE person_id = ANY($1::text[])",
    """
    UPDATE session_notes SET note = NULL
    WHERE person_id IS NULL AND author = ANY($1::text[]) AND kind = 'dispute' AND note IS NOT NULL
    """,
)
_REMARKS_IN_THE_CLEAR: Final = f"""
SELECT r.session_id, r.remark, {_AUTHOR} AS author FROM session_remarks AS r
JOIN sessions AS s ON s.id = r.session_id
JOIN session_history AS h ON h.session_id = s.id AND h.type = 'SessionCancelled'
WHERE r.remark <> '' ORDER BY r.session_id LIMIT $1 FOR UPDATE OF r SKIP LOCKED
"""  # noqa: S608 (a constant of ours)
_SEAL_REMARKS: Final = """
UPDATE session_remarks AS r SET author = new.author, sealed = new.sealed, remark = ''
FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS new (session_id, author, sealed) WHERE r.session_id = new.session_id
"""
_NOTES_IN_THE_CLEAR: Final = """
SELECT n.session_id, n.version, n.note, CASE n.kind WHEN 'dispute' THEN n.author ELSE s.member_id END AS person_id
FROM session_notes AS n JOIN sessions AS s ON s.id = n.session_id
WHERE n.note IS NOT NULL ORDER BY n.session_id, n.version LIMIT $1 FOR UPDATE OF n SKIP LOCKED
"""
_SEAL_NOTES: Final = """
UPDATE session_notes AS n SET person_id = new.person_id, sealed = new.sealed, note = NULL
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bytea[]) AS new (session_id, version, person_id, sealed)
WHERE n.session_id = new.session_id AND n.version = new.version
"""

Kind = Literal["dispute", "correction"]


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote with a change of a session. `text` is None if they wrote nothing, or were erased."""

    kind: Kind
    author: str
    role: str
    text: str | None


async def keep_remark(unit: UnitOfWork, session_id: str, author: str, remark: str) -> None:
    """Saves what a party wrote when it cancelled, for the two parties only."""
    (sealed,) = await unit.personal_data.seal(unit, [(_remark(session_id, author), remark)])
    await unit.execute(_KEEP_REMARK, session_id, author, sealed)


async def read_remark(queries: Queries, session_id: str) -> str | None:
    row = await queries.fetch_one(_READ_REMARK, session_id)
    if row is None:
        return None
    if row["sealed"] is None:
        return str(row["remark"]) or None
    (remark,) = await queries.personal_data.open(queries, [(_remark(session_id, row["author"]), row["sealed"])])
    return remark


async def keep_note(unit: UnitOfWork, session: Session, kind: Kind, author: str, role: str, note: str | None) -> None:
    """Saves what somebody wrote with the change that led to this version of the session. Support's reason for a
    correction is stored as data of the member whom it is about.
    """
    person = author if kind == "dispute" else session.booked.member_id
    texts = [] if note is None else [(_note(session.id, session.version, person), note)]
    sealed = await unit.personal_data.seal(unit, texts)
    await unit.execute(
        _KEEP_NOTE, session.id, session.version, kind, author, role, person, sealed[0] if sealed else None
    )


async def read_notes(queries: Queries, session_id: str, versions: Sequence[int]) -> dict[int, Note]:
    """The notes, by the version of the session with which they were written."""
    rows = await queries.fetch(_READ_NOTES, session_id, list(versions))
    places = [(_note(session_id, row["version"], row["person_id"] or ""), row["sealed"]) for row in rows]
    texts = await queries.personal_data.open(queries, places)
    return {
        row["version"]: Note(row["kind"], row["author"], row["role"], row["note"] if text is None else text)
        for row, text in zip(rows, texts, strict=True)
    }


async def erase(unit: UnitOfWork, people: Sequence[str]) -> None:
    """Erases what these people wrote and what was written about them, with their keys. The fact that something was
    written stays.
    """
    await unit.personal_data.erase(unit, people)
    for statement in _ERASE:
        await unit.execute(statement, list(people))


async def seal_remarks(unit: UnitOfWork, at_once: int) -> int:
    """Encrypts remarks that an older version stored in the clear. Returns how many there were."""
    rows = await unit.fetch(_REMARKS_IN_THE_CLEAR, at_once)
    if rows:
        texts = [(_remark(str(row["session_id"]), row["author"]), row["remark"]) for row in rows]
        sealed = await unit.personal_data.seal(unit, texts)
        await unit.execute(_SEAL_REMARKS, [row["session_id"] for row in rows], [row["author"] for row in rows], sealed)
    return len(rows)


async def seal_notes(unit: UnitOfWork, at_once: int) -> int:
    """Encrypts notes that an older version stored in the clear. Returns how many there were."""
    rows = await unit.fetch(_NOTES_IN_THE_CLEAR, at_once)
    if rows:
        texts = [(_note(str(row["session_id"]), row["version"], row["person_id"]), row["note"]) for row in rows]
        columns = [[row[name] for row in rows] for name in ("session_id", "version", "person_id")]
        await unit.execute(_SEAL_NOTES, *columns, await unit.personal_data.seal(unit, texts))
    return len(rows)


def _remark(session_id: str, author: str) -> Place:
    return Place("session_remarks", session_id, author)


def _note(session_id: str, version: int, person_id: str) -> Place:
    return Place("session_notes", f"{session_id}/{version}", person_id)

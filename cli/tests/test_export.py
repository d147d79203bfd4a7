"""`makegood topics export` from a real broker to the three formats."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events import CreditReturned, PersonErased, SessionCancelled
from makegood_contracts.events.rooms import RoomOpened
from makegood_contracts.publishing.examples import example_of
from makegood_contracts.topics import LEDGER, ROOMS, SESSIONS
from makegood_stack.topic_state import partition_ends

pytest.importorskip("pyarrow", reason="the extra `data` is missing: make data")

from .export_case import FORMATS, KINDS, Exports, every_event, places, tables, wanted_places

OPENED = datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.fixture
def exports(kafka_servers: str, topic_prefix: str) -> Exports:
    return Exports(kafka_servers, topic_prefix)


async def ends(exports: Exports) -> dict[str, dict[int, int]]:
    found = {}
    for topic in sorted({kind.topic.name for kind in KINDS}):
        parts = await partition_ends(exports.servers, exports.prefix + topic)
        assert parts is not None
        found[topic] = {partition: end for partition, (_, end) in parts.items()}
    return found


def opened(room: str) -> RoomOpened:
    return RoomOpened(room_id=room, member_id="m", provider_id="p", room_version=1, opened_at=OPENED)


def rows(folder: Path, kind: str, table: str, **wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables(folder, kind)[table].to_pylist()
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


@pytest.mark.parametrize("kind", FORMATS)
async def test_every_event_is_in_a_typed_table_once_and_a_second_run_adds_what_is_new(
    exports: Exports, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "tables"
    await exports.publish(*every_event())
    first = exports.run(folder, "--format", kind)
    assert first.returncode == 0, first.stderr
    assert f"{len(KINDS)} records exported" in first.stdout
    assert places(folder, kind) == wanted_places(await ends(exports))
    [row] = rows(folder, kind, "credits_ledger_v1", fact="CreditReturned")
    example = example_of(CreditReturned)
    assert [row[name] for name in ("ce_type", "ce_subject", "ce_source")] == [
        CreditReturned.type, example.key, "/makegood/credits",
    ]  # fmt: skip
    assert (row["amount"], row["expires_at"], row["cause"]) == (example.amount, example.expires_at, example.cause)
    [judged] = rows(folder, kind, "booking_sessions_v1", fact="SessionExtended")
    assert judged["invoice"]["amount_minor"] == 4000 or judged["invoice"]["currency"]
    assert list(tables(folder, kind)["booking_rooms_v1"].column_names)[:3] == ["ce_id", "ce_type", "fact"]

    await exports.publish(opened("room-2"), opened("room-3"))
    again = exports.run(folder)
    assert again.returncode == 0, again.stderr
    assert "2 records exported" in again.stdout
    assert places(folder, kind) == wanted_places(await ends(exports))


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_record_that_does_not_fit_goes_to_quarantine_and_stops_nothing(
    exports: Exports, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "tables"
    good = [encode(opened(f"room-{at}"), sequence=1, cause=Cause.begin()) for at in range(20)]
    headers = [(name, value.encode()) for name, value in good[0].headers]
    late = [(name, b"0001-01-01T00:00:00+14:00" if name == "ce_time" else value) for name, value in headers]
    large = [(name, str(1 << 70).encode() if name == "ce_sequence" else value) for name, value in headers]
    bad: list[tuple[str, bytes | None, Any, bytes | None]] = [
        (ROOMS.name, b"room-0", headers, b'{"room_id": 1}'),
        (ROOMS.name, b"another", headers, good[0].value),
        (ROOMS.name, b"room-0", headers[1:], b"\xff"),
        (ROOMS.name, b"room-0", headers, None),
        (SESSIONS.name, b"room-0", headers, good[0].value),
        (ROOMS.name, b"room-0", late, good[0].value),
        (ROOMS.name, b"room-0", large, good[0].value),
        (ROOMS.name, b"room-0", [*headers, ("ce_id", None)], good[0].value),
    ]
    await exports.send(good)
    await exports.send_raw(bad)
    result = exports.run(folder, "--format", kind)
    assert result.returncode == 4, result.stderr
    assert f"{len(bad)} records are in" in result.stdout
    files = sorted((folder / "quarantine").glob("*/*.jsonl"))
    kept = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert len(kept) == len(bad)
    assert all(entry["reason"] and entry["offset"] >= 0 for entry in kept)
    assert {row["room_id"] for row in rows(folder, kind, "booking_rooms_v1")} == {f"room-{at}" for at in range(20)}
    assert exports.run(folder).returncode == 4
    for path in files:
        path.unlink()
    assert exports.run(folder).returncode == 0


@pytest.mark.rule("NOTE-5")
@pytest.mark.parametrize("kind", FORMATS)
async def test_an_erasure_reaches_rows_that_were_there_and_rows_that_come_later(
    exports: Exports, tmp_path: Path, kind: str
) -> None:
    """Not even the bytes of the files name the person; what happened can still be counted."""
    folder, person, other = tmp_path / "tables", "member-to-be-erased", "member-who-stays"
    cancelled = example_of(SessionCancelled)
    returned = example_of(CreditReturned)
    before = [
        type(event)(**{f: getattr(event, f) for f in event.__struct_fields__} | {"member_id": who})
        for event in (cancelled, returned)
        for who in (person, other)
    ]
    judged = example_of(next(k for k in KINDS if k.__name__ == "WaitlistCandidateJudged"))
    href = f"/v1/members/{person}/invoices"
    reasons = tuple(type(r)(code=r.code, detail=r.detail, action=r.action, href=href) for r in judged.reasons)  # type: ignore[attr-defined]
    before.append(
        type(judged)(
            **{f: getattr(judged, f) for f in judged.__struct_fields__} | {"member_id": person, "reasons": reasons}
        )
    )
    await exports.publish(*before)
    await exports.send_raw([(LEDGER.name, person.encode(), [], b'{"about": "member-to-be-erased"}')])
    assert exports.run(folder, "--format", kind).returncode == 4
    assert places_of(folder, person)

    await exports.publish(PersonErased(person_id=person, erased_at=OPENED), before[0])
    result = exports.run(folder)
    assert result.returncode == 4, result.stderr
    sessions = rows(folder, kind, "booking_sessions_v1")
    pseudonyms = {row["member_id"] for row in sessions} - {other}
    assert len(pseudonyms) == 1
    [pseudonym] = pseudonyms
    assert pseudonym.startswith("erased-")
    assert len(sessions) == 3
    assert {row["sealed_remark"] for row in sessions if row["member_id"] == pseudonym} == {None}
    assert {row["sealed_remark"] for row in sessions if row["member_id"] == other} == {cancelled.sealed_remark}
    [entry] = rows(folder, kind, "credits_ledger_v1", member_id=pseudonym)
    assert (entry["ce_subject"], entry["amount"]) == (pseudonym, returned.amount)
    [row] = rows(folder, kind, "notifications_people_v1")
    assert (row["fact"], row["person_id"]) == ("PersonErased", pseudonym)
    [candidate] = rows(folder, kind, "booking_waitlist_v1")
    assert candidate["reasons"][0]["href"] == f"/v1/members/{pseudonym}/invoices"
    assert places_of(folder, person) == []


def places_of(folder: Path, person: str) -> list[Path]:
    """Files whose bytes name the person, compressed columns read."""
    import pyarrow.parquet as pq

    found = []
    for path in (each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += repr(pq.read_table(path, partitioning=None).to_pylist()).encode()
        if person.encode() in content or person[:16].encode() in content:
            found.append(path)
    return found

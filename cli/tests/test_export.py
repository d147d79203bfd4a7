"""`makegood topics export` from a real broker to the three formats."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events import (
    CreditReturned,
    PersonErased,
    RoomOpened,
    SessionCancelled,
    WaitlistCandidateJudged,
)
from makegood_contracts.events.states import SessionState
from makegood_contracts.publishing.examples import example_of
from makegood_contracts.topics import LEDGER, ROOMS, SESSIONS, SESSIONS_STATE

pytest.importorskip("pyarrow", reason="the extra `data` is missing: make data")

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.table import Table

from .export_case import (
    FORMATS,
    KINDS,
    Exports,
    changed,
    ends,
    every_event,
    naming,
    places,
    quarantined,
    tables,
    wanted_places,
)

OPENED = datetime(2026, 11, 24, 10, tzinfo=UTC)


def opened(room: str) -> RoomOpened:
    return RoomOpened(room_id=room, member_id="m", provider_id="p", room_version=1, opened_at=OPENED)


def rows(folder: Path, kind: str, table: str, **wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables(folder, kind)[table].to_pylist()
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


async def test_every_event_is_in_a_typed_table_once_and_a_second_run_adds_what_is_new(
    exports: Exports, tmp_path: Path
) -> None:
    await exports.publish(*every_event())
    example: Any = example_of(CreditReturned)
    for kind in FORMATS:
        outcome = await exports.run(tmp_path / kind, kind)
        assert (outcome.records, outcome.quarantined) == (len(KINDS), 0)
        assert places(tmp_path / kind, kind) == wanted_places(await ends(exports)), kind
        [row] = rows(tmp_path / kind, kind, "credits_ledger_v1", fact="CreditReturned")
        envelope = [row[name] for name in ("ce_type", "ce_subject", "ce_source")]
        assert envelope == [CreditReturned.type, example.key, "/makegood/credits"]
        assert (row["amount"], row["expires_at"], row["cause"]) == (example.amount, example.expires_at, example.cause)
        [extended] = rows(tmp_path / kind, kind, "booking_sessions_v1", fact="SessionExtended")
        assert extended["invoice"] == {"amount_minor": 2500, "currency": "USD", "due_on": extended["invoice"]["due_on"]}
        assert tables(tmp_path / kind, kind)["booking_rooms_v1"].column_names[:3] == ["ce_id", "ce_type", "fact"]

    await exports.publish(opened("room-2"), opened("room-3"))
    for kind in FORMATS:
        assert (await exports.run(tmp_path / kind, kind)).records == 2
        assert places(tmp_path / kind, kind) == wanted_places(await ends(exports)), kind


@pytest.mark.rule("REL-7")
async def test_a_record_that_does_not_fit_goes_to_quarantine_and_stops_nothing(
    exports: Exports, tmp_path: Path
) -> None:
    good = [encode(opened(f"room-{at}"), sequence=1, cause=Cause.begin()) for at in range(20)]
    value = good[0].value
    headers = [(name, content.encode()) for name, content in good[0].headers]
    early = [(name, b"0001-01-01T00:00:00+14:00" if name == "ce_time" else content) for name, content in headers]
    large = [(name, str(1 << 70).encode() if name == "ce_sequence" else content) for name, content in headers]
    bad: list[tuple[str, bytes | None, Any, bytes | None]] = [
        (ROOMS.name, b"room-0", headers, b'{"room_id": 1}'),
        (ROOMS.name, b"another", headers, value),
        (ROOMS.name, b"room-0", headers[1:3], b"\xff"),
        (ROOMS.name, b"room-0", headers, None),
        (SESSIONS.name, b"room-0", headers, value),
        (ROOMS.name, b"room-0", early, value),
        (ROOMS.name, b"room-0", large, value),
        (ROOMS.name, b"room-0", [(name, content) for name, content in headers if name != "ce_id"], value),
        (ROOMS.name, b"room-0", headers, value.replace(b"2026-11-24T10:00:00Z", b"0001-01-01T00:00:00+14:00")),
    ]
    assert bad[-1][3] != value
    await exports.send(good)
    await exports.send_raw(bad)
    for kind in FORMATS:
        folder = tmp_path / kind
        assert (await exports.run(folder, kind)).quarantined == len(bad)
        kept = quarantined(folder)
        assert len({(entry["topic"], entry["partition"], entry["offset"]) for entry in kept}) == len(bad)
        assert all(entry["reason"] for entry in kept)
        assert {row["room_id"] for row in rows(folder, kind, "booking_rooms_v1")} == {f"room-{at}" for at in range(20)}
        again = await exports.run(folder, kind)
        assert (again.records, again.quarantined) == (0, len(bad))

    told = exports.command_line(tmp_path / "parquet")
    assert (told.returncode, told.stderr) == (4, "")
    assert f"{len(bad)} records are in" in told.stdout
    for path in (tmp_path / "parquet" / "quarantine").glob("*/*.jsonl"):
        path.unlink()
    assert exports.command_line(tmp_path / "parquet").returncode == 0


@pytest.mark.rule("NOTE-5")
async def test_an_erasure_reaches_rows_that_were_there_and_rows_that_come_later(
    exports: Exports, tmp_path: Path
) -> None:
    """Not even the bytes of the files name the person, and what happened can still be counted."""
    person, other = "member-to-be-erased", "who-stays"
    cancelled: Any = changed(example_of(SessionCancelled), sealed_remark="c2VhbGVk")
    returned: Any = example_of(CreditReturned)
    judged: Any = example_of(WaitlistCandidateJudged)
    reasons = [changed(reason, href=f"/v1/members/{person}/invoices") for reason in judged.reasons]
    before = [changed(event, member_id=who) for event in (cancelled, returned) for who in (person, other)]
    await exports.publish(*before, changed(judged, member_id=person, reasons=tuple(reasons)))
    await exports.publish(*(changed(example_of(SessionState), session_id=key, member_id=person) for key in "ab"))
    await exports.send_raw([(LEDGER.name, person.encode(), [], b'{"about": "member-to-be-erased"}')])
    for kind in FORMATS:
        assert (await exports.run(tmp_path / kind, kind)).quarantined == 1
        assert naming(tmp_path / kind, person), kind

    await exports.publish(PersonErased(person_id=person, erased_at=OPENED), before[0])
    await exports.send_raw([(SESSIONS_STATE.name, b"a", [], None)])
    for kind in FORMATS:
        folder = tmp_path / kind
        await exports.run(folder, kind)
        sessions = rows(folder, kind, "booking_sessions_v1")
        assert len(sessions) == 3, kind
        [pseudonym] = {row["member_id"] for row in sessions} - {other}
        assert pseudonym.startswith("erased-")
        assert {row["sealed_remark"] for row in sessions if row["member_id"] == pseudonym} == {None}
        assert {row["sealed_remark"] for row in sessions if row["member_id"] == other} == {"c2VhbGVk"}
        [entry] = rows(folder, kind, "credits_ledger_v1", member_id=pseudonym)
        assert (entry["ce_subject"], entry["amount"]) == (pseudonym, returned.amount)
        [row] = rows(folder, kind, "notifications_people_v1")
        assert (row["fact"], row["person_id"]) == ("PersonErased", pseudonym)
        [candidate] = rows(folder, kind, "booking_waitlist_v1")
        assert candidate["reasons"][0]["href"] == f"/v1/members/{pseudonym}/invoices"
        [state] = rows(folder, kind, "booking_sessions_state_v1")
        assert (state["session_id"], state["member_id"]) == ("b", pseudonym)
        assert naming(folder, person) == [], kind


@pytest.mark.rule("REL-1")
async def test_what_a_crash_left_of_a_table_without_a_commit_is_forgotten_too(
    exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = "member-to-be-erased"
    await exports.publish(changed(opened("r1"), member_id=person))

    def crash(table: Table, rows: pa.Table, **_: Any) -> None:
        half = Path(urlsplit(table.location()).path) / "data" / "half.parquet"
        half.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, half)
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(Table, "append", crash)
        with pytest.raises(ConnectionError):
            await exports.run(tmp_path / "iceberg", "iceberg")
    assert naming(tmp_path / "iceberg", person) != []
    await exports.publish(PersonErased(person_id=person, erased_at=OPENED))
    await exports.run(tmp_path / "iceberg", "iceberg")
    assert naming(tmp_path / "iceberg", person) == []

"""From an export to a tested warehouse and its report: what it makes of events that are not obvious, and of a real platform."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pytest
from makegood_contracts.events import (
    CreditCorrected,
    CreditGranted,
    CreditHeld,
    CreditReturned,
    DateHours,
    Hours,
    MemberEnrolled,
    OutcomeCorrected,
    ProviderMissed,
    RoomOpened,
    SchedulePublished,
    SessionConfirmed,
    SessionExtended,
    SessionJoined,
    SessionMoved,
    SessionMoveRequested,
    SessionRequested,
    SessionReserved,
    TimeOffAdded,
    WeeklyHours,
)
from makegood_contracts.topics import SESSIONS
from makegood_testkit.platform import Platform

from .warehouse_exports import ExportedEvents

ROOT = Path(__file__).parents[2]
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

pytestmark = [pytest.mark.extended, pytest.mark.slow]


@pytest.fixture(scope="module")
def tools() -> Path:
    """The environment of dbt and the notebook."""
    made = subprocess.run(["make", "warehouse-tools"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return ROOT / ".venv" / "warehouse" / "bin" / "python"


def built(tools: Path, export: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(tools), str(ROOT / "deploy" / "warehouse" / "build.py"), str(export), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def rows(export: Path, question: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(export / "warehouse" / "warehouse.duckdb", read_only=True) as warehouse:
        warehouse.execute("SET TimeZone = 'UTC'")
        return warehouse.execute(question).fetchall()


def a_session(events: ExportedEvents) -> dict[str, Any]:
    """A confirmed session on Tuesday at 10:00 in New York, with its people and its credit."""
    pair: dict[str, Any] = {"room_id": "room", "member_id": "member", "provider_id": "provider"}
    events.add(RoomOpened, MONDAY, **pair, opened_at=MONDAY)
    events.add(MemberEnrolled, MONDAY, member_id="member", starts_on=MONDAY.date(), ends_on=None)
    start = MONDAY + DAY + 15 * HOUR
    session = {
        **pair,
        "session_id": "session",
        "starts_at": start,
        "ends_at": start + 45 * MINUTE,
        "length_minutes": 45,
        "extended_minutes": 0,
        "time_zone": "America/New_York",
    }
    credit: dict[str, Any] = {"member_id": "member", "lot_id": "lot"}
    events.add(CreditGranted, MONDAY, **credit, entry_id="grant", amount=4, available_after=4, held_after=0)
    events.add(SessionRequested, MONDAY + HOUR, **session, booked_by="member")
    held: dict[str, Any] = {
        "session_id": "session",
        "hold_id": "hold",
        "funding": "credit",
        "invoice_id": None,
        "co_pay": None,
    }
    events.add(CreditHeld, MONDAY + HOUR, **credit, **held, available_after=3)
    events.add(SessionReserved, MONDAY + HOUR, **session)
    events.add(SessionConfirmed, MONDAY + 2 * HOUR, **session)
    return session


def missed(events: ExportedEvents, session: dict[str, Any]) -> None:
    """Its provider misses it, and the credit comes back a second later."""
    at = session["starts_at"] + 10 * MINUTE
    events.add(SessionJoined, session["starts_at"], **session, party="member", joined_at=session["starts_at"] - MINUTE)
    events.add(ProviderMissed, at, **session, missed_at=at, absent_party="provider")
    events.repeat_last(SESSIONS)
    events.add(
        CreditReturned, at + timedelta(seconds=1), session_id="session", hold_id="hold", member_id="member", lot_id="lot",
        entry_id="return", amount=1, cause="provider_missed", available_after=4, held_after=0,
    )  # fmt: skip


def test_repeated_withdrawn_and_corrected_events_count_as_they_should(tools: Path, tmp_path: Path) -> None:
    events, export = ExportedEvents(), tmp_path / "export"
    session = a_session(events)
    # A restore left this event behind. The next one has the same sequence number.
    start = session["starts_at"]
    withdrawn = events.add(SessionJoined, start, withdrawn=True, **session, party="provider", joined_at=start)
    missed(events, session)
    corrected = session["starts_at"] + DAY
    events.add(
        OutcomeCorrected, corrected, **session, old_outcome="provider_missed", outcome="completed", corrected_at=corrected
    )  # fmt: skip
    events.add(
        CreditCorrected, corrected, session_id="session", hold_id="hold", member_id="member", lot_id="lot",
        entry_id="correction", amount=-1, state="spent", available_after=3, held_after=0,
    )  # fmt: skip
    events.write(export)
    listed = tmp_path / "withdrawn.csv"
    listed.write_text(f"event_id\n{withdrawn}\n")

    made = built(tools, export, "--withdrawn", str(listed))
    assert made.returncode == 0, made.stdout + made.stderr
    assert rows(export, "SELECT status, first_outcome, is_corrected FROM marts.fct_sessions") == [
        ("completed", "provider_missed", True)
    ]
    assert rows(export, "SELECT count(*) FROM staging.stg_booking__sessions WHERE fact = 'ProviderMissed'") == [(1,)]
    assert rows(export, "SELECT party, is_present FROM marts.fct_attendance ORDER BY party") == [
        ("member", True),
        ("provider", False),
    ]
    assert rows(export, "SELECT state, cause FROM marts.fct_credit_holds") == [("spent", "corrected")]
    assert rows(export, "SELECT available, held FROM marts.fct_balances") == [(3, 0)]
    assert rows(export, "SELECT is_made_good, seconds_to_credit FROM answers.time_to_make_good") == [(True, 1.0)]


def test_moves_count_when_they_are_made_and_hours_with_clock_changes_and_time_off(tools: Path, tmp_path: Path) -> None:
    events, export = ExportedEvents(), tmp_path / "export"
    session = a_session(events)
    moved = {"starts_at": session["starts_at"] + HOUR, "ends_at": session["ends_at"] + HOUR}
    at = MONDAY + 3 * HOUR
    events.add(SessionMoveRequested, at, **session, new_starts_at=moved["starts_at"], new_ends_at=moved["ends_at"])
    events.add(SessionMoved, at + MINUTE, **(session | moved), confirmed=False, moved_at=at + MINUTE)
    longer = {"ends_at": moved["ends_at"] + 15 * MINUTE, "length_minutes": 60, "extended_minutes": 15}
    events.add(SessionExtended, at + HOUR, **(session | moved | longer))
    # Sunday, 8 March: the clocks go from 2:00 to 3:00. Monday, 9 March: other hours. Tuesday, 10 March: half an hour off.
    events.add(
        SchedulePublished, MONDAY - 3 * DAY, provider_id="provider", time_zone="America/New_York",
        weekly=tuple(WeeklyHours(weekday=day, start=60, until=240) for day in (0, 1, 6)),
        exceptions=(DateHours(day=(MONDAY + 7 * DAY).date(), hours=(Hours(start=600, until=630),)),),
    )  # fmt: skip
    off = MONDAY + 8 * DAY + 6 * HOUR  # 2:00 in New York
    for name, begins in (("one", off), ("overlapping", off + 10 * MINUTE)):
        events.add(
            TimeOffAdded, MONDAY, provider_id="provider", time_off_id=name, starts_at=begins, ends_at=off + 30 * MINUTE,
            cancels=(),
        )  # fmt: skip
    events.write(export)

    made = built(tools, export, "--as-of", (MONDAY + 9 * DAY).isoformat())
    assert made.returncode == 0, made.stdout + made.stderr
    assert rows(
        export,
        "SELECT status, starts_at, booked_starts_at, length_minutes, booked_length_minutes FROM marts.fct_sessions",
    ) == [("reserved", moved["starts_at"], session["starts_at"], 60, 45)]
    assert rows(
        export,
        "SELECT day(local_day), sum(published_minutes)::int, sum(offered_minutes)::int FROM marts.fct_published_hours "
        "WHERE local_day BETWEEN '2026-03-08' AND '2026-03-10' GROUP BY ALL ORDER BY ALL",
    ) == [(8, 120, 120), (9, 30, 30), (10, 180, 150)]


def test_a_sum_that_is_not_in_the_books_fails_the_build(tools: Path, tmp_path: Path) -> None:
    events, export = ExportedEvents(), tmp_path / "export"
    events.add(MemberEnrolled, MONDAY, member_id="member")
    events.add(
        CreditGranted, MONDAY, member_id="member", lot_id="lot", entry_id="grant", amount=4,
        available_after=2, held_after=0,
    )  # fmt: skip
    events.write(export)
    made = built(tools, export)
    assert made.returncode == 1
    assert "FAIL 1 ledger_sums_equal_the_books" in made.stdout
    assert not (export / "warehouse" / "report.html").exists()


async def test_a_small_platform_becomes_a_warehouse_with_its_books_and_a_report(tools: Path, tmp_path: Path) -> None:
    async with Platform.at(tmp_path / "platform").running() as platform:
        cast = await platform.cast()
        await cast.balance(available=4, held=0)
        await cast.attended(await cast.confirmed())
        session = await cast.confirmed()
        await platform.advance_to(datetime.fromisoformat(session["starts_at"]) + 11 * MINUTE)
        await cast.settled(session, "provider_missed", "returned")
        cancelled = await cast.confirmed()
        await cast.provider.post(f"/v1/sessions/{cancelled['id']}/cancel", {})
        await cast.settled(cancelled, "cancelled", "returned")
        await cast.confirmed()
        await platform.settle()
        export = tmp_path / "export"
        done = await asyncio.to_thread(platform.command, "topics", "export", str(export), "--format", "duckdb")
        assert done.returncode == 0, done.stdout + done.stderr
        books = await _books(platform)
    made = await asyncio.to_thread(built, tools, export)
    assert made.returncode == 0, made.stdout + made.stderr
    assert books
    assert rows(export, "SELECT member_id, available, held FROM marts.fct_balances ORDER BY 1") == books
    assert rows(export, "SELECT status, count(*) FROM marts.fct_sessions GROUP BY 1 ORDER BY 1") == [
        ("cancelled", 1),
        ("completed", 1),
        ("confirmed", 1),
        ("provider_missed", 1),
    ]
    page = (export / "warehouse" / "report.html").read_text()
    assert page.count('src="data:image/png;base64') == 6
    assert "No description" not in page
    _everything_is_described(export)


async def _books(platform: Platform) -> Sequence[tuple[Any, ...]]:
    """What the credits service itself keeps."""
    connection = await asyncpg.connect(platform.stack.database_url("credits", "owner"))
    try:
        found = await connection.fetch("SELECT member_id, available, held FROM accounts ORDER BY member_id")
    finally:
        await connection.close()
    return [tuple(each) for each in found]


def _everything_is_described(export: Path) -> None:
    """The documentation knows every column of every table, and nothing else."""
    manifest = json.loads((export / "warehouse" / "target" / "manifest.json").read_text())
    described = {
        (node["schema"], node["name"], name)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["name"] != "stg_withdrawn_events"
        for name, column in node["columns"].items()
        if column["description"]
    }
    there = rows(
        export,
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE schema_name IN ('staging', 'marts', 'answers')",
    )
    assert described == {each for each in there if each[1] != "stg_withdrawn_events"}

"""What the audit reads of real databases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from makegood_cli.audit import snapshot
from makegood_stack.ports import SERVICES
from makegood_testkit.databases import as_login
from makegood_testkit.plugin import DatabaseFactory

NOW = datetime.now(UTC)
SESSION = str(uuid4())
Urls = Mapping[str, str]


@pytest_asyncio.fixture
async def urls(database_factory: DatabaseFactory) -> Urls:
    return {service: await database_factory(service) for service in SERVICES}


async def execute(url: str, *statements: str) -> None:
    """As the owner: most of it is what no service would do."""
    connection = await asyncpg.connect(as_login(url, "owner"))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def auditors(urls: Urls) -> Urls:
    return {service: as_login(url, "auditor") for service, url in urls.items()}


def session_row(session_id: str, status: str, **more: str) -> str:
    values = {
        "id": f"'{session_id}'", "room_id": f"'{uuid4()}'", "member_id": "'m'", "provider_id": "'p'",
        "starts_at": "timestamptz '2030-01-01 10:00Z'", "ends_at": "timestamptz '2030-01-01 10:30Z'",
        "length_minutes": "30", "modality": "'video'", "time_zone": "'UTC'", "booked_by": "'member'",
        "requested_at": "timestamptz '2029-12-01 10:00Z'", "policy_version": "2", "status": f"'{status}'", "version": "1",
        "slot_state": "'held'", "funding": "'credit'", "credit_state": "'held'",
        "confirm_by": "timestamptz '2029-12-31 10:00Z'", **more,
    }  # fmt: skip
    return f"INSERT INTO sessions ({', '.join(values)}) VALUES ({', '.join(values.values())})"


@pytest.mark.rule("MISS-1", "CONF-2", "NOSH-1", "JOIN-2")
async def test_each_session_has_its_moment_and_late_deadlines_are_found(urls: Urls) -> None:
    start = "timestamptz '2030-01-01 10:00Z'"
    came = {"member_joined_at": start}
    in_person = {"modality": "'in_person'", "venue_id": "'v'"}
    there = {"provider_joined_at": start}
    moments = {
        "requested": ("requested", {"confirm_by": "NULL"}, "2029-12-01T10:07"),
        "reserved": ("reserved", {}, "2029-12-31T10:00"),
        "nobody there": ("confirmed", {}, "2030-01-01T10:11"),
        "member there": ("confirmed", came, "2030-01-01T10:11"),
        "provider there": ("confirmed", there, "2030-01-01T10:16"),
        "provider left early": (
            "confirmed",
            {**there, "provider_left_at": f"{start} - interval '1 s'"},
            "2030-01-01T10:11",
        ),
        "provider left": ("confirmed", {**came, **there, "provider_left_at": start}, "2030-01-01T10:16"),
        "member left early": (
            "confirmed",
            {**came, **there, "member_left_at": f"{start} - interval '1 s'"},
            "2030-01-01T10:16",
        ),
        "member left": ("confirmed", {**came, **there, "member_left_at": start}, "2030-01-01T10:30"),
        "nobody in person": ("confirmed", in_person, "2030-01-01T10:30"),
        "left early in person": (
            "confirmed",
            {**in_person, **came, "member_left_at": f"{start} - interval '1 s'"},
            "2030-01-01T10:30",
        ),
        "late in person": (
            "confirmed",
            {**in_person, "member_joined_at": f"{start} + interval '11 min'"},
            "2030-01-01T10:30",
        ),
        "member in person": ("confirmed", {**in_person, **came}, "2030-01-01T10:11"),
        "provider in person": ("confirmed", {**in_person, **there}, "2030-01-01T10:16"),
        "asked": ("confirmed", {**in_person, "outcome_asked": "true"}, "2030-01-02T10:30"),
        "both there": ("confirmed", {**came, **there, "together_since": start}, "2030-01-01T10:00"),
        "in session": ("in_session", came, "2030-01-01T10:30"),
    }
    ids = {name: str(uuid4()) for name in moments}
    over = str(uuid4())
    await execute(
        urls["booking"],
        'INSERT INTO policies VALUES (2, \'own\', \'{"decide_minutes": 7, "grace_minutes": 11, "no_show_minutes": 16, "answer_hours": 24}\')',
        *(session_row(ids[name], status, **more) for name, (status, more, _) in moments.items()),
        session_row(over, "completed"),
        f"INSERT INTO deadlines VALUES ('session', '{ids['reserved']}', '2029-12-31 10:00Z')",
        "INSERT INTO deadlines VALUES ('session', 'failed', '2050-01-01Z', 3)",
        "INSERT INTO deadlines VALUES ('session', 'overdue', now() + interval '59 minutes - 10 seconds')",
        "INSERT INTO deadlines VALUES ('session', 'nearly', now() + interval '59 minutes 30 seconds')",
        "UPDATE clock SET offset_seconds = 3600",
    )
    data = await snapshot.take(auditors(urls))
    assert timedelta(minutes=59) < data.now - datetime.now(UTC) < timedelta(minutes=61)
    found = {row["id"]: row for row in data.sessions}
    assert {name: found[ids[name]]["moment"].isoformat()[:16] for name in moments} == {
        name: moment for name, (_, _, moment) in moments.items()
    }
    assert found[over]["moment"] is None
    assert found[ids["reserved"]]["due_at"] == found[ids["reserved"]]["moment"]
    assert found[ids["requested"]]["due_at"] is None
    assert {row["entity_id"]: row["attempts"] for row in data.late_deadlines["booking"]} == {"failed": 3, "overdue": 0}
    assert data.late_deadlines["credits"] == []


@pytest.mark.rule("AVAIL-3")
async def test_overlaps_of_provider_member_and_venue_are_found_where_no_constraint_stood(urls: Urls) -> None:
    ids = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(8)]
    rows = [
        # provider, member, venue, from, to, blocked to (minutes), live
        ("p1", "m1", None, 0, 30, 40, True),
        ("p1", "m2", None, 35, 65, 65, True),  # in the buffer of the first
        ("p1", "m3", None, 65, 95, 95, True),  # touches the second
        ("p2", "m3", "v1", 90, 120, 120, True),  # the member is in the third
        ("p3", "m4", "v1", 100, 130, 130, True),  # the venue is taken by the fourth
        ("p3", "m5", "v1", 130, 160, 160, True),
        ("p1", "m1", "v1", 0, 160, 160, False),  # is over
        ("p4", "m6", None, 0, 160, 160, True),
    ]
    insert = (
        "INSERT INTO slot_holds (session_id, provider_id, member_id, venue_id, starts_at, ends_at, blocked, hold_until,"
        " live, cause, ended_at) VALUES ($1, $2, $3, $4, $5, $6, tstzrange($5, $7), $5, $8, $9, $10)"
    )
    connection = await asyncpg.connect(as_login(urls["availability"], "owner"))
    try:
        for name in ("one_session_of_a_provider", "one_session_of_a_member", "one_session_in_a_venue"):
            await connection.execute(f"ALTER TABLE slot_holds DROP CONSTRAINT {name}")
        for session_id, (provider, member, venue, *minutes, live) in zip(ids, rows, strict=True):
            times = [NOW + timedelta(minutes=minute) for minute in minutes]
            ended = (None, None) if live else ("completed", NOW)
            await connection.execute(insert, session_id, provider, member, venue, *times, live, *ended)
    finally:
        await connection.close()
    data = await snapshot.take(auditors(urls))
    assert {(row["one"], row["other"]) for row in data.overlaps} == {
        (ids[0], ids[1]),
        (ids[2], ids[3]),
        (ids[3], ids[4]),
    }
    assert len(data.slot_holds) == len(rows)


@pytest.mark.rule("MISS-3", "MISS-5", "CRED-3")
async def test_returns_and_emails_are_read_as_they_are(urls: Urls) -> None:
    lot, invoiced, entry = (
        uuid4(),
        uuid4(),
        "INSERT INTO ledger_entries VALUES ('m', {}, gen_random_uuid(), '{}', 1, {})",
    )
    tail = f"'{SESSION}', '{lot}', 'why', 'system', '2026-11-24T10:00:00Z', 0, 0"
    gone = tail.replace(f"'{SESSION}', '{lot}'", "NULL, NULL")
    await execute(
        urls["credits"],
        "INSERT INTO accounts (member_id, ledger_sequence, enrolment_sequence) VALUES ('m', 2, 1)",
        f"INSERT INTO holds VALUES ('{SESSION}', '{lot}', 'm', 'plan', 'returned', now(), true, '{lot}')",
        "INSERT INTO invoices (id, member_id, status, amount_minor, currency, due_on)"
        f" VALUES ('{invoiced}', 'm', 'pending', 1, 'EUR', now())",
        f"INSERT INTO holds VALUES ('{invoiced}', '{invoiced}', 'm', 'plan', 'held', now(), false, NULL, '{invoiced}')",
        entry.format(1, "spend", f"'member:held', '{lot}', 'platform:spent', NULL, {tail}"),
        entry.format(2, "return", f"'platform:spent', NULL, 'member:available', '{lot}', {tail}"),
        entry.format(3, "expire", f"'member:available', '{lot}', 'platform:expired', NULL, {gone}"),
        entry.format(4, "adjust", f"'member:available', '{lot}', 'platform:adjusted', NULL, {tail}"),
        entry.format(5, "adjust", f"'platform:adjusted', NULL, 'member:available', '{lot}', {tail}"),
        f"UPDATE holds SET length_minutes = 45 WHERE session_id = '{SESSION}'",
        "INSERT INTO lots (id, member_id, source, granted, available, held, expires_at, guarantees) VALUES"
        f" ('{lot}', 'm', 'adjustment', 1, 1, 0, '2026-12-01T00:00:00Z',"
        f""" '[{{"lot_id": "{lot}", "until": "2026-12-28T00:00:00Z"}}]')""",
    )
    delivery = (
        "INSERT INTO deliveries (id, event_id, person_id, channel, template, status, reason, session_id, facts,"
        " correlation_id, occurred_at) VALUES (gen_random_uuid(), gen_random_uuid(), '{}', 'email', 'provider-missed',"
        " '{}', '{}', '{}', '{{}}', 'story', now())"
    )
    await execute(
        urls["notifications"],
        "INSERT INTO people (id, name, email, time_zone, updated_at) VALUES ('known', 'A', 'a@example.org', 'UTC', now())",
        delivery.format("known", "failed", "refused", SESSION),
        delivery.format("unknown", "skipped", "no-contact", SESSION),
    )
    data = await snapshot.take(auditors(urls))
    holds = {row["session_id"]: dict(row) for row in data.credit_holds}
    assert (holds[SESSION]["returned_from"], holds[SESSION]["is_credit"], holds[SESSION]["firm"]) == (
        "platform:spent",
        True,
        True,
    )
    assert (holds[str(invoiced)]["invoice"], holds[str(invoiced)]["returned_from"]) == ("pending", None)
    assert [dict(row) for row in data.accounts] == [{"member_id": "m", "ledger_sequence": 2, "enrolment_sequence": 1}]
    assert {(row["status"], row["reason"], row["has_address"]) for row in data.missed_emails} == {
        ("failed", "refused", True),
        ("skipped", "no-contact", False),
    }
    assert [row["status"] for row in data.finished_deliveries] == ["failed"]
    assert data.imbalances != []
    assert [row["session_id"] for row in data.lapsed_returns] == [SESSION]
    assert [(row["id"], row["too_many"]) for row in data.guarantees] == [(str(lot), False)]


@pytest.mark.rule("RESC-1", "CRED-7")
async def test_moves_and_charges_are_read_as_they_are(urls: Urls) -> None:
    move, invoice, refused = str(uuid4()), str(uuid4()), str(uuid4())
    written = f'{{"id": "{move}", "state": "funded", "decide_by": "2029-12-20T10:00:00Z"}}'
    await execute(
        urls["booking"],
        session_row(SESSION, "confirmed", move=f"'{written}'"),
        f"INSERT INTO overdue_invoices (id, member_id, owed, sequence) VALUES ('{invoice}', 'm', true, 1)",
        f"INSERT INTO overdue_invoices (id, member_id, owed, sequence) VALUES ('{uuid4()}', 'paid', false, 2)",
    )
    await execute(
        urls["credits"],
        "INSERT INTO accounts (member_id, ledger_sequence, enrolment_sequence) VALUES ('m', 0, 1)",
        "INSERT INTO invoices (id, member_id, status, amount_minor, currency, due_on, overdue_at, session_id)"
        f" VALUES ('{invoice}', 'm', 'overdue', 1, 'EUR', now(), '2029-12-01Z', '{SESSION}')",
        "INSERT INTO move_holds (move_id, session_id, id, member_id, plan_id, state, hold_until, invoice_id)"
        f" VALUES ('{move}', '{SESSION}', '{uuid4()}', 'm', 'plan', 'held', '2029-12-21Z', '{invoice}')",
        f"INSERT INTO move_holds (move_id, session_id, member_id, state) VALUES ('{refused}', '{SESSION}', 'm', 'refused')",
    )
    data = await snapshot.take(auditors(urls))
    (session,) = data.sessions
    assert (session["move_id"], session["move_state"]) == (move, "funded")
    assert session["decide_by"] == datetime(2029, 12, 20, 10, tzinfo=UTC)
    assert [row["move_id"] for row in data.added_holds] == [move]
    assert [(row["id"], row["session_id"], row["status"]) for row in data.invoices] == [(invoice, SESSION, "overdue")]
    assert [dict(row) for row in data.debtors] == [{"member_id": "m"}]

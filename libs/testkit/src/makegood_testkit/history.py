"""A platform's past, written by PostgreSQL itself: what the services' tables hold after a year of bookings.

    bookings = await write_history(platform.stack.database_url, rows=10_000_000)

Each member of the past has one room, one plan with twenty credits, and as many sessions, a fortnight apart: nineteen were
completed, the last is confirmed and lies ahead. The rows are what the services would have written: ledgers balance, holds and
deadlines match their sessions. Nothing is published, so the topics know nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import asyncpg
from makegood_stack.ports import SERVICES

ROWS_A_BOOKING: Final = 39
"""About so many rows a booking leaves in all tables together, its share of its member's own rows included."""

_SESSIONS_OF_A_MEMBER: Final = 20
_MEMBERS_OF_A_PROVIDER: Final = 20

# Ids begin with their moment, as the services' own do. Of one moment, what they are of and a number tell them apart.
_ID: Final = """
CREATE FUNCTION pg_temp.past_id(about int, at timestamptz, number bigint) RETURNS uuid IMMUTABLE LANGUAGE sql RETURN (
    lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(about), 3, '0') || '8000'
    || lpad(to_hex(number), 12, '0'))::uuid
"""
_PAST: Final = f"""
CREATE TEMPORARY TABLE past AS
SELECT n, turn, turn = {_SESSIONS_OF_A_MEMBER} AS ahead, 'past-member-' || member AS member_id,
    'past-provider-' || member / {_MEMBERS_OF_A_PROVIDER} AS provider_id, room_id, lot_id, starts_at,
    starts_at + interval '45 minutes' AS ends_at, requested_at, pg_temp.past_id(1, requested_at, n) AS session_id,
    pg_temp.past_id(2, requested_at, n) AS hold_id, clock_timestamp() - interval '7 days' * (1 - n / $1::float8) AS heard_at
FROM (
    SELECT n, n / ($1 / {_SESSIONS_OF_A_MEMBER}) + 1 AS turn, n % ($1 / {_SESSIONS_OF_A_MEMBER}) AS member
    FROM generate_series(0, $1 - 1) AS n
) AS numbered, LATERAL (
    SELECT date_trunc('day', now()) + (turn - {_SESSIONS_OF_A_MEMBER}) * interval '14 days' + interval '5 days'
        + member % {_MEMBERS_OF_A_PROVIDER} * interval '1 hour' AS starts_at,
        pg_temp.past_id(3, now() - interval '1 year', member) AS room_id,
        pg_temp.past_id(4, now() - interval '1 year', member) AS lot_id
) AS moments, LATERAL (SELECT starts_at - interval '6 days' - (1000 - n % 1000) * interval '1 minute' AS requested_at) AS asked
"""  # noqa: S608 (constants)
_MEMBERS: Final = "CREATE TEMPORARY TABLE past_members AS SELECT * FROM past WHERE turn = 1"
_INBOX: Final = """
INSERT INTO inbox (event_id, handled_at) SELECT pg_temp.past_id(about, heard_at, n), heard_at
FROM past, generate_series(16, {}) AS about
"""
# The statement that writes an access also says that it waits for its seal.
_ACCESSES: Final = (
    """
    INSERT INTO access_rows (at, caller, role, operation, person_id, entity, outcome, request_id)
    SELECT requested_at, provider_id, 'provider', 'session.read', member_id, 'session:' || session_id, 'shown', session_id::text FROM past
    """,
    "INSERT INTO access_seals (number, row_id, row_hash, hash) SELECT row_id, row_id, '', '' FROM access_unsealed ORDER BY row_id",
    "DELETE FROM access_unsealed",
)
_ROOMS: Final = """
INSERT INTO rooms (id, member_id, provider_id, status{columns}, version)
SELECT room_id, member_id, provider_id, 'active'{values}, 1 FROM past_members
"""

_BOOKING: Final = (
    *_ACCESSES,
    _INBOX.format(18),
    _ROOMS.format(columns=", created_at, last_activity_at", values=", requested_at, now()"),
    """
    INSERT INTO enrolments (id, member_id, plan_id, plan_kind, starts_on, time_zone, lengths, psychiatry_lengths, modalities,
        purchasable, sequence)
    SELECT room_id, member_id, 'sponsored-12', 'sponsored', requested_at::date, 'UTC', '{45}', '{45}', '{video}', true, 1
    FROM past_members
    """,
    """
    INSERT INTO credit_movements (id, member_id, lot_id, amount, sequence, tells, length_minutes)
    SELECT lot_id, member_id, lot_id, 20, 1, true, 45 FROM past_members
    """,
    """
    INSERT INTO sessions (id, room_id, member_id, provider_id, starts_at, ends_at, length_minutes, modality, time_zone, booked_by,
        requested_at, policy_version, status, version, slot_state, funding, credit_state, confirm_by, lot_id, blocked_from,
        blocked_until, member_joined_at, provider_joined_at)
    SELECT session_id, room_id, member_id, provider_id, starts_at, ends_at, 45, 'video', 'UTC', 'member', requested_at, 1,
        CASE WHEN ahead THEN 'confirmed' ELSE 'completed' END, CASE WHEN ahead THEN 3 ELSE 7 END, 'held', 'credit',
        CASE WHEN ahead THEN 'held' ELSE 'spent' END, starts_at - interval '1 day', lot_id, starts_at, ends_at,
        CASE WHEN NOT ahead THEN starts_at END, CASE WHEN NOT ahead THEN starts_at END
    FROM past
    """,
    """
    INSERT INTO session_history (session_id, version, at, type, by)
    SELECT session_id, version, requested_at, type, by FROM past, (VALUES
        (1, 'SessionRequested', 'member'), (2, 'SessionReserved', 'system'), (3, 'SessionConfirmed', 'provider'),
        (4, 'SessionJoined', 'member'), (5, 'SessionJoined', 'provider'), (6, 'SessionStarted', 'system'),
        (7, 'SessionCompleted', 'system')) AS told (version, type, by)
    WHERE version <= 3 OR NOT ahead
    """,
    "INSERT INTO deadlines (kind, entity_id, due_at) SELECT 'session', session_id::text, starts_at FROM past WHERE ahead",
    """
    INSERT INTO idempotency_keys (caller, key, fingerprint, resource, status, headers, body)
    SELECT member_id, session_id::text, sha256(session_id::text::bytea), '/v1/sessions/' || session_id, 201, '{}',
        convert_to(repeat(session_id::text, 30), 'UTF8')
    FROM past WHERE ahead
    """,
)
_AVAILABILITY: Final = (
    _INBOX.format(18),
    """
    INSERT INTO rooms (room_id, member_id, provider_id, version, active)
    SELECT room_id, member_id, provider_id, 1, true FROM past_members
    """,
    """
    INSERT INTO slot_holds (session_id, provider_id, member_id, starts_at, ends_at, blocked, hold_until, live, firm, cause, ended_at,
        sequence)
    SELECT session_id, provider_id, member_id, starts_at, ends_at, tstzrange(starts_at, ends_at),
        requested_at + interval '15 minutes', ahead, true, CASE WHEN NOT ahead THEN 'completed' END,
        CASE WHEN NOT ahead THEN ends_at END, CASE WHEN ahead THEN 1 ELSE 2 END
    FROM past
    """,
)
_CREDITS: Final = (
    *_ACCESSES,
    _INBOX.format(18),
    """
    INSERT INTO accounts (member_id, available, held, entry_count, ledger_sequence, enrolment_sequence)
    SELECT member_id, 0, 1, 40, 40, 1 FROM past_members
    """,
    """
    INSERT INTO enrolments (id, member_id, plan_id, starts_on, time_zone, covers_from, next_period)
    SELECT room_id, member_id, 'sponsored-12', requested_at::date, 'UTC', requested_at, 2 FROM past_members
    """,
    """
    INSERT INTO lots (id, member_id, source, length_minutes, enrolment_id, period, granted, available, held)
    SELECT lot_id, member_id, 'plan', 45, room_id, 1, 20, 0, 1 FROM past_members
    """,
    """
    INSERT INTO holds (session_id, id, member_id, plan_id, state, hold_until, firm, lot_id, length_minutes, starts_at, ends_at)
    SELECT session_id, hold_id, member_id, 'sponsored-12', CASE WHEN ahead THEN 'held' ELSE 'spent' END,
        requested_at + interval '15 minutes', true, lot_id, 45, starts_at, ends_at
    FROM past
    """,
    """
    INSERT INTO ledger_entries (id, member_id, number, kind, amount, debit_account, credit_account, credit_lot, reason, made_by,
        made_at, available_after, held_after)
    SELECT pg_temp.past_id(5, requested_at, n), member_id, 1, 'grant', 20, 'platform:granted', 'member:available', lot_id,
        'Granted.', 'system', requested_at, 20, 0
    FROM past_members
    """,
    """
    INSERT INTO ledger_entries (id, member_id, number, kind, amount, debit_account, debit_lot, credit_account, credit_lot,
        session_id, hold_id, reason, made_by, made_at, available_after, held_after)
    SELECT pg_temp.past_id(6, requested_at, n), member_id, 2 * turn, 'hold', 1, 'member:available', lot_id, 'member:held', lot_id,
        session_id, hold_id, 'Held.', 'system', requested_at, 20 - turn, 1
    FROM past
    """,
    """
    INSERT INTO ledger_entries (id, member_id, number, kind, amount, debit_account, debit_lot, credit_account, session_id, hold_id,
        reason, made_by, made_at, available_after, held_after)
    SELECT pg_temp.past_id(7, ends_at, n), member_id, 2 * turn + 1, 'spend', 1, 'member:held', lot_id, 'platform:spent', session_id,
        hold_id, 'Spent.', 'system', ends_at, 20 - turn, 0
    FROM past WHERE NOT ahead
    """,
)
_NOTIFICATIONS: Final = (
    *_ACCESSES,
    _INBOX.format(19),
    _ROOMS.format(columns="", values=""),
    """
    INSERT INTO people (id, name, email, time_zone, updated_at, key_published)
    SELECT id, 'Somebody', id || '@example.com', 'UTC', now(), true
    FROM (SELECT member_id FROM past_members UNION SELECT provider_id FROM past_members) AS everybody (id)
    """,
    """
    INSERT INTO enrolments (id, member_id, plan_kind, starts_on, time_zone, lengths, psychiatry_lengths, reminder_channels)
    SELECT room_id::text, member_id, 'sponsored', requested_at::date, 'UTC', '{45}', '{45}', '{email}' FROM past_members
    """,
    """
    INSERT INTO sessions (id, room_id, member_id, provider_id, status, starts_at, ends_at, length_minutes, modality, time_zone, version,
        invitation_sequence)
    SELECT session_id, room_id, member_id, provider_id, CASE WHEN ahead THEN 'confirmed' ELSE 'completed' END, starts_at, ends_at, 45,
        'video', 'UTC', CASE WHEN ahead THEN 3 ELSE 7 END, 0
    FROM past
    """,
    """
    INSERT INTO deliveries (id, event_id, person_id, channel, template, status, session_id, facts, correlation_id, occurred_at,
        attempts, sent_at)
    SELECT pg_temp.past_id(about, requested_at, n), pg_temp.past_id(about, requested_at, n),
        CASE about % 2 WHEN 0 THEN member_id ELSE provider_id END, 'email', 'session-confirmed', 'sent', session_id,
        jsonb_build_object('session_id', session_id, 'room_id', room_id, 'member_id', member_id, 'provider_id', provider_id,
            'starts_at', starts_at, 'ends_at', ends_at), session_id::text, requested_at, 1, requested_at
    FROM past, generate_series(32, 35) AS about
    """,
    """
    INSERT INTO chat_messages (id, room_id, kind, template, text, sent_at, event_id)
    SELECT pg_temp.past_id(about, requested_at, n), room_id, 'system', 'session-confirmed', 'The session is confirmed.', requested_at,
        pg_temp.past_id(about, requested_at, n)
    FROM past, generate_series(48, 49) AS about
    """,
    """
    INSERT INTO stream (member_id, provider_id, kind, data, made_at)
    SELECT member_id, provider_id, 'session', jsonb_build_object('session_id', session_id, 'version', version), heard_at
    FROM past, generate_series(1, 3) AS version
    """,
)
_STATEMENTS: Final = {
    "booking": _BOOKING,
    "availability": _AVAILABILITY,
    "credits": _CREDITS,
    "notifications": _NOTIFICATIONS,
}


async def write_history(url_of: Callable[[str, str], str], rows: int) -> int:
    """Writes about so many rows into the services' databases, two of them at a time. Returns how many bookings they are of.

    `url_of`: the address of a service's database with the login of a job, as `Stack.database_url` says it.
    """
    bookings = rows // ROWS_A_BOOKING // _SESSIONS_OF_A_MEMBER * _SESSIONS_OF_A_MEMBER
    two = asyncio.Semaphore(2)

    async def fill(service: str) -> None:
        async with two:
            await _fill(url_of(service, "owner"), _STATEMENTS[service], bookings)

    await asyncio.gather(*map(fill, SERVICES))
    return bookings


async def _fill(url: str, statements: Sequence[str], bookings: int) -> None:
    connection = await asyncpg.connect(url, command_timeout=3600)
    try:
        # A real one would have been vacuumed as it grew, and the statistics would be there.
        for statement in (_ID, _PAST.replace("$1", str(bookings)), _MEMBERS, *statements, "VACUUM (FREEZE, ANALYZE)"):
            await connection.execute(statement)
    finally:
        await connection.close()

"""What each of the service's logins may do with each table. Policies and the history of sessions can only be added
to."""

from __future__ import annotations

from typing import Final

from makegood_chassis.grants import CHASSIS, Allowed, Grants

from makegood_booking.store.tables import WRITTEN_ONCE, sessions

_OF_A_SESSION: Final = ", ".join(column.name for column in sessions.c if column.name not in WRITTEN_ONCE)

GRANTS: Final[Grants] = {
    **CHASSIS,
    "policies": Allowed("SELECT, INSERT", auditor="SELECT"),
    "rooms": Allowed(
        "SELECT, INSERT, UPDATE (status, version, last_activity_at, left_free_at, closed_by)", auditor="SELECT"
    ),
    # Whose session it is, who booked it and under which policy never changes.
    "sessions": Allowed(f"SELECT, INSERT, UPDATE ({_OF_A_SESSION})", auditor="SELECT"),
    "session_history": Allowed("SELECT, INSERT"),
    "starts_before_moves": Allowed("SELECT, INSERT (session_id, starts_at)"),
    "session_remarks": Allowed("SELECT, INSERT, UPDATE (author, remark, sealed), DELETE"),
    "session_notes": Allowed(
        "SELECT, INSERT, UPDATE (note, person_id, sealed)", auditor="SELECT (session_id, version, kind)"
    ),
    # What other services published.
    "enrolments": Allowed(
        "SELECT, INSERT, UPDATE (ends_on, lengths, psychiatry_lengths, modalities, live_credits, purchasable, months, co_pay, "
        "sequence)"
    ),
    "credit_movements": Allowed("SELECT, INSERT"),
    "overdue_invoices": Allowed("SELECT, INSERT, UPDATE (owed, sequence)", auditor="SELECT"),
    "provider_schedules": Allowed("SELECT, INSERT, UPDATE (version, specialty, body)"),
    "time_off": Allowed("SELECT, INSERT, UPDATE (starts_at, ends_at, removed)"),
    "venue_codes": Allowed("SELECT, INSERT, UPDATE (version, digest)"),
    "remark_keys": Allowed("SELECT, INSERT, UPDATE (public_key, sequence), DELETE"),
    "waitlist_offers": Allowed(
        "SELECT, INSERT, UPDATE (sequence, starts_at, ends_at, blocked_from, blocked_until, lapses_at)"
    ),
}

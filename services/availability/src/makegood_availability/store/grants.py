"""What the service's logins may do with each table."""

from __future__ import annotations

from typing import Final

from makegood_chassis.grants import CHASSIS, Allowed, Grants

GRANTS: Final[Grants] = {
    **CHASSIS,
    "schedules": Allowed(
        "SELECT, INSERT, UPDATE (version, sequence, body, changed_at)",
        auditor="SELECT (provider_id, version, sequence, published, changed_at)",
    ),
    "time_off": Allowed("SELECT, INSERT, UPDATE (note, sealed), DELETE"),
    "venues": Allowed("SELECT, INSERT, UPDATE (version, name, place, time_zone, weekly, told, check_in_code)"),
    # The owner of a slot never changes. Only offers of the waitlist are deleted.
    "slot_holds": Allowed(
        "SELECT, INSERT, DELETE, "
        "UPDATE (venue_id, starts_at, ends_at, blocked, live, firm, cause, ended_at, sequence, entry_id)",
        auditor="SELECT",
    ),
    "slot_moves": Allowed("SELECT, INSERT"),
    "rooms": Allowed("SELECT, INSERT, UPDATE (version, active)"),
    "waitlist": Allowed(
        "SELECT, INSERT, UPDATE (status, offer_starts_at, offer_ends_at, lapses_at, session_id, proposal_id, offer_venue_id, "
        "obstacles, search_from, ask_again_at), DELETE",
        auditor="SELECT (id, provider_id, member_id, status, session_id, proposal_id, lapses_at)",
    ),
    "policy": Allowed("SELECT, INSERT (version, offer_minutes), UPDATE (version, offer_minutes)"),
}

"""What the service's logins may do with each table. Only the service itself reads names, addresses and messages."""

from __future__ import annotations

from typing import Final

from makegood_chassis.grants import CHASSIS, Allowed, Grants

GRANTS: Final[Grants] = {
    **CHASSIS,
    "people": Allowed(
        "SELECT, INSERT, DELETE, "
        "UPDATE (name, email, phone, time_zone, locale, by_email, by_whatsapp, by_chat, version, updated_at, "
        "key_published)",
        auditor="SELECT (id)",
    ),
    "calendar_feeds": Allowed("SELECT, INSERT, UPDATE (secret_hash, made_at), DELETE"),
    "allowances": Allowed("SELECT, INSERT, UPDATE (since, used)", pruner="SELECT (ctid, since), DELETE"),
    "revocations": Allowed("SELECT, INSERT, UPDATE (reason, sealed)"),
    "contact_changes": Allowed(
        "SELECT, INSERT, UPDATE (change_id, email, secret_hash, master_key, expires_at), DELETE"
    ),
    "erasure_requests": Allowed("SELECT, INSERT, UPDATE (due_at), DELETE"),
    "person_sequences": Allowed("SELECT, INSERT, UPDATE (sequence)"),
    "erasures": Allowed(
        "SELECT, INSERT, UPDATE (erased_at, times, reason, requested_by)", auditor="SELECT (person_id, erased_at)"
    ),
    "chat_messages": Allowed("SELECT, INSERT, UPDATE (text, sealed)"),
    "deliveries": Allowed(
        "SELECT, INSERT, UPDATE (status, reason, withdrawn, subject, attempts, next_attempt_at, sent_at, "
        "invited, recipient)",
        auditor="SELECT (id, person_id, session_id, channel, template, status, reason)",
    ),
    "stream": Allowed(
        "SELECT, INSERT (member_id, provider_id, kind, data)",
        pruner="SELECT (txid, position, member_id, provider_id, made_at), DELETE",
    ),
    "stream_pruned": Allowed("SELECT"),
    "stream_forgotten": Allowed("SELECT", pruner="SELECT, INSERT, UPDATE (txid, position)"),
    "told_before": Allowed("SELECT, DELETE"),
    "returns_to_tell": Allowed("SELECT, INSERT, DELETE"),
    # What other services published.
    "news_read": Allowed("SELECT, INSERT, UPDATE (partitions, read_until)"),
    "news_readers": Allowed(
        "SELECT, INSERT, UPDATE (topics, numbers, partitions, read_until, noted_at)",
        pruner="SELECT (id, topics, numbers, noted_at), DELETE",
    ),
    "rooms": Allowed("SELECT, INSERT, UPDATE (status, version, closed_by, posted)"),
    "sessions": Allowed(
        "SELECT, INSERT, UPDATE (status, starts_at, ends_at, length_minutes, modality, time_zone, venue_id, version, "
        "invitation_sequence)"
    ),
    "enrolments": Allowed(
        "SELECT, INSERT, UPDATE (plan_kind, starts_on, ends_on, time_zone, lengths, psychiatry_lengths, reminder_channels)"
    ),
    "specialties": Allowed("SELECT, INSERT, UPDATE (specialty, version)"),
    "venues": Allowed("SELECT, INSERT, UPDATE (name, place, version)"),
    "offers": Allowed("SELECT, INSERT, UPDATE (starts_at, lapses_at), DELETE"),
}

"""What the service's logins may do with each table. Ledger entries are only added: only the owner's login could change
them, and it never does.
"""

from __future__ import annotations

from typing import Final

from makegood_chassis.grants import CHASSIS, Allowed, Grants

GRANTS: Final[Grants] = {
    **CHASSIS,
    "ledger_entries": Allowed(
        "SELECT, INSERT",
        # Everything except the text of reasons.
        auditor="SELECT (member_id, number, id, kind, amount, debit_account, debit_lot, credit_account, credit_lot, "
        "session_id, hold_id, made_by, made_at, available_after, held_after)",
    ),
    "ledger_imbalances": Allowed("SELECT", auditor="SELECT"),
    "accounts": Allowed(
        "SELECT, INSERT (member_id), UPDATE (available, held, entry_count, ledger_sequence, enrolment_sequence, next_due, "
        "overdue)",
        auditor="SELECT",
    ),
    "enrolments": Allowed(
        "SELECT, INSERT, UPDATE (ends_on, covers_until, next_period, next_grant, replaced_at, resumed_on)"
    ),
    "lots": Allowed(
        "SELECT, INSERT, UPDATE (available, held, expires_at, guarantees)",
        auditor="SELECT (id, available, expires_at, guarantees)",
    ),
    # What a session cost, and where the credit went.
    "holds": Allowed(
        "SELECT, INSERT, UPDATE (id, plan_id, state, firm, lot_id, invoice_id, answers, moving, extended, by_hand, "
        "starts_at, ends_at, length_minutes, guarantee)",
        auditor="SELECT",
    ),
    "move_holds": Allowed("SELECT, INSERT, UPDATE (id, plan_id, state, firm, lot_id, invoice_id)", auditor="SELECT"),
    # Never changed: whose a charge, purchase or payment is, and its amount.
    "invoices": Allowed(
        "SELECT, INSERT, UPDATE (status, due_on, overdue_at, voided_by, void_reason)",
        auditor="SELECT (id, number, member_id, session_id, status, amount_minor, currency, due_on, overdue_at, "
        "voided_by)",
    ),
    "purchases": Allowed("SELECT, INSERT, UPDATE (status, lot_id), DELETE", auditor="SELECT (id, lot_id)"),
    "checkouts": Allowed("SELECT, INSERT, UPDATE (state, reference, url, url_until), DELETE", auditor="SELECT"),
    "payment_events": Allowed(
        "SELECT, INSERT (provider, event_id, checkout_id, outcome, effect, fault), UPDATE (effect)", auditor="SELECT"
    ),
    "adjustment_proposals": Allowed("SELECT, INSERT, UPDATE (status, decided_by, decided_at)"),
    # What support wrote, which is erased with the member.
    "support_reasons": Allowed("SELECT, INSERT, UPDATE (reason, sealed), DELETE"),
    "policy": Allowed("SELECT, INSERT (version, adjustment_limit), UPDATE (version, adjustment_limit)"),
    "refunds": Allowed("SELECT, INSERT, UPDATE (state, tries, try_at)", auditor="SELECT"),
    "payments_to_refund": Allowed(auditor="SELECT"),
}

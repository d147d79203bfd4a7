"""The service's tables: the only list of their columns. Statements are compiled from it; the migrations create the
tables.

Columns are in the order of their dataclasses' fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from makegood_chassis.statements import ID, MOMENT, arrays, as_text, batch
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TableValuedAlias,
    Text,
    column,
    literal_column,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()


accounts = Table(
    "accounts",
    metadata,
    Column("member_id", Text, primary_key=True),
    Column("available", Integer),
    Column("held", Integer),
    Column("entry_count", BigInteger),
    Column("ledger_sequence", BigInteger),
    Column("enrolment_sequence", BigInteger),
    Column("next_due", MOMENT),
    Column("overdue", Integer),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("plan_id", Text),
    Column("starts_on", Date),
    Column("ends_on", Date),
    Column("time_zone", Text),
    Column("covers_from", MOMENT),
    Column("covers_until", MOMENT),
    Column("next_period", Integer),
    Column("next_grant", MOMENT),
    Column("replaced_at", MOMENT),
    Column("resumed_on", Date),
)

lots = Table(
    "lots",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("source", Text),
    Column("length_minutes", Integer),
    Column("expires_at", MOMENT),
    Column("enrolment_id", ID),
    Column("period", Integer),
    Column("granted", Integer),
    Column("available", Integer),
    Column("held", Integer),
    Column("made_for_minutes", Integer),
    Column("made_under", Text),
    Column("guarantees", JSONB),
)

invoices = Table(
    "invoices",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("session_id", ID),
    Column("status", Text),
    Column("amount_minor", BigInteger),
    Column("currency", Text),
    Column("due_on", Date),
    Column("overdue_at", MOMENT),
    Column("about", Text),
    Column("voided_by", Text),
    Column("void_reason", Text),
    Column("number", BigInteger),
)

holds = Table(
    "holds",
    metadata,
    Column("session_id", ID, primary_key=True),
    Column("id", ID),
    Column("member_id", Text),
    Column("plan_id", Text),
    Column("state", Text),
    Column("hold_until", MOMENT),
    Column("lot_id", ID),
    Column("firm", Boolean),
    Column("length_minutes", Integer),
    Column("guarantee", JSONB),
    Column("invoice_id", ID),
    Column("answers", Integer),
    Column("moving", Boolean),
    Column("extended", Boolean),
    Column("by_hand", Boolean),
    Column("starts_at", MOMENT),
    Column("ends_at", MOMENT),
    Column("co_pay_due_days", Integer),
)

move_holds = Table(
    "move_holds",
    metadata,
    Column("move_id", ID, primary_key=True),
    Column("session_id", ID),
    Column("id", ID),
    Column("member_id", Text),
    Column("plan_id", Text),
    Column("state", Text),
    Column("hold_until", MOMENT),
    Column("lot_id", ID),
    Column("firm", Boolean),
    Column("length_minutes", Integer),
    Column("guarantee", JSONB),
    Column("invoice_id", ID),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", ID),
    Column("member_id", Text),
    Column("number", BigInteger),
    Column("kind", Text),
    Column("amount", Integer),
    Column("debit_account", Text),
    Column("debit_lot", ID),
    Column("credit_account", Text),
    Column("credit_lot", ID),
    Column("session_id", ID),
    Column("hold_id", ID),
    Column("reason", Text),
    Column("made_by", Text),
    Column("made_at", MOMENT),
    Column("available_after", Integer),
    Column("held_after", Integer),
)

purchases = Table(
    "purchases",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("plan_id", Text),
    Column("quantity", Integer),
    Column("length_minutes", Integer),
    Column("amount_minor", BigInteger),
    Column("currency", Text),
    Column("status", Text),
    Column("lot_id", ID),
    Column("number", BigInteger),
    Column("asked_at", MOMENT),
)

checkouts = Table(
    "checkouts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("state", Text),
    Column("amount_minor", BigInteger),
    Column("currency", Text),
    Column("purchase_id", ID),
    Column("invoice_id", ID),
    Column("url", Text),
    Column("url_until", MOMENT),
    Column("provider", Text),
    Column("reference", Text),
)

payment_events = Table(
    "payment_events",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("checkout_id", Text),
    Column("outcome", Text),
    Column("effect", Text),
    Column("fault", Text),
)

refunds = Table(
    "refunds",
    metadata,
    Column("id", ID, primary_key=True),
    Column("checkout_id", ID),
    Column("invoice_id", ID),
    Column("member_id", Text),
    Column("reason", Text),
    Column("state", Text),
    Column("amount_minor", BigInteger),
    Column("currency", Text),
    Column("owed_at", MOMENT),
    Column("tries", Integer),
    Column("try_at", MOMENT),
)

adjustment_proposals = Table(
    "adjustment_proposals",
    metadata,
    Column("id", ID, primary_key=True),
    Column("member_id", Text),
    Column("amount", Integer),
    Column("length_minutes", Integer),
    Column("reason", Text),
    Column("proposed_by", Text),
    Column("proposed_at", MOMENT),
    Column("status", Text),
    Column("decided_by", Text),
    Column("decided_at", MOMENT),
    Column("number", BigInteger),
)

support_reasons = Table(
    "support_reasons",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("entity_id", ID, primary_key=True),
    Column("member_id", Text),
    Column("reason", Text),
    Column("sealed", LargeBinary),
)

policy = Table(
    "policy",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=true()),
    Column("version", Integer),
    Column("adjustment_limit", Integer),
)


def texts(columns: Iterable[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """The columns to select, with uuids as text, because asyncpg would make objects of them."""
    return [as_text(each) if isinstance(each.type, UUID) else each for each in columns]


def constant(value: str) -> ColumnElement[str]:
    """A text as a literal in the statement, so that partial indexes match."""
    return literal_column(f"'{value}'", Text)


def named_batch(name: str, columns: Sequence[ColumnElement[Any]]) -> TableValuedAlias:
    """As `batch`, for a statement with several batches: parameters and columns begin with the batch's name."""
    return batch(name, [column(f"{name}_{each.key}", each.type) for each in columns])


def named_arrays(name: str, columns: Sequence[ColumnElement[Any]], rows: Iterable[Any]) -> dict[str, list[Any]]:
    """The parameters of a `named_batch`."""
    return {f"{name}_{key}": values for key, values in arrays(columns, rows).items()}

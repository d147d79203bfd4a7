"""The states of balances, charges and enrolments, as others read them."""

from __future__ import annotations

from typing import Final

from makegood_chassis.states.source import StateSource
from makegood_contracts.events import BalanceState, EnrolmentState, InvoiceState

_MEMBER: Final = ("member_id",)
_LAST_DAY: Final = """
CASE WHEN replaced_at IS NOT NULL THEN ((covers_until AT TIME ZONE time_zone) - interval '1 microsecond')::date END
"""

STATES: Final = (
    StateSource(BalanceState, "accounts", _MEMBER, key="member_id", key_type="text"),
    StateSource(
        InvoiceState, "invoices", _MEMBER, columns={"invoice_id": "id::text", "session_id": "session_id::text"}
    ),
    StateSource(
        EnrolmentState,
        "enrolments",
        _MEMBER,
        columns={"enrolment_id": "id::text", "ended_on": _LAST_DAY},
    ),
)

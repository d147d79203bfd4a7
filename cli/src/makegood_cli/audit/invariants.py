"""The invariants across services. Each takes a snapshot and names every violation in a sentence with the ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from makegood_cli.audit.snapshot import Snapshot

LIVE = frozenset({"reserved", "confirmed", "in_session"})
"""Statuses in which a session has its slot and its credit."""

SETTLED_AS: dict[str, frozenset[str]] = {
    "completed": frozenset({"spent"}),
    "member_no_show": frozenset({"forfeited"}),
    "cancelled": frozenset({"returned", "forfeited"}),
    "provider_missed": frozenset({"returned"}),
    "declined": frozenset({"returned"}),
    "expired": frozenset({"returned"}),
    "rejected": frozenset({"returned"}),
}
"""How the hold of an ended session may be settled (CRED-3)."""

INVOICE_AS: dict[str, frozenset[str]] = {
    "completed": frozenset({"issued", "paid", "overdue"}),
    "member_no_show": frozenset({"issued", "paid", "overdue"}),
    "cancelled": frozenset({"void", "issued", "paid", "overdue"}),
    "provider_missed": frozenset({"void"}),
    "declined": frozenset({"void"}),
    "expired": frozenset({"void"}),
    "rejected": frozenset({"void"}),
}
"""What becomes of a co-pay (MISS-3)."""

Invariant = Callable[[Snapshot], Iterator[str]]


def live_sessions_have_one_slot_hold(data: Snapshot) -> Iterator[str]:
    """BOOK-1: every live session has exactly one live slot hold, for the same people and the same time."""
    holds = {row["session_id"]: row for row in data.slot_holds if row["live"]}
    for session in data.sessions:
        hold = holds.get(session["id"])
        if session["status"] not in LIVE:
            continue
        if hold is None:
            yield f"session {session['id']} is {session['status']} and has no live slot hold"
            continue
        if any(hold[name] != session[name] for name in ("provider_id", "member_id", "starts_at", "ends_at")):
            yield f"session {session['id']} and its slot hold differ"


def live_sessions_have_their_credit(data: Snapshot) -> Iterator[str]:
    """BOOK-1: every live session has its one credit hold, or its pending co-pay."""
    holds = {row["session_id"]: row for row in data.credit_holds}
    for session in data.sessions:
        if session["status"] not in LIVE:
            continue
        hold = holds.get(session["id"])
        if hold is None or hold["state"] != "held":
            yield f"session {session['id']} is {session['status']} and has no credit hold"
        elif not hold["is_credit"] and hold["invoice"] != "pending":
            yield f"session {session['id']} is {session['status']} and its co-pay is {hold['invoice']}"


def no_hold_without_session(data: Snapshot) -> Iterator[str]:
    """No slot and no credit is held for a session that does not exist or has ended."""
    waiting = LIVE | {"requested"}
    statuses = {row["id"]: row["status"] for row in data.sessions}
    for row in data.slot_holds:
        if row["live"] and statuses.get(row["session_id"]) not in waiting:
            yield f"a slot is held for session {row['session_id']}, which is {statuses.get(row['session_id'], 'unknown')}"
    for row in data.credit_holds:
        if row["state"] == "held" and statuses.get(row["session_id"]) not in waiting:
            yield f"a credit is held for session {row['session_id']}, which is {statuses.get(row['session_id'], 'unknown')}"


def ended_sessions_are_settled_rightly(data: Snapshot) -> Iterator[str]:
    """CRED-3, MISS-2, MISS-3: each hold is settled as the session's end demands; booking and credits agree on it."""
    statuses = {row["id"]: row for row in data.sessions}
    for hold in data.credit_holds:
        session = statuses.get(hold["session_id"])
        if session is None or session["status"] not in SETTLED_AS or hold["state"] in ("held", "refused", "ended"):
            continue
        if hold["is_credit"]:
            if hold["state"] not in SETTLED_AS[session["status"]]:
                yield f"session {session['id']} is {session['status']} and its credit was {hold['state']}"
            elif session["credit_state"] != hold["state"]:
                yield f"session {session['id']}: booking says its credit is {session['credit_state']}, credits says {hold['state']}"
        elif hold["invoice"] not in INVOICE_AS[session["status"]]:
            yield f"session {session['id']} is {session['status']} and its co-pay is {hold['invoice']}"


def nothing_is_settled_twice(data: Snapshot) -> Iterator[str]:
    """CRED-3: one settlement, and at most one return, for a session."""
    for row in data.settlements:
        yield f"the credit of session {row['session_id']} was settled {row['times']} times"
    for row in data.returns:
        yield f"the credit of session {row['session_id']} came back {row['times']} times"


def the_ledger_adds_up(data: Snapshot) -> Iterator[str]:
    """CRED-1: balances equal the sums of their entries and of their holds."""
    for row in data.imbalances:
        yield (
            f"{row['what']} {row['id']} stands at {row['available']} available, {row['held']} held; "
            f"its entries say {row['available_entered']} and {row['held_entered']}"
        )


def no_holds_overlap(data: Snapshot) -> Iterator[str]:
    """AVAIL-3: no two live holds of one provider, member or venue overlap."""
    for row in data.overlaps:
        yield f"the slots of sessions {row['one']} and {row['other']} overlap"


def every_outbox_row_is_sent(data: Snapshot) -> Iterator[str]:
    """Nothing waits to be published."""
    for service, row in data.outboxes.items():
        if row["unsent"]:
            yield f"{service} has {row['unsent']} unsent events, the oldest for {row['age']:.0f} s"


def requests_are_decided(data: Snapshot) -> Iterator[str]:
    """No booking hangs between request and decision."""
    for row in data.sessions:
        if row["status"] == "requested":
            yield f"session {row['id']} is still requested"


def a_miss_is_told_once(data: Snapshot) -> Iterator[str]:
    """MISS-3: one e-mail about each missed session, no more and no less."""
    told = Counter({row["session_id"]: 0 for row in data.missed_emails})
    for row in data.missed_emails:
        told[row["session_id"]] += row["times"]
    missed = {row["id"] for row in data.sessions if row["status"] == "provider_missed"}
    for session in sorted(missed - told.keys()):
        yield f"session {session} was missed and no e-mail was made about it"
    for session, times in told.items():
        if times != 1:
            yield f"session {session}: {times} e-mails about one miss"
        if session not in missed:
            yield f"session {session}: an e-mail says it was missed, and it was not"


INVARIANTS: tuple[Invariant, ...] = (
    live_sessions_have_one_slot_hold,
    live_sessions_have_their_credit,
    no_hold_without_session,
    ended_sessions_are_settled_rightly,
    nothing_is_settled_twice,
    the_ledger_adds_up,
    no_holds_overlap,
    every_outbox_row_is_sent,
    requests_are_decided,
    a_miss_is_told_once,
)

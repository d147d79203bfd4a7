"""The invariants across services. Each one takes a snapshot and describes every violation in a sentence with the ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

from makegood_cli.audit.snapshot import Row, Snapshot

LIVE = frozenset({"reserved", "confirmed", "in_session"})
"""Statuses in which a session holds a slot and a credit."""

WAITING = LIVE | {"requested"}
"""Statuses that end without a request, at a deadline."""

ONCE_RESERVED = frozenset({"completed", "declined", "expired", "provider_missed", "member_no_show"})
"""Final statuses that only a reserved session can reach."""

LATE = timedelta(minutes=1)
"""How late a deadline may be, in product time, before it counts as a violation."""

SETTLED_AS: dict[str, frozenset[str]] = {
    "completed": frozenset({"spent"}),
    "member_no_show": frozenset({"forfeited"}),
    "free_no_show": frozenset({"returned"}),
    "cancelled": frozenset({"returned", "forfeited"}),
    "provider_missed": frozenset({"returned"}),
    "declined": frozenset({"returned"}),
    "expired": frozenset({"returned"}),
    "rejected": frozenset({"returned"}),
}
"""How the credit hold of an ended session may be settled (CRED-3)."""

INVOICE_AS: dict[str, frozenset[str]] = {
    "completed": frozenset({"issued", "paid", "overdue"}),
    "member_no_show": frozenset({"issued", "paid", "overdue"}),
    "free_no_show": frozenset({"void"}),
    "cancelled": frozenset({"void", "issued", "paid", "overdue"}),
    "provider_missed": frozenset({"void"}),
    "declined": frozenset({"void"}),
    "expired": frozenset({"void"}),
    "rejected": frozenset({"void"}),
}
"""The status that the co-pay of an ended session may have (MISS-3)."""

NOT_THE_MEMBERS = frozenset({"declined", "expired", "rejected", "provider_missed", "member_no_show"})
"""Final statuses in which a returned credit is not the member's doing. Who cancelled a session is only known from the
topics."""

Invariant = Callable[[Snapshot], Iterator[str]]


def live_sessions_have_one_slot_hold(data: Snapshot) -> Iterator[str]:
    """BOOK-1: every live session has exactly one live slot hold, for the same people, venue and time."""
    holds = {row["session_id"]: row for row in data.slot_holds if row["live"]}
    for session in data.sessions:
        hold = holds.get(session["id"])
        if session["status"] not in LIVE:
            continue
        if hold is None:
            yield f"session {session['id']} is {session['status']} and has no live slot hold"
            continue
        names = ("provider_id", "member_id", "venue_id", "starts_at", "ends_at")
        if different := [name for name in names if hold[name] != session[name]]:
            yield f"session {session['id']} and its slot hold differ in {', '.join(different)}"


def live_sessions_have_their_credit(data: Snapshot) -> Iterator[str]:
    """BOOK-1: every live session has exactly one credit hold or pending co-pay of its member."""
    holds = {row["session_id"]: row for row in data.credit_holds}
    for session in data.sessions:
        if session["status"] not in LIVE:
            continue
        hold = holds.get(session["id"])
        if hold is None or hold["state"] != "held":
            yield f"session {session['id']} is {session['status']} and has no credit hold"
        elif not (hold["is_credit"] or hold["waived"]) and hold["invoice"] != "pending":
            yield f"session {session['id']} is {session['status']} and its co-pay is {hold['invoice']}"
        elif hold["member_id"] != session["member_id"]:
            yield f"session {session['id']} and its credit hold differ in member_id"


def what_is_reserved_does_not_lapse(data: Snapshot) -> Iterator[str]:
    """AVAIL-4: after `hold_until`, both holds of a live session are firm."""
    live = {row["id"]: row["status"] for row in data.sessions if row["status"] in LIVE}
    slots = ((row, "slot") for row in data.slot_holds if row["live"])
    credits = ((row, "credit") for row in data.credit_holds if row["state"] == "held")
    for hold, what in (*slots, *credits):
        status = live.get(hold["session_id"])
        if status is not None and not hold["firm"] and hold["hold_until"] < data.now - LATE:
            yield f"session {hold['session_id']} is {status} and its {what} hold is not firm"


def what_was_reserved_had_its_holds(data: Snapshot) -> Iterator[str]:
    """BOOK-1: every ended session that was once reserved had a slot hold and a credit hold."""
    slots = {row["session_id"] for row in data.slot_holds if row["hold_until"] is not None}
    paid = {row["session_id"] for row in data.credit_holds if row["state"] not in ("refused", "ended")}
    for session in data.sessions:
        status = session["status"]
        if status in WAITING or (session["confirm_by"] is None and status not in ONCE_RESERVED):
            continue
        if session["id"] not in slots:
            yield f"session {session['id']} is {status} and never had a slot hold"
        if session["id"] not in paid:
            yield f"session {session['id']} is {status} and never had a credit hold"


def no_hold_without_session(data: Snapshot) -> Iterator[str]:
    """No slot and no credit is held for a session that does not exist or has ended."""
    statuses = {row["id"]: row["status"] for row in data.sessions}
    for row in data.slot_holds:
        if row["live"] and statuses.get(row["session_id"]) not in WAITING:
            yield f"a slot is held for session {row['session_id']}, which is {statuses.get(row['session_id'], 'unknown')}"
    for row in data.credit_holds:
        if row["state"] == "held" and statuses.get(row["session_id"]) not in WAITING:
            yield f"a credit is held for session {row['session_id']}, which is {statuses.get(row['session_id'], 'unknown')}"


_BEFORE = {"platform:spent": "spent", "platform:forfeited": "forfeited"}
"""How a credit had been settled before support returned it by hand, by the account that it was returned from (MISS-5)."""


def ended_sessions_are_settled_rightly(data: Snapshot) -> Iterator[str]:
    """CRED-3, MISS-2, MISS-3, MISS-5: each hold is settled as the session's outcome requires, and booking agrees with
    credits."""
    sessions = {row["id"]: row for row in data.sessions}
    for hold in data.credit_holds:
        session = sessions.get(hold["session_id"])
        if session is None or session["status"] not in SETTLED_AS or hold["state"] in ("held", "refused", "ended"):
            continue
        if hold["is_credit"]:
            yield from _credit_disagrees(session, hold)
        elif not hold["waived"] and hold["invoice"] not in INVOICE_AS[_ending(session)]:
            yield f"session {session['id']} is {session['status']} and its co-pay is {hold['invoice']}"


def _ending(session: Row) -> str:
    """RESC-3: a no-show is free if the provider had moved the session at short notice."""
    free = session["status"] == "member_no_show" and session["moved_at_short_notice"]
    return "free_no_show" if free else session["status"]


def _credit_disagrees(session: Row, hold: Row) -> Iterator[str]:
    state, status = hold["state"], session["status"]
    if (state == "returned") != (hold["returned_from"] is not None):
        yield f"session {session['id']}: its hold is {state}, but the ledger disagrees about a return"
    settled = _BEFORE.get(hold["returned_from"], state)
    # A returned credit that was used before the correction stays returned, because no balance may be negative.
    stays = session["corrected"] and state == "returned"
    if not stays and not {state, settled} & SETTLED_AS[_ending(session)]:
        yield f"session {session['id']} is {status} and its credit was {state}"
    if session["credit_state"] != state:
        yield f"session {session['id']}: booking says its credit is {session['credit_state']}, credits says {state}"


def nothing_is_settled_twice(data: Snapshot) -> Iterator[str]:
    """CRED-3: a session's credit is settled once, and returned at most once."""
    for row in data.settlements:
        yield f"the credit of session {row['session_id']} was settled {row['times']} times"
    for row in data.returns:
        yield f"the credit of session {row['session_id']} was returned {row['times']} times"


def no_credit_lapses_as_it_comes_back(data: Snapshot) -> Iterator[str]:
    """MISS-2: a credit that returns through no fault of its member stays valid for a while."""
    statuses = {row["id"]: row["status"] for row in data.sessions}
    for row in data.lapsed_returns:
        status = statuses.get(row["session_id"])
        if status in NOT_THE_MEMBERS:
            yield f"session {row['session_id']} is {status}, and its credit expired as soon as it was returned"


def what_is_made_good_stands(data: Snapshot) -> Iterator[str]:
    """MISS-4: no credit that was made good expires before its thirty days are over, whatever happens to the plan."""
    for row in data.guarantees:
        if row["too_many"]:
            yield f"lot {row['id']} guarantees more credits than it holds"
        else:
            yield f"lot {row['id']} expires at {row['expires_at']}, but one of its credits is guaranteed until {row['until']}"


def what_is_paid_buys_or_goes_back(data: Snapshot) -> Iterator[str]:
    """CRED-6: a payment for credits results in credits or in a refund."""
    for row in data.unused_payments:
        yield f"checkout {row['id']} of member {row['member_id']} was paid, but led to neither credits nor a refund"


def the_ledger_adds_up(data: Snapshot) -> Iterator[str]:
    """CRED-1: balances equal the sums of their ledger entries and holds."""
    for row in data.imbalances:
        yield (
            f"{row['what']} {row['id']} has {row['available']} available, {row['held']} held; "
            f"its entries add up to {row['available_entered']} and {row['held_entered']}"
        )


def no_holds_overlap(data: Snapshot) -> Iterator[str]:
    """AVAIL-3: no two live holds of one provider, member or venue overlap."""
    for row in data.overlaps:
        yield f"the slots of sessions {row['one']} and {row['other']} overlap"


def what_is_offered_is_held(data: Snapshot) -> Iterator[str]:
    """AVAIL-6: every waitlist offer holds its slot, and no slot is held for an offer that has ended."""
    for row in data.offers:
        what = "is offered a slot that is not held" if row["offered"] else "holds a slot without an offer"
        yield f"waitlist entry {row['entry_id']} {what}"


def candidates_are_judged(data: Snapshot) -> Iterator[str]:
    """AVAIL-6: a candidate is judged in time, or the next one is proposed, so that nobody blocks the line."""
    for row in data.candidates:
        if row["decide_by"] < data.now - LATE:
            yield f"waitlist entry {row['entry_id']} is still a candidate; the decision was due by {row['decide_by']}"


def who_is_erased_has_nothing_ahead(data: Snapshot) -> Iterator[str]:
    """NOTE-5: soon after the erasure, a person has no schedule, open room, session ahead or waitlist entry."""
    gone = {row["person_id"]: row["erased_at"] for row in data.erased if row["erased_at"] < data.now - LATE}
    came_back = {
        row["provider_id"] for row in data.published if row["changed_at"] > gone.get(row["provider_id"], data.now)
    }
    gone = {person: at for person, at in gone.items() if person not in came_back}
    for row in data.published:
        if row["provider_id"] in gone:
            yield f"provider {row['provider_id']} was erased and has a schedule"
    for room in data.rooms:
        for person in {room["member_id"], room["provider_id"]} & gone.keys():
            if room["status"] == "active" and max(room["created_at"], room["last_activity_at"]) < gone[person]:
                yield f"{person} was erased and room {room['id']} is open"
    for session in data.sessions:
        for person in {session["member_id"], session["provider_id"]} & gone.keys():
            if (
                session["status"] in WAITING
                and session["starts_at"] > data.now
                and session["requested_at"] < gone[person]
            ):
                yield f"{person} was erased and session {session['id']} is {session['status']}"
    for row in data.awaited:
        for person in {row["member_id"], row["provider_id"]} & gone.keys():
            yield f"{person} was erased and waitlist entry {row['entry_id']} is open"


def every_outbox_row_is_sent(data: Snapshot) -> Iterator[str]:
    """All events in the outboxes are published."""
    for service, row in data.outboxes.items():
        if row["unsent"]:
            yield f"{service} has {row['unsent']} unsent events, the oldest for {row['age']:.0f} s"


def requests_are_decided(data: Snapshot) -> Iterator[str]:
    """Every booking is decided."""
    for row in data.sessions:
        if row["status"] == "requested":
            yield f"session {row['id']} is still requested"


def sessions_are_awaited(data: Snapshot) -> Iterator[str]:
    """CONF-2, JOIN-2, MISS-1, NOSH-1: every session that is not over has a deadline, at the right time."""
    for row in data.sessions:
        if row["status"] not in WAITING:
            continue
        if row["due_at"] is None:
            yield f"session {row['id']} is {row['status']} and has no deadline"
        elif row["moment"] is not None and row["due_at"] > row["moment"] + LATE:
            yield f"session {row['id']} is {row['status']} and has its deadline at {row['due_at']}, not {row['moment']}"


def deadlines_are_met(data: Snapshot) -> Iterator[str]:
    """MISS-1, AVAIL-4: no deadline has failed, and none is overdue."""
    for service, rows in data.late_deadlines.items():
        for row in rows:
            said = f"{service}'s deadline {row['kind']} of {row['entity_id']}"
            if row["attempts"]:
                yield f"{said} failed {row['attempts']} times"
            else:
                yield f"{said} has been overdue for {row['overdue']:.0f} s"


def a_miss_is_emailed_once(data: Snapshot) -> Iterator[str]:
    """MISS-3: there is exactly one e-mail about each missed session, and it is sent if the member has an address."""
    emailed = Counter(row["session_id"] for row in data.missed_emails)
    missed = {row["id"] for row in data.sessions if row["status"] == "provider_missed"}
    # A session that support corrected may have one e-mail about its first outcome and one about the corrected one.
    corrected = {row["id"] for row in data.sessions if row["corrected"]}
    for session in sorted(missed - emailed.keys() - corrected):
        yield f"session {session} was missed, and there is no e-mail about it"
    for session, times in emailed.items():
        if times != 1:
            yield f"session {session}: {times} e-mails about one miss"
        if session not in missed | corrected:
            yield f"session {session}: an e-mail says it was missed, and it was not"
    for row in data.missed_emails:
        # People can opt out of e-mails (NOTE-1).
        skipped = row["status"] == "skipped" and row["has_address"] and row["reason"] != "not-wanted"
        if row["status"] == "failed" or skipped:
            yield f"session {row['session_id']}: the e-mail about its miss was {row['status']} ({row['reason']})"


PENDING = frozenset({"asked", "funded"})
"""States of a move or extension that is not decided yet."""


def moves_are_decided(data: Snapshot) -> Iterator[str]:
    """RESC-1, EXT-1: every move and extension is decided by its `decide_by`."""
    for row in data.sessions:
        if row["status"] in LIVE and row["move_state"] in PENDING and row["decide_by"] < data.now - LATE:
            yield f"session {row['id']}: its move was to be decided by {row['decide_by']} and is still {row['move_state']}"


def nothing_is_held_for_no_move(data: Snapshot) -> Iterator[str]:
    """RESC-1: a second credit or co-pay is held for a session only while its move is being decided."""
    sessions = {row["id"]: row for row in data.sessions}
    for row in data.added_holds:
        session = sessions.get(row["session_id"])
        if session is None or session["status"] not in LIVE:
            status = "unknown" if session is None else session["status"]
            yield f"a credit is held for move {row['move_id']} of session {row['session_id']}, which is {status}"
        elif session["move_id"] != row["move_id"] or session["move_state"] not in PENDING:
            yield f"a credit is held for move {row['move_id']} of session {row['session_id']}, which is not being decided"
        elif session["member_id"] != row["member_id"]:
            yield f"session {session['id']} and the credit held for its move differ in member_id"


def charges_stand_as_they_must(data: Snapshot) -> Iterator[str]:
    """CRED-7, MISS-3: exactly the charges that are past due are overdue. Nothing is charged for a missed session, except what
    its member already owed for a move at short notice (RESC-1)."""
    missed = {row["id"] for row in data.sessions if row["status"] == "provider_missed"}
    ends = {row["id"]: row["ends_at"] for row in data.sessions}
    for row in data.invoices:
        due = row["overdue_at"]
        if row["status"] == "overdue" and (due is None or due > data.now + LATE):
            yield f"invoice {row['id']} is overdue before it was due"
        if row["status"] == "issued" and due is not None and due < data.now - LATE:
            yield f"invoice {row['id']} was due until {due} and is not overdue"
        ends_at = ends.get(row["session_id"])
        if row["status"] == "pending" and due is not None and ends_at is not None and due <= ends_at:
            yield f"invoice {row['id']} is pending, and overdue when session {row['session_id']} ends"
        if row["session_id"] in missed and row["status"] != "void" and not row["moved_late"]:
            yield f"session {row['session_id']} was missed by its provider and invoice {row['id']} is {row['status']}"
        if row["kept"]:
            yield f"invoice {row['id']} is void, and its payment was not refunded"


def booking_knows_who_owes(data: Snapshot) -> Iterator[str]:
    """BOOK-7: booking and credits agree on which members have overdue charges."""
    owing = {row["member_id"] for row in data.invoices if row["status"] == "overdue"}
    known = {row["member_id"] for row in data.debtors}
    for member in sorted(owing - known):
        yield f"member {member} has an overdue charge, and booking does not know"
    for member in sorted(known - owing):
        yield f"booking believes that member {member} owes a charge, but none is overdue"


def access_logs_are_whole(data: Snapshot) -> Iterator[str]:
    """SEC-5: the hash chain of each access log is valid, and each row is added to it soon after its commit."""
    for service, trail in data.trails.items():
        if trail.broken is not None:
            yield f"{service}'s access log: {trail.broken}"
        for row_id in trail.unsealed:
            yield f"{service}'s access log: row {row_id} is not in the chain"
        for row_id in trail.vanished:
            yield f"{service}'s access log: row {row_id} was removed before it was sealed"


INVARIANTS: tuple[Invariant, ...] = (
    access_logs_are_whole,
    live_sessions_have_one_slot_hold,
    live_sessions_have_their_credit,
    what_is_reserved_does_not_lapse,
    what_was_reserved_had_its_holds,
    no_hold_without_session,
    ended_sessions_are_settled_rightly,
    nothing_is_settled_twice,
    no_credit_lapses_as_it_comes_back,
    what_is_made_good_stands,
    what_is_paid_buys_or_goes_back,
    the_ledger_adds_up,
    no_holds_overlap,
    what_is_offered_is_held,
    candidates_are_judged,
    who_is_erased_has_nothing_ahead,
    every_outbox_row_is_sent,
    requests_are_decided,
    sessions_are_awaited,
    deadlines_are_met,
    a_miss_is_emailed_once,
    moves_are_decided,
    nothing_is_held_for_no_move,
    charges_stand_as_they_must,
    booking_knows_who_owes,
)

"""Each invariant across the services: silent on what is right, and loud at every single fault."""

from __future__ import annotations

import pytest
from makegood_cli.audit import invariants
from makegood_cli.audit.invariants import INVARIANTS, Invariant

from .audit_case import BOTH, GOOD, HOUR, MINUTE, NOW, Fault, adds, corrected, lacks, names, sets, trail, with_fault

i = invariants
EMAIL = {"status": "sent", "reason": None, "has_address": True}
ended = invariants.ended_sessions_are_settled_rightly
IN_TABLES: list[tuple[Invariant, Fault, str]] = [
    (i.access_logs_are_whole, trail(broken="row 7 was changed"), "booking's access log: row 7 was changed"),
    (i.access_logs_are_whole, trail(unsealed=[7]), "row 7 is not in the chain"),
    (i.access_logs_are_whole, trail(vanished=[7]), "row 7 was removed before it was sealed"),
    (i.live_sessions_have_one_slot_hold, lacks("slot_holds", "reserved"), "has no live slot hold"),
    (i.live_sessions_have_one_slot_hold, sets("slot_holds", "confirmed", live=False), "has no live slot hold"),
    *(
        (i.live_sessions_have_one_slot_hold, sets("slot_holds", "in_session", **{name: value}), f"differ in {name}")
        for name, value in zip(BOTH, ("x", "x", None, NOW, NOW), strict=True)
    ),
    (i.live_sessions_have_their_credit, lacks("credit_holds", "reserved"), "has no credit hold"),
    (i.live_sessions_have_their_credit, sets("credit_holds", "confirmed", state="returned"), "has no credit hold"),
    (i.live_sessions_have_their_credit, sets("credit_holds", "confirmed/co-pay", invoice="void"), "co-pay is void"),
    (i.live_sessions_have_their_credit, sets("credit_holds", "in_session", member_id="x"), "differ in member_id"),
    (i.what_is_reserved_does_not_lapse, sets("slot_holds", "reserved", firm=False), "slot hold is not firm"),
    (i.what_is_reserved_does_not_lapse, sets("credit_holds", "confirmed", firm=False), "credit hold is not firm"),
    (i.what_was_reserved_had_its_holds, lacks("slot_holds", "completed"), "never had a slot hold"),
    (i.what_was_reserved_had_its_holds, sets("slot_holds", "missed", hold_until=None), "never had a slot hold"),
    (i.what_was_reserved_had_its_holds, lacks("credit_holds", "missed"), "never had a credit hold"),
    (i.what_was_reserved_had_its_holds, sets("credit_holds", "cancelled", state="ended"), "never had a credit hold"),
    (i.what_was_reserved_had_its_holds, sets("credit_holds", "no_show", state="refused"), "never had a credit hold"),
    (i.no_hold_without_session, sets("slot_holds", "missed", live=True), "a slot is held for session missed"),
    (i.no_hold_without_session, sets("credit_holds", "missed", state="held"), "a credit is held for session missed"),
    (i.no_hold_without_session, lacks("sessions", "reserved"), "a credit is held for session reserved, which is unk"),
    *(
        (ended, sets("credit_holds", name, state=state, returned_from=None), said)
        for name, state, said in (
            ("completed", "forfeited", "completed and its credit was forfeited"),
            ("no_show", "spent", "member_no_show and its credit was spent"),
            ("moved/no_show", "forfeited", "member_no_show and its credit was forfeited"),
            ("missed", "forfeited", "provider_missed and its credit was forfeited"),
            ("cancelled", "spent", "cancelled and its credit was spent"),
            ("declined", "spent", "declined and its credit was spent"),
            ("expired", "forfeited", "expired and its credit was forfeited"),
            ("rejected", "forfeited", "rejected and its credit was forfeited"),
        )
    ),
    (
        ended,
        sets("credit_holds", "completed", state="returned", returned_from="member:held"),
        "completed and its credit was returned",
    ),
    (
        ended,
        sets("credit_holds", "back/no_show", returned_from="platform:spent"),
        "member_no_show and its credit was returned",
    ),
    (ended, sets("credit_holds", "back/completed", state="spent"), "but the ledger disagrees"),
    (ended, sets("credit_holds", "missed", returned_from=None), "the ledger disagrees"),
    (ended, sets("sessions", "missed", credit_state="held"), "booking says"),
    (
        ended,
        sets("sessions", "moved/no_show", moved_at_short_notice=False),
        "member_no_show and its credit was returned",
    ),
    (ended, sets("credit_holds", "moved/no_show/co-pay", invoice="issued"), "member_no_show and its co-pay is issued"),
    (ended, sets("sessions", "back/no_show", credit_state="forfeited"), "booking says"),
    (ended, sets("sessions", "back/completed", credit_state="spent"), "booking says"),
    (ended, sets("credit_holds", "missed/co-pay", invoice="issued"), "co-pay is issued"),
    (ended, sets("credit_holds", "completed/co-pay", invoice="void"), "co-pay is void"),
    (ended, sets("credit_holds", "expired/co-pay", invoice="pending"), "is pending"),
    (i.nothing_is_settled_twice, adds("settlements", session_id="missed", times=2), "settled 2 times"),
    (i.nothing_is_settled_twice, adds("returns", session_id="missed", times=2), "was returned 2 times"),
    *(
        (i.no_credit_lapses_as_it_comes_back, adds("lapsed_returns", session_id=session), f"session {session} is")
        for session in ("declined", "expired", "rejected", "missed")
    ),
    (
        i.what_is_made_good_stands,
        adds("guarantees", id="lot", expires_at=NOW, until=NOW + HOUR, too_many=False),
        "lot lot expires at",
    ),
    (
        i.what_is_made_good_stands,
        adds("guarantees", id="lot", expires_at=None, until=NOW + HOUR, too_many=True),
        "lot lot guarantees more credits than it holds",
    ),
    (
        i.what_is_paid_buys_or_goes_back,
        adds("unused_payments", id="checkout", member_id="member"),
        "checkout checkout of member member was paid",
    ),
    (
        i.the_ledger_adds_up,
        adds("imbalances", what="lot", id="lot", available=1, held=0, available_entered=2, held_entered=0),
        "lot lot has 1 available",
    ),
    (i.no_holds_overlap, adds("overlaps", one="reserved", other="confirmed"), "reserved and confirmed overlap"),
    (
        i.what_is_offered_is_held,
        adds("offers", entry_id="e", offered=True, held=False),
        "e is offered a slot that is not held",
    ),
    (
        i.what_is_offered_is_held,
        adds("offers", entry_id="e", offered=False, held=True),
        "e holds a slot without an offer",
    ),
    (
        i.candidates_are_judged,
        adds("candidates", entry_id="e", decide_by=NOW - 2 * MINUTE),
        "waitlist entry e is still a candidate",
    ),
    (
        i.who_is_erased_has_nothing_ahead,
        adds("published", provider_id="gone", changed_at=NOW - 2 * HOUR),
        "provider gone was erased and has a schedule",
    ),
    (
        i.who_is_erased_has_nothing_ahead,
        lambda case: case.tables["rooms"][0].update(provider_id="gone"),
        "gone was erased and room room is open",
    ),
    (
        i.who_is_erased_has_nothing_ahead,
        sets("sessions", "confirmed", member_id="gone"),
        "gone was erased and session confirmed is confirmed",
    ),
    (
        i.who_is_erased_has_nothing_ahead,
        adds("awaited", entry_id="e", member_id="gone", provider_id="provider"),
        "gone was erased and waitlist entry e is open",
    ),
    (
        i.every_outbox_row_is_sent,
        lambda case: case.tables["outboxes"]["credits"].update(unsent=3, age=4.0),
        "credits has 3 unsent events, the oldest for 4 s",
    ),
    (i.requests_are_decided, sets("sessions", "reserved", status="requested"), "still requested"),
    (i.sessions_are_awaited, sets("sessions", "confirmed", due_at=None), "confirmed and has no deadline"),
    (i.sessions_are_awaited, sets("sessions", "reserved", due_at=NOW + HOUR + 2 * MINUTE), "has its deadline at"),
    (
        i.deadlines_are_met,
        lambda case: case.tables["late_deadlines"]["booking"].append(
            {"kind": "session", "entity_id": "confirmed", "attempts": 2, "overdue": -5.0}
        ),
        "booking's deadline session of confirmed failed 2 times",
    ),
    (
        i.deadlines_are_met,
        lambda case: case.tables["late_deadlines"]["credits"].append(
            {"kind": "hold-lapse", "entity_id": "x", "attempts": 0, "overdue": 61.2}
        ),
        "credits's deadline hold-lapse of x has been overdue for 61 s",
    ),
    (i.a_miss_is_emailed_once, lacks("missed_emails", "missed"), "there is no e-mail about it"),
    (i.a_miss_is_emailed_once, adds("missed_emails", **EMAIL, session_id="missed"), "2 e-mails about one miss"),
    (i.a_miss_is_emailed_once, adds("missed_emails", **EMAIL, session_id="completed"), "an e-mail says it was missed"),
    (i.a_miss_is_emailed_once, sets("missed_emails", "missed", status="failed"), "its miss was failed"),
    (i.a_miss_is_emailed_once, sets("missed_emails", "missed/co-pay", has_address=True), "its miss was skipped"),
    (i.moves_are_decided, sets("sessions", "moving", decide_by=NOW - 2 * MINUTE), "and is still asked"),
    (
        i.moves_are_decided,
        sets("sessions", "moving", decide_by=NOW - 2 * MINUTE, move_state="funded"),
        "and is still funded",
    ),
    (i.nothing_is_held_for_no_move, sets("sessions", "moving", move_state="refused"), "which is not being decided"),
    (i.nothing_is_held_for_no_move, sets("sessions", "moving", move_id="another"), "which is not being decided"),
    (i.nothing_is_held_for_no_move, sets("sessions", "moving", move_id=None, move_state=None), "not being decided"),
    (
        i.nothing_is_held_for_no_move,
        sets("sessions", "moving", status="cancelled"),
        "session moving, which is cancelled",
    ),
    (i.nothing_is_held_for_no_move, lacks("sessions", "moving"), "of session moving, which is unknown"),
    (i.nothing_is_held_for_no_move, sets("added_holds", "moving", member_id="x"), "differ in member_id"),
    (
        i.charges_stand_as_they_must,
        sets("invoices", "completed/co-pay", overdue_at=NOW + HOUR),
        "late is overdue before",
    ),
    (i.charges_stand_as_they_must, sets("invoices", "no_show/co-pay", overdue_at=NOW - HOUR), "open was due until"),
    (
        i.charges_stand_as_they_must,
        adds(
            "invoices",
            id="soon",
            session_id="confirmed",
            member_id="member",
            status="pending",
            overdue_at=NOW,
            kept=False,
            moved_late=False,
        ),
        "invoice soon is pending, and overdue when session confirmed ends",
    ),
    (i.charges_stand_as_they_must, sets("invoices", "missed/co-pay", status="issued"), "invoice nothing is issued"),
    (i.charges_stand_as_they_must, sets("invoices", "missed/co-pay", status="paid"), "invoice nothing is paid"),
    (
        i.charges_stand_as_they_must,
        sets("invoices", "missed/co-pay", kept=True),
        "nothing is void, and its payment was not refunded",
    ),
    (
        i.booking_knows_who_owes,
        lambda case: case.tables["debtors"].clear(),
        "member has an overdue charge, and booking",
    ),
    (i.booking_knows_who_owes, adds("debtors", member_id="honest"), "booking believes that member honest owes"),
]


def test_what_is_right_is_not_blamed() -> None:
    data = GOOD.snapshot()
    assert [said for invariant in INVARIANTS for said in invariant(data)] == []


@pytest.mark.parametrize(("invariant", "fault", "expected"), IN_TABLES, ids=names(IN_TABLES))
def test_an_invariant_names_its_fault(invariant: Invariant, fault: Fault, expected: str) -> None:
    said = list(invariant(with_fault(fault).snapshot()))
    assert len([each for each in said if expected in each]) == 1, said


def test_every_invariant_has_a_fault() -> None:
    assert {rule for rule, _, _ in IN_TABLES} == set(INVARIANTS)


@pytest.mark.parametrize(
    "allowed",
    [
        # A hold may still lapse, so it need not be firm yet.
        sets("slot_holds", "reserved", firm=False, hold_until=NOW + MINUTE),
        # A deadline that is pushed a little is no harm, nor one that comes early.
        sets("sessions", "confirmed", due_at=NOW + HOUR + MINUTE),
        sets("sessions", "confirmed", due_at=NOW),
        # The member wants no e-mails.
        sets("missed_emails", "missed", status="skipped", reason="not-wanted"),
        # It is on its way.
        sets("missed_emails", "missed", status="queued", reason=None),
        sets("credit_holds", "completed/co-pay", invoice="paid"),
        sets("credit_holds", "no_show/co-pay", invoice="overdue"),
        # Support voided it, whatever becomes of the session (CRED-7).
        sets("credit_holds", "confirmed/co-pay", invoice="void", waived=True),
        sets("credit_holds", "completed/co-pay", invoice="void", waived=True),
        # What a late move of a session cost is owed whatever came after.
        sets("invoices", "missed/co-pay", status="issued", moved_late=True),
        # Support corrected it: its credit was used meanwhile and stays returned; the mails published what was recorded first.
        corrected("missed", "completed"),
        corrected("back/no_show", "provider_missed"),
    ],
)
def test_what_may_be_is_not_blamed(allowed: Fault) -> None:
    data = with_fault(allowed).snapshot()
    assert [said for invariant in INVARIANTS for said in invariant(data)] == []

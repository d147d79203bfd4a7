"""Each check that topics and databases agree: silent on what is right, and loud at every single fault."""

from __future__ import annotations

from copy import deepcopy

import pytest
from makegood_cli.audit import agreement
from makegood_cli.audit.agreement import CHECKS, Check
from makegood_cli.audit.topics import RecordedAccess, TopicWitness

from .audit_case import GOOD, Case, Fault, cancels, last, names, published, trail, with_fault

c = agreement


def lapses_as_it_comes_back(case: Case) -> None:
    case.witness.cancelled_by_others.add("cancelled")
    case.tables["lapsed_returns"].append({"session_id": "cancelled"})


BETWEEN: list[tuple[Check, Fault, str]] = [
    (
        c.the_access_log_is_as_it_was_published,
        published(2, None),
        "row 12 has seal 2, and no event about it: it was inserted",
    ),
    (
        c.the_access_log_is_as_it_was_published,
        published(2, RecordedAccess(12, "x", "link 2")),
        "is different now: it was changed",
    ),
    (
        c.the_access_log_is_as_it_was_published,
        published(2, RecordedAccess(12, "row 2", "x")),
        "the chain was rewritten since",
    ),
    (
        c.the_access_log_is_as_it_was_published,
        published(4, RecordedAccess(14, "d", "d")),
        "row 14 was published with seal 4 and is missing",
    ),
    (
        c.the_access_log_is_as_it_was_published,
        trail(seals={}),
        "row 11 was published with seal 1 and is missing: it was removed",
    ),
    (c.events_are_whole, lambda case: setattr(case.witness, "malformed", 1), "1 records are not valid events"),
    (c.events_are_whole, lambda case: case.witness.disorders.append("3 follows 1"), "3 follows 1"),
    (
        c.events_are_whole,
        lambda case: case.witness.headless.append(("booking.rooms.v1", "room", 2)),
        "booking.rooms.v1, key room: the first event has sequence 2",
    ),
    *(
        (
            c.events_reach_as_far_as_the_tables,
            last(topic, key, sequence),
            f"key {key}: its last event has sequence {published},",
        )
        for topic, key, whole in (
            ("booking.sessions.v1", "missed", 4),
            ("booking.rooms.v1", "room", 2),
            ("availability.schedules.v1", "provider", 3),
            ("credits.ledger.v1", "member", 9),
            ("credits.enrolments.v1", "member", 1),
        )
        for sequence, published in ((None, 0), (whole - 1, whole - 1), (whole + 1, whole + 1))
    ),
    (c.events_reach_as_far_as_the_tables, last("booking.sessions.v1", "strange", 1), "has events but no row"),
    *(
        (
            c.holds_are_published_as_far_as_they_went,
            last(topic, "missed", sequence),
            f"key missed: its last event has {said}",
        )
        for topic, whole in (("availability.reservations.v1", 2), ("credits.holds.v1", 1))
        for sequence, said in ((None, "sequence 0"), (whole + 1, f"sequence {whole + 1}"))
    ),
    (
        c.moves_are_answered_once,
        lambda case: case.witness.moves_answered.pop("made"),
        "made of session moving was never",
    ),
    (c.moves_are_answered_once, lambda case: case.witness.moves_answered.update(["made"]), "was answered 2 times"),
    (
        c.moves_are_answered_once,
        lambda case: case.witness.moves_answered.update(["x"]),
        "move x was answered but never requested",
    ),
    (
        c.offers_were_judged,
        lambda case: case.witness.could_book.clear(),
        "waitlist entry entry was offered a slot that booking did not find bookable",
    ),
    (c.slots_are_published, lambda case: case.witness.slot_held.discard("missed"), "was held, and no event says so"),
    (c.slots_are_published, lambda case: case.witness.slot_released.pop("missed"), "is over and was released 0 times"),
    (
        c.slots_are_published,
        lambda case: case.witness.slot_released.update(["missed"]),
        "is over and was released 2 times",
    ),
    (
        c.slots_are_published,
        lambda case: case.witness.slot_released.update(["reserved"]),
        "is held and was released 1 times",
    ),
    (c.credits_are_published, lambda case: case.witness.credit_held.discard("missed"), "the credit of session missed"),
    (c.deliveries_are_published, lambda case: case.witness.delivered.clear(), "delivery sent is sent, and no event"),
    (c.deliveries_are_published, lambda case: case.witness.failed.clear(), "delivery failed is failed, and no event"),
    (c.misses_are_made_good_once, lambda case: case.witness.came_back.pop("missed"), "made good 0 times"),
    (c.misses_are_made_good_once, lambda case: case.witness.came_back.pop("missed/co-pay"), "made good 0 times"),
    (
        c.misses_are_made_good_once,
        lambda case: case.witness.came_back["missed"].append("support"),
        "session missed was missed and made good 2 times",
    ),
    (
        c.cancelled_credits_stand_for_a_while,
        lapses_as_it_comes_back,
        "the member did not cancel session cancelled",
    ),
    *(
        (c.cancellations_cost_what_they_said, cancels(session, forfeits), said)
        for session, forfeits, said in (
            ("cancelled", True, "forfeits, and its credit was returned"),
            ("forfeited", False, "forfeits nothing, and its credit was forfeited"),
            ("cancelled/co-pay", True, "forfeits, and its co-pay is void"),
            ("forfeited/co-pay", False, "forfeits nothing, and its co-pay is issued"),
            ("back/forfeited", False, "forfeits nothing, and its credit was returned"),
        )
    ),
]


def test_what_is_right_is_not_blamed() -> None:
    data = GOOD.snapshot()
    assert list(agreement.against(GOOD.witness, data)) == []


@pytest.mark.parametrize(("check", "fault", "expected"), BETWEEN, ids=names(BETWEEN))
def test_a_check_of_the_topics_names_its_fault(check: Check, fault: Fault, expected: str) -> None:
    case = with_fault(fault)
    said = list(check(case.witness, case.snapshot()))
    assert len([each for each in said if expected in each]) == 1, said
    assert set(said) <= set(agreement.against(case.witness, case.snapshot()))


def test_every_check_has_a_fault() -> None:
    assert {rule for rule, _, _ in BETWEEN} == set(CHECKS)


def test_a_cancellation_of_a_session_whose_hold_lapsed_costs_nothing() -> None:
    case = deepcopy(GOOD)
    case.witness.cancelled["cancelled"] = True
    case.witness.came_back["cancelled"] = ["lapsed"]
    assert list(agreement.against(case.witness, case.snapshot())) == []


def test_what_retention_took_is_not_missed() -> None:
    case = deepcopy(GOOD)
    empty = TopicWitness(cut=set(case.witness.last))
    empty.headless.append(("booking.rooms.v1", "room", 2))
    empty.last["booking.rooms.v1"]["room"] = 2
    empty.missed, empty.credit_held = {"missed"}, {"missed"}
    assert list(agreement.against(empty, case.snapshot())) == []
    empty.last["booking.rooms.v1"]["room"] = 1
    assert list(agreement.against(empty, case.snapshot())) == [
        "booking.rooms.v1, key room: its last event has sequence 1, its row 2"
    ]

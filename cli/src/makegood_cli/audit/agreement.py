"""Checks that topics and databases agree: every change was published, and every event matches a change (REL-6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from makegood_contracts.events import ACCESS_RECORDED
from makegood_contracts.topics import (
    DELIVERIES,
    ENROLMENTS,
    HOLDS,
    LEDGER,
    RESERVATIONS,
    ROOMS,
    SCHEDULES,
    SESSIONS,
    WAITLIST,
    ServiceName,
)

from makegood_cli.audit.invariants import LIVE
from makegood_cli.audit.snapshot import Row, Snapshot
from makegood_cli.audit.topics import RecordedAccess, TopicWitness

Check = Callable[[TopicWitness, Snapshot], Iterator[str]]

MADE_GOOD_BY = frozenset({"provider_missed", "support", "lapsed"})
"""Causes that may return the credit of a missed session: the miss, support, or an earlier lapse of the hold."""


def events_are_whole(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """REL-6: every record is a valid event, and the events of each key are complete, from the first and without gaps."""
    if witness.malformed:
        yield f"{witness.malformed} records are not valid events"
    yield from witness.disorders
    for topic, key, sequence in witness.headless:
        if topic not in witness.cut:
            yield f"{topic}, key {key}: the first event has sequence {sequence}"


def events_reach_as_far_as_the_tables(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """REL-6: the last event of each key has the version of its row."""
    counted: tuple[tuple[str, Iterable[tuple[str, int]]], ...] = (
        (SESSIONS.name, ((row["id"], row["version"]) for row in data.sessions)),
        (ROOMS.name, ((row["id"], row["version"]) for row in data.rooms)),
        (SCHEDULES.name, ((row["provider_id"], row["version"]) for row in data.schedules)),
        (LEDGER.name, ((row["member_id"], row["ledger_sequence"]) for row in data.accounts)),
        (ENROLMENTS.name, ((row["member_id"], row["enrolment_sequence"]) for row in data.accounts)),
    )
    for topic, rows in counted:
        published = witness.last[topic]
        known = set()
        for key, version in rows:
            known.add(key)
            last = published.get(key, 0)
            if last != version and not (last == 0 and topic in witness.cut):
                yield f"{topic}, key {key}: its last event has sequence {last}, its row {version}"
        for key in sorted(published.keys() - known):
            yield f"{topic}, key {key}: has events but no row"


def holds_are_published_as_far_as_they_went(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """REL-6, RESC-1: the last event of each hold (held, moved, refused or released) has the version of its row."""
    counted: tuple[tuple[str, Iterable[tuple[str, int]]], ...] = (
        (
            RESERVATIONS.name,
            (
                (row["session_id"], row["sequence"])
                for row in data.slot_holds
                if row["hold_until"] is not None and not row["is_offer"]
            ),
        ),
        (HOLDS.name, ((row["session_id"], row["answers"]) for row in data.credit_holds if row["state"] != "ended")),
    )
    for topic, rows in counted:
        for key, sequence in rows:
            last = witness.last[topic].get(key, 0)
            if last != sequence and not (last == 0 and topic in witness.cut):
                yield f"{topic}, key {key}: its last event has sequence {last}, its row {sequence}"


def moves_are_answered_once(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """RESC-1, EXT-1: each requested move or extension is answered exactly once, unless the session ended first."""
    if SESSIONS.name in witness.cut:
        return
    sessions = {row["id"]: row for row in data.sessions}
    for move, session_id in witness.moves_asked.items():
        times, session = witness.moves_answered[move], sessions.get(session_id)
        if times > 1:
            yield f"move {move} of session {session_id} was answered {times} times"
        elif times == 0 and session is not None and session["status"] in LIVE and session["move_id"] != move:
            yield f"move {move} of session {session_id} was never answered"
    for move in sorted(witness.moves_answered.keys() - witness.moves_asked.keys()):
        yield f"move {move} was answered but never requested"


def slots_are_published(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """AVAIL-3, CANC-3: each slot hold is published, and released exactly once when it ends."""
    for row in data.slot_holds:
        if row["hold_until"] is None or row["is_offer"]:
            continue  # recorded as ended; it never held a slot
        session_id = row["session_id"]
        if session_id not in witness.slot_held and RESERVATIONS.name not in witness.cut:
            yield f"the slot of session {session_id} was held, and no event says so"
        expected, published = 0 if row["live"] else 1, witness.slot_released[session_id]
        if published != expected and not (published == 0 and RESERVATIONS.name in witness.cut):
            yield f"the slot of session {session_id} is {'held' if row['live'] else 'over'} and was released {published} times"


def offers_were_judged(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """AVAIL-6: a slot is only offered to a member who could book it, according to booking."""
    if WAITLIST.name in witness.cut:
        return
    for proposal in sorted(witness.proposals_offered.keys() - witness.could_book):
        entry = witness.proposals_offered[proposal]
        yield f"waitlist entry {entry} was offered a slot that booking did not find bookable (proposal {proposal})"


def credits_are_published(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """CRED-2: each hold of a credit or co-pay is published."""
    if HOLDS.name in witness.cut:
        return
    for row in data.credit_holds:
        if row["state"] not in ("refused", "ended") and row["session_id"] not in witness.credit_held:
            yield f"the credit of session {row['session_id']} was held, and no event says so"


def deliveries_are_published(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """NOTE-1: each message that was sent or failed is published."""
    if DELIVERIES.name in witness.cut:
        return
    for row in data.finished_deliveries:
        if row["id"] not in (witness.delivered if row["status"] == "sent" else witness.failed):
            yield f"delivery {row['id']} is {row['status']}, and no event says so"


def misses_are_made_good_once(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """MISS-2, MISS-3: the credit of a missed session is returned, or its co-pay voided, exactly once."""
    for session_id in sorted(witness.missed & witness.credit_held):
        times = sum(cause in MADE_GOOD_BY for cause in witness.came_back.get(session_id, ()))
        if times != 1 and not (times == 0 and LEDGER.name in witness.cut):
            yield f"session {session_id} was missed and made good {times} times"


def cancellations_cost_what_they_said(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """CANC-1, CANC-2: a cancellation that forfeits costs the credit or leaves the co-pay due; any other returns it."""
    for hold in data.credit_holds:
        forfeits = witness.cancelled.get(hold["session_id"])
        if forfeits is None or hold["waived"] or hold["state"] in ("held", "refused", "ended"):
            continue
        # The hold lapsed, and so was settled, before the cancellation.
        if forfeits and "lapsed" in witness.came_back.get(hold["session_id"], ()):
            continue
        if _was_forfeited(hold) != forfeits:
            said = "forfeits" if forfeits else "forfeits nothing"
            became = f"credit was {hold['state']}" if hold["is_credit"] else f"co-pay is {hold['invoice']}"
            yield f"the cancellation of session {hold['session_id']} {said}, and its {became}"


def cancelled_credits_stand_for_a_while(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """MISS-2, CANC-2: a returned credit may expire at once only if the member cancelled."""
    for row in data.lapsed_returns:
        if row["session_id"] in witness.cancelled_by_others:
            yield f"the member did not cancel session {row['session_id']}, and its credit expired as soon as it was returned"


def _was_forfeited(hold: Row) -> bool:
    """Whether the member lost the credit or owes the co-pay, even if support has returned it since (MISS-5)."""
    if hold["is_credit"]:
        return "forfeited" in (hold["state"], str(hold["returned_from"]).removeprefix("platform:"))
    return hold["invoice"] in ("issued", "paid", "overdue")


def the_access_log_is_as_it_was_published(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """SEC-5: a service's access log matches the copy on its topic. Only the first difference is reported."""
    for service, trail in data.trails.items():
        topic, published = ACCESS_RECORDED[cast("ServiceName", service)].topic.name, witness.accesses[service]
        for number in sorted(published.keys() | trail.seals.keys()):
            if number <= trail.pruned:
                continue
            copy, kept = published.get(number), trail.seals.get(number)
            if copy is None and topic in witness.cut:
                continue
            if copy != kept:
                yield f"{service}'s access log: {_differs(number, copy, kept)}"
                break


def _differs(number: int, copy: RecordedAccess | None, kept: RecordedAccess | None) -> str:
    if copy is None:
        return f"row {kept.row_id if kept else '?'} has seal {number}, and no event about it: it was inserted"
    if kept is None:
        return f"row {copy.row_id} was published with seal {number} and is missing: it was removed"
    if (copy.row_id, copy.row_hash) != (kept.row_id, kept.row_hash):
        return f"row {copy.row_id} was published with seal {number} and is different now: it was changed"
    return f"row {copy.row_id} was published with seal {number}, and the chain was rewritten since"


CHECKS: tuple[Check, ...] = (
    events_are_whole,
    events_reach_as_far_as_the_tables,
    holds_are_published_as_far_as_they_went,
    moves_are_answered_once,
    slots_are_published,
    offers_were_judged,
    credits_are_published,
    deliveries_are_published,
    misses_are_made_good_once,
    cancellations_cost_what_they_said,
    cancelled_credits_stand_for_a_while,
    the_access_log_is_as_it_was_published,
)


def against(witness: TopicWitness, data: Snapshot) -> Iterator[str]:
    """All violations found by the checks."""
    for check in CHECKS:
        yield from check(witness, data)

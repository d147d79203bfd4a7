"""One of everything that the audit looks at, as it should be; tests put a fault into a copy."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from makegood_cli.audit.snapshot import Snapshot
from makegood_cli.audit.topics import RecordedAccess, TopicWitness
from makegood_cli.audit.trail import Trail

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

ENDS = {
    # session: status, how its credit was settled, what became of its co-pay
    "reserved": ("reserved", "held", "pending"),
    "confirmed": ("confirmed", "held", "pending"),
    "in_session": ("in_session", "held", "pending"),
    "completed": ("completed", "spent", "issued"),
    "no_show": ("member_no_show", "forfeited", "issued"),
    "cancelled": ("cancelled", "returned", "void"),
    "forfeited": ("cancelled", "forfeited", "issued"),
    "missed": ("provider_missed", "returned", "void"),
    "declined": ("declined", "returned", "void"),
    "expired": ("expired", "returned", "void"),
    "rejected": ("rejected", "returned", "void"),
}
LIVE = ("reserved", "confirmed", "in_session")
BOTH = ("provider_id", "member_id", "venue_id", "starts_at", "ends_at")
"""Columns of a session that its slot hold has too."""


TRAIL = {number: RecordedAccess(number + 10, f"row {number}", f"link {number}") for number in (1, 2, 3)}
"""Seals of an access log, and what was told of them."""


class Case:
    """Rows and a witness that agree, for a fault to be put into."""

    def __init__(self) -> None:
        self.witness = TopicWitness()
        self.tables: dict[str, Any] = {
            "now": NOW,
            "sessions": [],
            "added_holds": [],
            "debtors": [{"member_id": "member"}],
            "invoices": [],
            "slot_holds": [],
            "credit_holds": [],
            "overlaps": [],
            "offers": [],
            "candidates": [{"entry_id": "candidate", "decide_by": NOW + MINUTE}],
            "awaited": [{"entry_id": "candidate", "member_id": "member", "provider_id": "provider"}],
            "published": [
                {"provider_id": "provider", "changed_at": NOW - HOUR},
                {"provider_id": "back", "changed_at": NOW - MINUTE},
            ],
            "erased": [{"person_id": person, "erased_at": NOW - HOUR} for person in ("gone", "back")],
            "settlements": [],
            "returns": [],
            "lapsed_returns": [],
            "guarantees": [],
            "unused_payments": [],
            "imbalances": [],
            "rooms": [
                {
                    "id": "room",
                    "version": 2,
                    "status": "active",
                    "member_id": "member",
                    "provider_id": "provider",
                    "created_at": NOW - 2 * HOUR,
                    "last_activity_at": NOW - 2 * HOUR,
                }
            ],
            "schedules": [{"provider_id": "provider", "version": 3}],
            "accounts": [
                {"member_id": "member", "ledger_sequence": 9, "enrolment_sequence": 1},
                {"member_id": "new", "ledger_sequence": 0, "enrolment_sequence": 0},
            ],
            "missed_emails": [],
            "finished_deliveries": [{"id": "sent", "status": "sent"}, {"id": "failed", "status": "failed"}],
            "outboxes": {name: {"unsent": 0, "age": None} for name in ("booking", "credits")},
            "late_deadlines": {"booking": [], "credits": []},
            "trails": {"booking": Trail(seals=dict(TRAIL)), "credits": Trail(pruned=9)},
        }
        self.witness.accesses["booking"] = dict(TRAIL)
        self.witness.accesses["credits"] = {9: RecordedAccess(4, "c", "c")}
        last = self.witness.last
        last["booking.rooms.v1"]["room"] = 2
        last["availability.schedules.v1"]["provider"] = 3
        last["credits.ledger.v1"]["member"] = 9
        last["credits.enrolments.v1"]["member"] = 1
        self.witness.delivered.add("sent")
        self.witness.could_book.add("proposal")
        self.witness.proposals_offered["proposal"] = "entry"
        self.witness.failed.add("failed")
        for name, (status, settled, invoice) in ENDS.items():
            self._add(name, status, settled, None)
            self._add(f"{name}/co-pay", status, settled, invoice)
        self._add("back/completed", "completed", "returned", None, "platform:spent")
        self._add("back/no_show", "member_no_show", "returned", None, "platform:forfeited")
        self._add("back/forfeited", "cancelled", "returned", None, "platform:forfeited")
        # The provider had moved these at short notice.
        for name, co_pay in (("moved/no_show", None), ("moved/no_show/co-pay", "void")):
            self._add(name, "member_no_show", "returned", co_pay)
            self.row("sessions", name)["moved_at_short_notice"] = True
        # One that is being moved, after a move that was made.
        self._add("moving", "confirmed", "held", None)
        self.row("sessions", "moving").update(move_id="move", move_state="asked", decide_by=NOW + MINUTE)
        self.tables["added_holds"].append(
            {"move_id": "move", "session_id": "moving", "member_id": "member", "hold_until": NOW + HOUR, "firm": False}
        )
        self.witness.moves_asked |= {"made": "moving", "move": "moving"}
        self.witness.moves_answered["made"] = 1
        for name, status, session in (
            ("late", "overdue", "completed/co-pay"),
            ("open", "issued", "no_show/co-pay"),
            ("nothing", "void", "missed/co-pay"),
        ):
            due = NOW - HOUR if status == "overdue" else NOW + HOUR
            self.tables["invoices"].append(
                {
                    "id": name,
                    "session_id": session,
                    "member_id": "member",
                    "status": status,
                    "overdue_at": due,
                    "kept": False,
                    "moved_late": False,
                }
            )
        # Refused at once: neither side ever held anything.
        refused = self._session("refused", "rejected", "none")
        self._slot(refused, hold_until=None)
        self._credit("refused", "refused", None)
        self.row("sessions", "refused")["confirm_by"] = None
        for kind, session in (("sent", "missed"), ("skipped", "missed/co-pay")):
            self.tables["missed_emails"].append(
                {"session_id": session, "status": kind, "reason": "no-contact", "has_address": kind == "sent"}
            )

    def _session(self, name: str, status: str, credit_state: str) -> dict[str, Any]:
        live = status in LIVE
        session: dict[str, Any] = {
            "id": name, "status": status, "version": 4, "member_id": "member", "provider_id": "provider",
            "venue_id": "venue", "starts_at": NOW + HOUR, "ends_at": NOW + 2 * HOUR, "confirm_by": NOW + MINUTE,
            "credit_state": credit_state, "due_at": NOW + HOUR if live else None, "moment": NOW + HOUR if live else None,
            "move_id": None, "move_state": None, "decide_by": None, "corrected": False, "requested_at": NOW - 2 * HOUR, "moved_at_short_notice": False,
        }  # fmt: skip
        if status == "rejected":
            session["confirm_by"] = None
        self.tables["sessions"].append(session)
        self.witness.last["booking.sessions.v1"][name] = 4
        return session

    def _slot(self, session: dict[str, Any], hold_until: datetime | None) -> None:
        shared = {key: session[key] for key in BOTH}
        live = session["status"] in LIVE
        self.tables["slot_holds"].append(
            {
                **shared,
                "session_id": session["id"],
                "live": live,
                "firm": live,
                "hold_until": hold_until,
                "sequence": 1 if live else 2,
                "is_offer": False,
            }
        )
        if hold_until is not None:
            self.witness.slot_held.add(session["id"])
            self.witness.last["availability.reservations.v1"][session["id"]] = 1 if live else 2
            if not live:
                self.witness.slot_released[session["id"]] = 1

    def _credit(self, session: str, state: str, invoice: str | None, back: str | None = None) -> None:
        names = (
            "session_id",
            "member_id",
            "state",
            "is_credit",
            "invoice",
            "waived",
            "hold_until",
            "firm",
            "returned_from",
            "answers",
        )
        values = (session, "member", state, invoice is None, invoice, False, NOW - HOUR, True, back, 1)
        self.witness.last["credits.holds.v1"][session] = 1
        self.tables["credit_holds"].append(dict(zip(names, values, strict=True)))

    def _add(self, name: str, status: str, settled: str, invoice: str | None, back: str = "") -> None:
        session = self._session(name, status, settled)
        self._slot(session, hold_until=NOW - HOUR)
        returns_itself = invoice is None and settled == "returned" and not back
        self._credit(name, settled, invoice, "member:held" if returns_itself else back or None)
        self.witness.credit_held.add(name)
        if settled == "returned":
            self.witness.came_back[name].append("support" if back else status)
        if status == "cancelled":
            self.witness.cancelled[name] = settled == "forfeited" or back == "platform:forfeited"
        if status == "provider_missed":
            self.witness.missed.add(name)

    def row(self, table: str, session: str) -> dict[str, Any]:
        """The session's row in the table."""
        key = "id" if table == "sessions" else "session_id"
        found: dict[str, Any] = next(row for row in self.tables[table] if row[key] == session)
        return found

    def without(self, table: str, session: str) -> None:
        self.tables[table].remove(self.row(table, session))

    def snapshot(self) -> Snapshot:
        return Snapshot(**self.tables)


GOOD = Case()


def corrected(session: str, outcome: str) -> Callable[[Case], object]:
    """What may be: support said that the session ended so."""
    return lambda case: case.row("sessions", session).update(status=outcome, corrected=True)


Fault = Callable[[Case], object]


def sets(table: str, session: str, **values: Any) -> Fault:
    """The fault that the session's row says something else."""
    return lambda case: case.row(table, session).update(values)


def adds(table: str, **row: Any) -> Fault:
    return lambda case: case.tables[table].append(row)


def lacks(table: str, session: str) -> Fault:
    return lambda case: case.without(table, session)


def cancels(session: str, forfeits: bool) -> Fault:
    return lambda case: case.witness.cancelled.update({session: forfeits})


def published(number: int, copy: RecordedAccess | None) -> Fault:
    """The fault that the copy of booking's access log says something else of one row, or nothing."""

    def fault(case: Case) -> None:
        if copy is None:
            del case.witness.accesses["booking"][number]
        else:
            case.witness.accesses["booking"][number] = copy

    return fault


def trail(**values: Any) -> Fault:
    """The fault that booking's access log is found so."""
    return lambda case: case.tables["trails"].update(booking=Trail(**{"seals": dict(TRAIL), **values}))


def last(topic: str, key: str, sequence: int | None) -> Fault:
    """The fault that the key's last event has another sequence, or that it has none."""

    def fault(case: Case) -> None:
        if sequence is None:
            del case.witness.last[topic][key]
        else:
            case.witness.last[topic][key] = sequence

    return fault


def names(table: list[Any]) -> list[str]:
    return [f"{rule.__name__}-{index}" for index, (rule, _, _) in enumerate(table)]


def with_fault(fault: Fault) -> Case:
    case = deepcopy(GOOD)
    fault(case)
    return case

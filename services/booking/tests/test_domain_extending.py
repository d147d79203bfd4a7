"""Longer sessions, with an invoice if wanted (EXT-1)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from makegood_booking.domain.attendance import next_due
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.rescheduling import extend
from makegood_booking.domain.session import Refusal
from makegood_contracts.events import InvoiceWish, SessionExtended
from makegood_contracts.reasons import Reason

from . import answers
from .examples import HOUR, MINUTE, NOW, START, attended, confirmed, done, names, only_event, reserved

TICK = timedelta(microseconds=1)
TAKEN = Reason(code="slot-taken", detail="Another session takes that time.")


def code(result: object) -> str:
    assert isinstance(result, Refusal), result
    return result.code


@pytest.mark.rule("EXT-1")
def test_the_provider_extends_with_an_invoice() -> None:
    invoice = InvoiceWish(amount_minor=2500, currency="USD", due_on=date(2026, 12, 24))
    session = attended("member", "provider")
    pending = extend(session, START + HOUR, invoice, "move", START + MINUTE)
    assert names(pending) == ["SessionExtensionRequested"]
    waiting = done(pending)
    assert waiting.booked == session.booked
    event = only_event(answers.slot_moved(waiting, "move", START + MINUTE))
    assert isinstance(event, SessionExtended)
    assert (event.ends_at, event.old_ends_at, event.length_minutes) == (START + HOUR, START + 30 * MINUTE, 60)
    assert event.invoice == invoice
    after = done(answers.slot_moved(waiting, "move", START + MINUTE))
    assert (after.status, next_due(after), after.moved_by_provider) == ("in_session", START + HOUR, False)
    off = answers.slot_stays(waiting, "move", [TAKEN])
    assert names(off) == ["SessionExtensionRefused"]
    assert done(off).booked == session.booked


@pytest.mark.rule("EXT-1")
def test_what_cannot_be_extended() -> None:
    later = START + HOUR
    assert code(extend(reserved(), later, None, "move", NOW)) == "not-confirmed"
    assert code(extend(attended("member", "provider"), later, None, "move", START + 30 * MINUTE)) == "session-over"
    assert names(extend(attended("member", "provider"), later, None, "m", START + 30 * MINUTE - TICK)) == [
        "SessionExtensionRequested"
    ]
    past = InvoiceWish(amount_minor=1, currency="USD", due_on=date(2026, 11, 22))
    for ends_at, invoice, field in (
        (START + 30 * MINUTE, None, "ends_at"),
        (START + 10 * MINUTE, None, "ends_at"),
        (START + 40 * MINUTE + TICK, None, "ends_at"),
        (START + 481 * MINUTE, None, "ends_at"),
        (later, past, "invoice/due_on"),
    ):
        fault = extend(confirmed(), ends_at, invoice, "move", NOW)
        assert isinstance(fault, InvalidField)
        assert fault.field == field


@pytest.mark.rule("EXT-1")
def test_the_last_that_can_be_extended() -> None:
    longest = done(extend(confirmed(), START + 480 * MINUTE, None, "move", NOW))
    assert longest.move is not None
    assert longest.move.decide_by == NOW + 5 * MINUTE
    end = START + 30 * MINUTE
    soon = done(extend(attended("member", "provider"), START + HOUR, None, "move", end - MINUTE))
    assert soon.move is not None
    assert soon.move.decide_by == end, "what has ended goes on no more"
    in_person = confirmed(modality="in_person", venue_id="room-4")
    assert code(extend(in_person, START + HOUR, None, "move", end)) == "session-over", (
        "the provider is asked how it went"
    )


@pytest.mark.rule("EXT-1", "CRED-7")
@pytest.mark.parametrize(("zone", "today"), [("Pacific/Auckland", 24), ("Pacific/Honolulu", 22), ("UTC", 23)])
def test_an_invoice_is_due_today_at_the_earliest_where_the_session_is(zone: str, today: int) -> None:
    """On Nov 23 at 11:30 UTC it is the 24th in Auckland; half an hour before ten it is still the 22nd in Honolulu."""
    now = NOW.replace(hour=11 if zone == "Pacific/Auckland" else 9, minute=30)
    session = confirmed(time_zone=zone)
    due = InvoiceWish(amount_minor=1, currency="USD", due_on=date(2026, 11, today))
    assert names(extend(session, START + HOUR, due, "move", now)) == ["SessionExtensionRequested"]
    past = InvoiceWish(amount_minor=1, currency="USD", due_on=date(2026, 11, today - 1))
    assert isinstance(extend(session, START + HOUR, past, "move", now), InvalidField)

"""CRED-1: whatever is done to a member's book, debits equal credits and no balance is negative."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from makegood_credits.domain.adjusting import adjust
from makegood_credits.domain.book import AVAILABLE, EXPIRED, HELD, SPENT, Account, Book, EntryKind, Overdrawn
from makegood_credits.domain.endings import Ending
from makegood_credits.domain.enrolling import EnrolmentRequest, catch_up, enrol
from makegood_credits.domain.holding import Hold, hold
from makegood_credits.domain.plans import PLANS
from makegood_credits.domain.settling import return_by_hand, settle
from makegood_plans.coverage import covering
from makegood_plans.funding import paying_lot

from .credit_building import NOTE, NOW, arrive, lapses, request

CAUSES = ["rejected", "cancelled", "provider_missed", "lapsed"]
CAUSED_BY = ["member", "others", "nobody"]


class Ledger(RuleBasedStateMachine):
    """A member's life, in any order of events."""

    @initialize()
    def begin(self) -> None:
        self.book = Book("member-1")
        self.now = NOW
        self.holds: list[Hold] = []

    @rule(plan=st.sampled_from(sorted(PLANS)), start=st.integers(-90, 40), days=st.none() | st.integers(0, 200))
    def enrols(self, plan: str, start: int, days: int | None) -> None:
        first = self.now.date() + timedelta(days=start)
        last = None if days is None else first + timedelta(days=days)
        enrol(self.book, EnrolmentRequest(plan, first, last, "Europe/Berlin"), self.now)

    @rule(
        plan=st.sampled_from(["out-of-pocket-4", "eap-6", "insurance-credits"]),
        start=st.integers(-40, 0),
        other=st.integers(0, 1),
        named=st.booleans(),
    )
    def a_plan_is_replaced_and_resumed(self, plan: str, start: int, other: int, named: bool) -> None:
        """PLAN-1: within a day nothing is lost by it, and nothing is won. `named`: the request names the plan's own start."""
        today = self.now.astimezone(ZoneInfo("Europe/Berlin")).date()
        asked = EnrolmentRequest(plan, today + timedelta(days=start), None, "Europe/Berlin")
        enrol(self.book, asked, self.now, lapses(self.book))
        before = (self.book.available, self.book.held)
        between = EnrolmentRequest("sponsored-12", today + timedelta(days=other), None, None)
        enrol(self.book, between, self.now, lapses(self.book))
        resumed = asked if named else EnrolmentRequest(plan, between.starts_on, None, None)
        for _ in range(2):
            enrol(self.book, resumed, self.now, lapses(self.book))
            assert (self.book.available, self.book.held) == before

    @rule(days=st.integers(0, 45))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)

    @rule()
    def a_deadline_runs(self) -> None:
        catch_up(self.book, self.now)
        assert self.book.next_due is None or self.book.next_due > self.now

    @rule(ahead=st.integers(1, 40), length=st.sampled_from([30, 45, 60]))
    def books(self, ahead: int, length: int) -> None:
        asked = request(self.now + timedelta(days=ahead), length, hold_until=self.now + timedelta(minutes=15))
        outcome = hold(self.book, asked, self.now)
        if isinstance(outcome, Hold):
            self.holds.append(outcome)

    @rule(
        data=st.data(),
        outcome=st.sampled_from(["spent", "returned", "forfeited"]),
        cause=st.sampled_from(CAUSES),
        caused_by=st.sampled_from(CAUSED_BY),
    )
    def a_session_ends(self, data: st.DataObject, outcome: str, cause: str, caused_by: str) -> None:
        if self.holds:
            ending = Ending(outcome, cause, self.now, caused_by=caused_by)  # type: ignore[arg-type]
            settle(self.book, data.draw(st.sampled_from(self.holds)), ending, self.now)

    @rule(
        plan=st.sampled_from(sorted(PLANS)),
        start=st.integers(-9, 9),
        length=st.sampled_from([30, 45, 60]),
        ahead=st.integers(0, 29),
    )
    def a_session_is_missed_and_the_plan_changes(self, plan: str, start: int, length: int, ahead: int) -> None:
        """MISS-4: the credit pays for its length all the same."""
        missed = hold(self.book, request(self.now + timedelta(hours=1), length), self.now)
        if not isinstance(missed, Hold):
            return
        self.holds.append(missed)
        if missed.lot_id is None:
            return
        settle(self.book, missed, Ending("returned", "provider_missed", self.now), self.now)
        enrol(
            self.book, EnrolmentRequest(plan, self.now.date() + timedelta(days=start), None, "Europe/Berlin"), self.now
        )
        again = hold(self.book, request(self.now + timedelta(days=ahead, hours=1), length), self.now)
        assert isinstance(again, Hold), again
        self.holds.append(again)

    @rule(data=st.data())
    def support_returns(self, data: st.DataObject) -> None:
        if self.holds:
            chosen = data.draw(st.sampled_from(self.holds))
            return_by_hand(self.book, chosen, reason="r", made_by="s", now=self.now)

    @rule(amount=st.integers(-6, 3).filter(bool), length=st.none() | st.sampled_from([30, 45]))
    def support_adjusts(self, amount: int, length: int | None) -> None:
        adjust(self.book, amount, length_minutes=length, reason="r", made_by="s", now=self.now)

    @invariant()
    def balances_are_the_sums_of_the_entries(self) -> None:
        sums: Counter[tuple[str, str | None]] = Counter()
        for entry in self.book.entries:
            sums[entry.debit_account, entry.debit_lot] -= entry.amount
            sums[entry.credit_account, entry.credit_lot] += entry.amount
        assert sum(sums.values()) == 0, "debits equal credits"
        for lot in self.book.lots.values():
            assert sums[AVAILABLE, lot.id] == lot.available >= 0
            assert sums[HELD, lot.id] == lot.held >= 0
        assert self.book.available == sum(lot.available for lot in self.book.lots.values())
        assert self.book.held == sum(lot.held for lot in self.book.lots.values())
        assert self.book.held == sum(each.state == "held" and each.lot_id is not None for each in self.holds)

    @invariant()
    def each_hold_left_once_and_each_session_returned_once(self) -> None:
        left = Counter(entry.hold_id for entry in self.book.entries if entry.debit_account == HELD)
        returned = Counter(entry.session_id for entry in self.book.entries if entry.kind == "return")
        assert max([*left.values(), *returned.values()], default=0) <= 1

    @invariant()
    def entries_are_numbered_and_tell_the_balance(self) -> None:
        assert [entry.number for entry in self.book.entries] == list(range(1, len(self.book.entries) + 1))
        if self.book.entries:
            last = self.book.entries[-1]
            assert (last.available_after, last.held_after) == (self.book.available, self.book.held)

    @invariant()
    def a_period_is_granted_once_and_nothing_due_is_overlooked(self) -> None:
        periods = Counter((lot.enrolment_id, lot.period) for lot in self.book.lots.values() if lot.source == "plan")
        assert max(periods.values(), default=0) <= 1
        moments = [lot.expires_at for lot in self.book.lots.values() if lot.available and lot.expires_at]
        moments += [each.next_grant for each in self.book.enrolments if each.next_grant]
        assert not moments or (self.book.next_due is not None and self.book.next_due <= min(moments))

    @invariant()
    def what_was_guaranteed_pays_to_its_last_moment(self) -> None:
        """MISS-4: the lot lies where it does so, as things stand; what has lapsed by now is told at the next deadline."""
        for lot in self.book.lots.values():
            assert len(lot.guarantees) <= lot.available
            for each in lot.guarantees:
                last = each.until - timedelta.resolution
                if last < self.now:
                    continue
                asked = request(last, each.minutes)
                assert paying_lot(covering(self.book.enrolments, last), self.book.lots.values(), asked) is not None, (
                    lot,
                    each,
                )


TestLedger = pytest.mark.rule("CRED-1", "CRED-3", "REL-3")(Ledger.TestCase)
TestLedger.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


@pytest.mark.rule("CRED-1")
def test_a_movement_that_overdraws_changes_nothing() -> None:
    book = Book("m")
    lot = book.open_lot("adjustment", None, None)
    arrive(book, lot, 2)
    available, held = Account.available(lot), Account.held(lot)
    transfers: list[tuple[EntryKind, Account, Account]] = [
        ("hold", available, held),
        ("spend", held, SPENT),
        ("expire", available, EXPIRED),
    ]
    for (kind, source, destination), amount in product(transfers, (3, 0, -1)):
        with pytest.raises(Overdrawn):
            book.transfer(kind, source, destination, NOTE, amount)
    assert (lot.available, lot.held, len(book.entries)) == (2, 0, 1)


@pytest.mark.rule("CRED-5")
def test_taking_credits_takes_those_that_lapse_first_and_never_more_than_there_are() -> None:
    book = Book("m")
    late = book.open_lot("adjustment", None, None)
    soon = book.open_lot("make_good", None, NOW + timedelta(days=3))
    for lot in (late, soon):
        arrive(book, lot, 2)
    assert adjust(book, -5, length_minutes=None, reason="r", made_by="s", now=NOW) == "no-session-credits"
    assert book.available == 4
    entries = adjust(book, -3, length_minutes=None, reason="Mistake", made_by="support-1", now=NOW)
    assert isinstance(entries, list)
    assert [(entry.debit_lot, entry.amount, entry.reason, entry.made_by) for entry in entries] == [
        (soon.id, 2, "Mistake", "support-1"),
        (late.id, 1, "Mistake", "support-1"),
    ]
    assert (soon.available, late.available) == (0, 1)


@pytest.mark.rule("PLAN-1", "REL-3")
def test_a_decade_at_once_is_told_month_by_month() -> None:
    book = Book("m")
    enrol(book, EnrolmentRequest("out-of-pocket-4", date(2026, 11, 1), None, "UTC"), NOW)
    catch_up(book, datetime(2036, 10, 31, tzinfo=UTC))
    assert sum(entry.kind == "grant" for entry in book.entries) == 120
    assert book.available == 4

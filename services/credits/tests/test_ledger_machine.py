"""REL-3: the ledger under a state machine, ten thousand operations on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any, ClassVar, get_args

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from makegood_chassis.refusals import FieldRefused, RuleRefused
from makegood_contracts.events import InvoiceWish, SessionMoveRequested, SessionOutcome, SessionRequested
from makegood_contracts.ids import new_id
from makegood_credits.bootstrap import bootstrap
from makegood_credits.domain.plans import PLANS
from makegood_credits.handlers.commands import Adjustment, adjust_or_propose, buy_credits, return_to_member
from makegood_credits.handlers.payments import on_payment
from makegood_credits.payments.development import DevelopmentPayments
from makegood_credits.payments.port import PaymentEvent
from makegood_credits.settings import CreditsSettings
from makegood_plans.plans import Money
from makegood_testkit.databases import Databases, as_owner
from makegood_testkit.identity import Identity
from makegood_testkit.service import CAUSE, MakeHarness

from . import credits_harness as events
from .credit_building import NOW
from .credits_harness import CreditsHarness

OPERATIONS = 10_000
PAYMENTS = DevelopmentPayments("secret", "http://127.0.0.1/dev/checkouts")
ENDINGS = (
    events.rejected, events.declined, events.expired, events.cancelled, events.completed, events.no_show, events.missed,
    lambda asked: events.cancelled(asked, forfeits=True), lambda asked: events.cancelled(asked, by="provider"),
)  # fmt: skip
BY_OUTCOME: dict[SessionOutcome, Any] = {
    "completed": events.completed,
    "provider_missed": events.missed,
    "member_no_show": events.no_show,
}
TAMPERING = (
    "UPDATE ledger_entries SET amount = amount + 1",
    "DELETE FROM ledger_entries",
    "TRUNCATE ledger_entries",
    "UPDATE accounts SET available = -1",
    "UPDATE lots SET held = -1",
)
_ENTRIES = "SELECT * FROM ledger_entries WHERE member_id = ANY($1::text[]) ORDER BY member_id, number"
_SUMS = """
SELECT a.member_id, a.available, a.held, coalesce(l.available, 0), coalesce(l.held, 0), a.available_entered, a.held_entered
FROM (
    SELECT accounts.member_id, available, held,
        coalesce(sum(CASE 'member:available' WHEN credit_account THEN amount WHEN debit_account THEN -amount END), 0)
            AS available_entered,
        coalesce(sum(CASE 'member:held' WHEN credit_account THEN amount WHEN debit_account THEN -amount END), 0)
            AS held_entered
    FROM accounts LEFT JOIN ledger_entries USING (member_id)
    WHERE member_id = ANY($1::text[]) GROUP BY accounts.member_id
) AS a LEFT JOIN (
    SELECT member_id, sum(available) AS available, sum(held) AS held FROM lots GROUP BY member_id
) AS l USING (member_id)
"""
_MADE_GOOD = """
SELECT DISTINCT member_id, made_for_minutes FROM lots JOIN accounts USING (member_id)
WHERE member_id = ANY($1::text[]) AND lots.available > 0 AND made_for_minutes IS NOT NULL AND expires_at > $2 AND overdue = 0
"""
_ON_A_CREDIT = "SELECT 1 FROM holds WHERE session_id = $1 AND state = 'held' AND lot_id IS NOT NULL"
_names = count()
seeds = st.integers(0, 2**32 - 1)


class LedgerMachine(RuleBasedStateMachine):
    """Members who enrol, book, move, miss, buy and complain; whatever happens, the books agree."""

    harness: CreditsHarness
    loop: asyncio.AbstractEventLoop
    operations = 0
    obeyed: ClassVar[Counter[str]] = Counter()
    """How many commands of each kind were not refused."""

    def __init__(self) -> None:
        super().__init__()
        self.harness.clock.moment = NOW
        self.sessions: list[SessionRequested] = []
        self.moves: list[SessionMoveRequested] = []
        self.outcomes: dict[str, SessionOutcome] = {}
        self.mine: set[str] = set()
        """Sessions that their members may have cancelled or moved themselves."""
        self.checkouts: list[tuple[str, Money]] = []
        number = next(_names)
        self.members = [f"m{number}-{index}" for index in range(4)]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def send(self, *batch: Any) -> None:
        if batch:
            self.run(self.harness.handle(*batch))
            self.did(len(batch))

    def did(self, some: int) -> None:
        LedgerMachine.operations += some

    @contextmanager
    def possibly_refused(self, command: str, *codes: str) -> Iterator[None]:
        """The command may be refused, but only for one of these reasons (a problem's slug, or the field at fault)."""
        try:
            yield
        except (RuleRefused, FieldRefused) as refused:
            if (refused.code if isinstance(refused, RuleRefused) else refused.field) not in codes:
                raise
        else:
            LedgerMachine.obeyed[command] += 1

    def some(self, chance: Random, among: list[Any], most: int = 12) -> list[Any]:
        return chance.sample(among, min(len(among), chance.randint(1, most)))

    @initialize(seed=seeds)
    def everybody_enrols(self, seed: int) -> None:
        chance = Random(seed)
        for member in self.members:
            self.run(self.harness.enrol(member, chance.choice(["out-of-pocket-4", "eap-6", "sponsored-12"])))
            self.did(1)

    @rule(seed=seeds)
    def enrol(self, seed: int) -> None:
        chance = Random(seed)
        self.harness.clock.moment += timedelta.resolution  # what lapses by it does so after what came back before
        start = self.harness.clock.moment.date() - timedelta(days=chance.randrange(40))
        self.run(self.harness.enrol(chance.choice(self.members), chance.choice(sorted(PLANS)), start))
        self.did(1)

    @rule(seed=seeds)
    def replace_and_resume(self, seed: int) -> None:
        """PLAN-1: within a day nothing is lost by it, and nothing is won."""
        self.harness.clock.moment += timedelta.resolution
        chance, today = Random(seed), self.harness.clock.moment.date()
        member, plan_id = chance.choice(self.members), chance.choice(["out-of-pocket-4", "eap-6", "insurance-credits"])
        start = today - timedelta(days=chance.randrange(40))
        self.run(self.harness.enrol(member, plan_id, start))
        before = self.run(self.harness.balance(member))
        self.run(self.harness.enrol(member, "sponsored-12", today + timedelta(days=chance.randrange(2))))
        self.run(self.harness.enrol(member, plan_id, start))
        assert self.run(self.harness.balance(member)) == before
        self.did(3)

    @rule(seed=seeds)
    def miss_and_replace(self, seed: int) -> None:
        """MISS-4: the credit of a missed session pays for its length, whatever the plan is by the next moment."""
        self.harness.clock.moment += timedelta.resolution
        chance, now = Random(seed), self.harness.clock.moment
        member, today = chance.choice(self.members), now.date()
        asked = events.requested(
            member, starts_at=now + timedelta(hours=1), length=45, hold_until=now + timedelta(minutes=15)
        )
        self.send(asked)
        self.sessions.append(asked)
        if not self.run(self._fetch(_ON_A_CREDIT, asked.session_id)):
            return
        self.run(self.harness.handle_now(events.cancelled(asked, by="provider", at=now)))
        self.harness.clock.moment += timedelta.resolution
        self.run(self.harness.enrol(member, chance.choice(sorted(PLANS)), today - timedelta(days=chance.randrange(9))))
        again = events.requested(
            member, starts_at=now + timedelta(days=29), length=45, hold_until=now + timedelta(minutes=15)
        )
        self.send(again)
        self.sessions.append(again)
        self.did(2)
        assert self.run(self.harness.state(again.session_id)) == "held"

    @rule(seed=seeds, reserved=st.booleans())
    def book(self, seed: int, reserved: bool) -> None:
        chance, now = Random(seed), self.harness.clock.moment
        asked = [
            events.requested(
                chance.choice(self.members),
                starts_at=now + timedelta(hours=chance.randrange(1, 900)),
                length=chance.choice([30, 45]),
                hold_until=now + timedelta(minutes=15),
            )
            for _ in range(chance.randint(4, 16))
        ]
        self.send(*asked)
        self.sessions += asked
        if reserved:
            self.send(*map(events.reserved, asked))

    @rule(seed=seeds, ending=st.sampled_from(ENDINGS), again=st.booleans())
    def end(self, seed: int, ending: Any, again: bool) -> None:
        chosen = self.some(Random(seed), self.sessions)
        if ending is events.cancelled:
            self.mine.update(each.session_id for each in chosen)
        for _ in range(1 + again):
            self.send(*map(ending, chosen))

    @rule(seed=seeds, outcome=st.sampled_from(get_args(SessionOutcome)))
    def take_place(self, seed: int, outcome: SessionOutcome) -> None:
        chosen = self.some(Random(seed), [each for each in self.sessions if each.session_id not in self.outcomes])
        self.send(*map(BY_OUTCOME[outcome], chosen))
        self.outcomes.update((each.session_id, outcome) for each in chosen)

    @rule(seed=seeds, outcome=st.sampled_from(get_args(SessionOutcome)))
    def correct(self, seed: int, outcome: SessionOutcome) -> None:
        chosen = self.some(Random(seed), [each for each in self.sessions if each.session_id in self.outcomes])
        self.send(*(events.corrected(each, self.outcomes[each.session_id], outcome) for each in chosen))
        self.outcomes.update((each.session_id, outcome) for each in chosen)

    @rule(seed=seeds, forfeits=st.booleans())
    def ask_to_move(self, seed: int, forfeits: bool) -> None:
        chance, now = Random(seed), self.harness.clock.moment
        moving = {each.session_id for each in self.moves}
        chosen = self.some(chance, [each for each in self.sessions if each.session_id not in moving])
        wishes = [
            events.move(
                each,
                forfeits=forfeits,
                new_starts_at=now + timedelta(hours=chance.randrange(1, 900)),
                decide_by=now + timedelta(minutes=5),
            )
            for each in chosen
        ]
        self.send(*wishes)
        self.moves += wishes
        self.mine.update(each.session_id for each in chosen)

    @rule(seed=seeds, to=st.sampled_from([events.moved, events.move_refused]), funded=st.booleans())
    def finish_moves(self, seed: int, to: Any, funded: bool) -> None:
        chosen = self.some(Random(seed), self.moves)
        if funded:
            self.send(*map(events.funded, chosen))
        self.send(*map(to, chosen))
        self.moves = [each for each in self.moves if each not in chosen]

    @rule(seed=seeds)
    def extend(self, seed: int) -> None:
        chance = Random(seed)
        due_on = self.harness.clock.moment.date() + timedelta(days=chance.randrange(20))
        invoice = InvoiceWish(amount_minor=900, currency="USD", due_on=due_on)
        self.send(*(events.extended(each, invoice) for each in self.some(chance, self.sessions, 5)))

    @rule(seed=seeds, amount=st.integers(-3, 3).filter(bool))
    def adjust(self, seed: int, amount: int) -> None:
        async def work() -> None:
            member, by = Random(seed).choice(self.members), f"support-{new_id()}"  # somebody else each time: no limit
            with self.possibly_refused("adjust", "no-session-credits"):
                async with self.harness.database.transaction(CAUSE) as unit:
                    given = await adjust_or_propose(unit, member, amount, length_minutes=None, reason="r", made_by=by)
                assert isinstance(given, Adjustment)

        self.run(work())
        self.did(1)

    @rule(seed=seeds)
    def return_by_hand(self, seed: int) -> None:
        async def work(asked: SessionRequested) -> None:
            with self.possibly_refused("return", "credit-already-returned", "session_id"):
                async with self.harness.database.transaction(CAUSE) as unit:
                    await return_to_member(unit, asked.member_id, asked.session_id, reason="r", made_by="support")

        for asked in self.some(Random(seed), self.sessions, 4):
            self.run(work(asked))
            self.did(1)

    @rule(seed=seeds)
    def buy(self, seed: int) -> None:
        chance = Random(seed)

        async def work() -> None:
            with self.possibly_refused("buy", "purchase-not-allowed"):
                async with self.harness.database.transaction(CAUSE) as unit:
                    bought, checkout = await buy_credits(
                        unit, chance.choice(self.members), new_id(), chance.randint(1, 3), None, PAYMENTS
                    )
                self.checkouts.append((checkout, bought.amount))

        self.run(work())
        self.did(1)

    @rule(seed=seeds)
    def hear_of_payments(self, seed: int) -> None:
        chance = Random(seed)

        async def work(event: PaymentEvent) -> None:
            async with self.harness.database.transaction(CAUSE) as unit:
                await on_payment(unit, "development", event)

        for checkout, amount in self.some(chance, self.checkouts, 6):
            outcome: Any = chance.choice(["paid", "failed"])
            self.run(work(PaymentEvent(f"{checkout}-{chance.randint(1, 3)}", checkout, outcome, amount)))
            self.did(1)

    @rule(hours=st.integers(0, 600))
    def time_passes(self, hours: int) -> None:
        self.did(len(self.run(self.harness.move_to(self.harness.clock.moment + timedelta(hours=hours)))))

    @rule(statement=st.sampled_from(TAMPERING))
    def tamper(self, statement: str) -> None:
        async def work() -> None:
            async with as_owner(self.harness.database.url) as owner:
                await owner.execute(statement)

        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            self.run(work())
        self.did(1)

    @rule(seed=seeds)
    def rebook(self, seed: int) -> None:
        """MISS-4: what was made good and stands pays for its length whatever the plan is by then."""
        chance, now = Random(seed), self.harness.clock.moment

        async def work() -> list[Any]:
            async with self.harness.database.reading() as queries:
                return await queries.fetch(_MADE_GOOD, self.members, now + timedelta(hours=1))

        for member, length in self.some(chance, self.run(work()), 3):
            asked = events.requested(
                member, starts_at=now + timedelta(hours=1), length=length, hold_until=now + timedelta(minutes=15)
            )
            self.send(asked)
            self.sessions.append(asked)
            assert self.run(self.harness.state(asked.session_id)) == "held"

    @invariant()
    def balances_rebuilt_from_the_entries_are_equal(self) -> None:
        for member, available, held, *others in self.run(self._fetch(_SUMS)):
            assert available >= 0
            assert held >= 0
            assert others == [available, held, available, held], member

    def teardown(self) -> None:
        running: defaultdict[str, int] = defaultdict(int)
        accounts: defaultdict[str, int] = defaultdict(int)
        settled: set[str] = set()
        returned: set[str] = set()
        back: Any = None
        for entry in self.run(self._fetch(_ENTRIES)):
            for side, sign in (("debit", -1), ("credit", 1)):
                account, lot = entry[f"{side}_account"], entry[f"{side}_lot"]
                accounts[account] += sign * entry["amount"]
                if account.startswith("member:"):
                    for whose in (f"{entry['member_id']} {account}", f"{lot} {account}"):
                        running[whose] += sign * entry["amount"]
            assert min(running.values(), default=0) >= 0, "no balance is negative, at any moment"
            for name in ("available", "held"):
                assert entry[f"{name}_after"] == running[f"{entry['member_id']} member:{name}"]
            if entry["debit_account"] == "member:held":
                assert entry["hold_id"] not in settled, "a hold is settled once"
                settled.add(entry["hold_id"])
            if back is not None and entry["kind"] == "expire" and entry["debit_lot"] == back["credit_lot"]:
                own = str(back["session_id"]) in self.mine
                assert entry["made_at"] != back["made_at"] or own, "MISS-2: no credit lapses as it comes back"
            back = entry if entry["kind"] == "return" else None
            if entry["kind"] == "return":
                assert entry["hold_id"] not in returned, "and comes back once at most"
                returned.add(entry["hold_id"])
        assert sum(accounts.values()) == 0, "debits equal credits"

    async def _fetch(self, statement: str, *others: object) -> list[Any]:
        async with self.harness.database.reading() as queries:
            return await queries.fetch(statement, *(others or [self.members]))


@pytest.fixture
def ledger(databases: Databases, identity: Identity) -> Iterator[CreditsHarness]:
    """A database for all examples; each has members of its own."""
    loop = asyncio.new_event_loop()
    make = MakeHarness(databases.make, identity)
    made = make("credits", bootstrap, CreditsSettings, NOW, CreditsHarness)
    harness = loop.run_until_complete(made)
    LedgerMachine.harness, LedgerMachine.loop, LedgerMachine.operations = harness, loop, 0
    LedgerMachine.obeyed.clear()
    yield harness
    loop.run_until_complete(make.close())
    loop.run_until_complete(databases.drop(harness.database.url))
    loop.close()


@pytest.mark.slow
@pytest.mark.rule("REL-3", "CRED-1", "CRED-3")
def test_ten_thousand_operations_leave_books_that_agree(ledger: CreditsHarness) -> None:
    chosen = settings(
        max_examples=12,
        stateful_step_count=40,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # a failure is told at once: to shrink it takes minutes with a database
        suppress_health_check=list(HealthCheck),
    )
    while LedgerMachine.operations < OPERATIONS:
        run_state_machine_as_test(LedgerMachine, settings=chosen)
    assert LedgerMachine.loop.run_until_complete(ledger.imbalances()) == []
    assert set(LedgerMachine.obeyed) == {"adjust", "return", "buy"}

"""Endings of sessions on a real database: each hold settled once, whatever comes, in whatever batch."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from makegood_contracts.events import (
    CreditExpired,
    CreditForfeited,
    CreditReturned,
    CreditSpent,
    Event,
    InvoiceIssued,
    InvoiceVoided,
    SessionRequested,
)
from makegood_testkit.databases import as_owner
from makegood_testkit.service import CAUSE

from .credit_building import NOW
from .credits_harness import (
    CreditsHarness,
    cancelled,
    completed,
    declined,
    expired,
    missed,
    no_show,
    rejected,
    requested,
    reserved,
)

Ending = Callable[[SessionRequested], Event]


def late_cancel(request: SessionRequested) -> Event:
    return cancelled(request, forfeits=True)


def free_no_show(request: SessionRequested) -> Event:
    return no_show(request, forfeits=False)


ENDINGS: list[Any] = [
    pytest.param(rejected, CreditReturned, "returned", id="rejected", marks=pytest.mark.rule("BOOK-1")),
    pytest.param(declined, CreditReturned, "returned", id="declined", marks=pytest.mark.rule("CONF-1")),
    pytest.param(expired, CreditReturned, "returned", id="expired", marks=pytest.mark.rule("CONF-2")),
    pytest.param(cancelled, CreditReturned, "returned", id="cancelled", marks=pytest.mark.rule("CANC-1", "CANC-2")),
    pytest.param(late_cancel, CreditForfeited, "forfeited", id="late", marks=pytest.mark.rule("CANC-1")),
    pytest.param(no_show, CreditForfeited, "forfeited", id="no-show", marks=pytest.mark.rule("NOSH-1")),
    pytest.param(free_no_show, CreditReturned, "returned", id="free-no-show", marks=pytest.mark.rule("RESC-3")),
    pytest.param(completed, CreditSpent, "spent", id="completed", marks=pytest.mark.rule("JOIN-2")),
    pytest.param(missed, CreditReturned, "returned", id="missed", marks=pytest.mark.rule("MISS-2")),
]


@pytest.mark.rule("CRED-3")
@pytest.mark.parametrize(("ending", "fact", "state"), ENDINGS)
async def test_each_ending_settles_the_credit_once(
    harness: CreditsHarness, ending: Ending, fact: type[Event], state: str
) -> None:
    await harness.enrol()
    asked = requested()
    await harness.handle(asked)
    await harness.handle(reserved(asked))
    await harness.handle(ending(asked), ending(asked))
    await harness.handle(ending(asked))
    for other in (completed, no_show, missed, cancelled):
        await harness.handle(other(asked))
    (told,) = await harness.published(fact)
    assert told.session_id == asked.session_id  # type: ignore[attr-defined]
    assert await harness.state(asked.session_id) == state
    assert await harness.balance() == ((6, 0) if state == "returned" else (5, 0))
    assert len(await harness.ledger()) == 3
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-3", "NOSH-1", "CANC-1", "JOIN-2")
@pytest.mark.parametrize(("ending", "fact", "state"), ENDINGS)
async def test_each_ending_settles_the_co_pay_once(
    harness: CreditsHarness, ending: Ending, fact: type[Event], state: str
) -> None:
    await harness.enrol(plan_id="insurance-copay")
    asked = requested()
    await harness.handle(asked)
    await harness.handle(ending(asked))
    await harness.handle(completed(asked), missed(requested()))
    voided, issued = await harness.published(InvoiceVoided), await harness.published(InvoiceIssued)
    assert (len(voided), len(issued)) == ((1, 0) if state == "returned" else (0, 1))
    assert await harness.invoice(asked.session_id) == ("void" if state == "returned" else "issued")
    assert await harness.published(fact) == []
    assert await harness.ledger() == []
    for due in issued:
        assert due.due_on == asked.ends_at.date() + timedelta(days=14)


@pytest.mark.rule("MISS-2")
async def test_a_missed_session_whose_lot_lapses_soon_gives_a_credit_valid_for_thirty_days(
    harness: CreditsHarness,
) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    asked = requested(length=30)
    await harness.handle(asked)
    await harness.handle(reserved(asked))
    happened = missed(asked)
    harness.clock.moment = happened.missed_at
    await harness.handle(happened)
    (returned,) = await harness.published(CreditReturned)
    assert returned.source == "make_good"
    assert returned.expires_at == happened.missed_at + timedelta(days=30)
    assert await harness.balance() == (4, 0)
    await harness.move_to(happened.missed_at + timedelta(days=29))
    assert await harness.balance() == (5, 0), "the period's credits lapsed and came anew, the made-good one stayed"
    await harness.move_to(happened.missed_at + timedelta(days=30))
    (*_, lapsed) = await harness.published(CreditExpired)
    assert lapsed.lot_id == returned.lot_id
    assert await harness.imbalances() == []


@pytest.mark.rule("CRED-2")
async def test_a_credit_that_its_member_brings_back_to_a_lapsed_lot_lapses_with_it(harness: CreditsHarness) -> None:
    await harness.enrol(plan_id="out-of-pocket-4")
    asked = requested(length=30)
    await harness.handle(asked)
    await harness.handle(reserved(asked))
    await harness.move_to(NOW + timedelta(days=9))
    await harness.handle(cancelled(asked))
    assert (await harness.ledger())[-2:] == [("return", 1), ("expire", 1)]
    assert await harness.imbalances() == []


@pytest.mark.rule("MISS-2", "CRED-3")
async def test_an_outage_returns_each_credit_once_though_batches_overlap(harness: CreditsHarness) -> None:
    asked = []
    for number in range(40):
        await harness.enrol(f"m-{number % 13}", plan_id="sponsored-12")
        asked.append(requested(f"m-{number % 13}"))
    await harness.handle(*asked)
    events = [missed(each) for each in asked]
    await harness.together(events, list(reversed(events)), events[10:30], [completed(each) for each in asked[:5]])
    returned = {each.session_id for each in await harness.published(CreditReturned)}
    spent = {each.session_id for each in await harness.published(CreditSpent)}
    assert len(await harness.published(CreditReturned)) + len(await harness.published(CreditSpent)) == 40
    assert returned | spent == {each.session_id for each in asked}
    assert await harness.imbalances() == []


@pytest.mark.rule("CRED-3")
async def test_an_ending_that_names_another_member_is_not_taken_for_right(harness: CreditsHarness) -> None:
    await harness.enrol()
    await harness.enrol("member-2")
    asked = requested()
    await harness.handle(asked)
    harness.clock.moment = asked.ends_at
    told = missed(msgspec.structs.replace(asked, member_id="member-2"))
    assert await harness.handle_now(told) == {asked.session_id: "not-its-parties"}
    assert (await harness.balance(), await harness.balance("member-2")) == ((5, 1), (6, 0))


@pytest.mark.rule("CRED-1")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET amount = 9",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
        "UPDATE ledger_entries SET reason = 'better' WHERE false",
    ],
)
async def test_the_database_refuses_to_change_an_entry(harness: CreditsHarness, statement: str) -> None:
    await harness.enrol()
    async with as_owner(harness.database.url) as owner:
        with pytest.raises(asyncpg.RestrictViolationError):
            await owner.execute(statement)
    assert await harness.ledger() == [("grant", 6)]


@pytest.mark.rule("CRED-1", "CRED-3")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts SET available = -1",
        "UPDATE lots SET available = -1",
        "UPDATE lots SET held = -1",
        # a second settlement, a second return, a movement that its kind does not make
        "INSERT INTO ledger_entries SELECT member_id, number + 10, gen_random_uuid(), 'forfeit', amount, 'member:held', "
        "debit_lot, 'platform:forfeited', NULL, session_id, hold_id, reason, made_by, made_at, 0, 0 "
        "FROM ledger_entries WHERE kind = 'return'",
        "INSERT INTO ledger_entries SELECT member_id, number + 10, gen_random_uuid(), kind, amount, 'platform:spent', "
        "NULL, credit_account, credit_lot, session_id, hold_id, reason, made_by, made_at, 0, 0 "
        "FROM ledger_entries WHERE kind = 'return'",
        "INSERT INTO ledger_entries SELECT member_id, number + 10, gen_random_uuid(), 'grant', amount, 'member:available', "
        "credit_lot, 'platform:granted', NULL, NULL, NULL, reason, made_by, made_at, 0, 0 "
        "FROM ledger_entries WHERE kind = 'grant'",
        "INSERT INTO lots SELECT gen_random_uuid(), member_id, source, length_minutes, expires_at, enrolment_id, period, 1, "
        "1, 0 FROM lots",
    ],
)
async def test_the_database_refuses_what_no_rule_allows(harness: CreditsHarness, statement: str) -> None:
    await harness.enrol()
    asked = requested()
    await harness.handle(asked)
    await harness.handle(missed(asked))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        async with harness.database.transaction(CAUSE) as unit:
            await unit.execute(statement)


@pytest.mark.rule("CRED-1", "REL-3")
async def test_balances_rebuilt_from_the_entries_are_equal_after_a_long_random_story(harness: CreditsHarness) -> None:
    chance = random.Random(20261123)
    plans = ["out-of-pocket-4", "eap-6", "insurance-credits", "insurance-copay", "sponsored-12"]
    members = [f"m-{number}" for number in range(12)]
    open_sessions: list[SessionRequested] = []
    settlements: list[Ending] = [rejected, declined, expired, cancelled, late_cancel, no_show, completed, missed]
    operations = 0
    for _ in range(120):
        now = harness.clock.moment
        if chance.random() < 0.3:
            start = now.date() - timedelta(days=chance.randrange(40))
            await harness.enrol(chance.choice(members), chance.choice(plans), start)
        new = [
            requested(
                chance.choice(members),
                starts_at=now + timedelta(hours=chance.randrange(1, 900)),
                length=chance.choice([30, 45, 60]),
                hold_until=now + timedelta(minutes=15),
            )
            for _ in range(chance.randrange(1, 40))
        ]
        await harness.handle(*new)
        open_sessions += new
        if chance.random() < 0.7:
            await harness.handle(*(reserved(each) for each in chance.sample(new, len(new) // 2 + 1)))
        chosen = chance.sample(open_sessions, min(len(open_sessions), chance.randrange(1, 40)))
        await harness.handle(*map(chance.choice(settlements), chosen))
        if chance.random() < 0.4:
            await harness.move_to(now + timedelta(hours=chance.randrange(1, 400)))
        operations += len(new) + len(chosen)
    assert operations > 3_000
    assert await harness.imbalances() == []
    async with harness.database.reading() as queries:
        kinds = {row[0] for row in await queries.fetch("SELECT DISTINCT kind FROM ledger_entries")}
        granted_sum, changed_lots, member_sum = await queries.connection.fetchrow(  # type: ignore[misc]
            """SELECT sum(CASE WHEN kind = 'grant' OR debit_account = 'platform:expired' THEN amount
                   WHEN kind IN ('expire', 'spend', 'forfeit') THEN -amount ELSE 0 END),
                   sum(CASE 'platform:adjusted' WHEN debit_account THEN amount WHEN credit_account THEN -amount ELSE 0 END),
                   (SELECT sum(available + held) FROM accounts) FROM ledger_entries"""
        )
    assert kinds == {"grant", "hold", "spend", "return", "forfeit", "expire", "adjust"}
    assert changed_lots == 0, "a credit that changes its lot leaves as many"
    assert granted_sum == member_sum


async def test_the_view_of_imbalances_finds_a_balance_that_was_tampered_with(harness: CreditsHarness) -> None:
    await harness.enrol()
    async with harness.database.transaction(CAUSE) as unit:
        await unit.execute("UPDATE accounts SET available = available + 1")
        await unit.execute("UPDATE lots SET held = held + 1")
    assert {what for what, _ in await harness.imbalances()} == {"account", "lot", "holds of lot"}

"""What a restore asks somebody to look at: payments and requests that no service can find out again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio
from makegood_contracts.envelope import Received
from makegood_contracts.events import CreditGranted, Event, MessageDelivered, PersonErased, TokensRevoked
from makegood_contracts.ids import new_id
from makegood_stack.backup.reconciling import Report, _keep_erasures, _keep_what_was_sent, _tell_of
from makegood_testkit.databases import as_owner
from makegood_testkit.plugin import DatabaseFactory

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)


def happened(event: Event) -> Received[Any]:
    return Received(event, new_id(), event.key, 1, NOW, new_id(), new_id())


def granted(source: Any) -> CreditGranted:
    return CreditGranted(
        entry_id=new_id(),
        member_id="member-ada",
        lot_id=new_id(),
        amount=4,
        available_after=4,
        held_after=0,
        source=source,
        length_minutes=50,
        expires_at=None,
    )


def mail(template: str, session_id: str | None = None) -> MessageDelivered:
    return MessageDelivered(
        delivery_id=new_id(), person_id="member-ada", channel="email", template=template, session_id=session_id,
        delivered_at=NOW,
    )  # fmt: skip


def test_credits_that_somebody_bought_are_looked_at_and_those_of_a_plan_come_again() -> None:
    report = Report(new_id(), NOW)
    bought = happened(granted("purchase"))
    _tell_of([bought, happened(granted("plan"))], {}, report)
    assert [(one["fact"], one["id"], one["amount"]) for one in report.by_hand] == [("CreditGranted", bought.id, 4)]


@pytest_asyncio.fixture
async def notifications(database_factory: DatabaseFactory) -> AsyncIterator[Any]:
    """The database of notifications, empty, with its owner's login."""
    async with as_owner(await database_factory("notifications")) as owner:
        yield owner


async def test_whoever_asked_to_be_erased_is_asked_for_again(notifications: Any) -> None:
    report = Report(new_id(), NOW)
    mails = [happened(mail(template)) for template in ("erasure-requested", "address-changed")]
    await _keep_what_was_sent(notifications, mails, {}, report)
    assert [(one["fact"], one["person_id"]) for one in report.by_hand] == [("erasure-requested", "member-ada")]
    assert [one["template"] for one in report.may_come_twice] == ["address-changed"]


async def test_what_was_sent_is_noted_with_one_commit_however_much_it_is(notifications: Any) -> None:
    report = Report(new_id(), NOW)
    session = new_id()
    mails = [happened(mail("reminder", session)) for _ in range(200)]
    for _ in range(2):  # it can be repeated
        stays = await _keep_what_was_sent(notifications, mails, {session: NOW}, report)
        assert stays == {one.id for one in mails}
    rows = await notifications.fetch("SELECT xmin::text, starts_at FROM told_before")
    assert len(rows) == 200
    assert {row["starts_at"] for row in rows} == {NOW}
    assert len({row["xmin"] for row in rows}) == 1


async def test_who_was_erased_and_whose_tokens_ended_stays_so(notifications: Any) -> None:
    report = Report(new_id(), NOW)
    facts: list[Event] = [
        PersonErased(person_id="member-ada", erased_at=NOW),
        PersonErased(person_id="member-eve", erased_at=NOW),
        TokensRevoked(person_id="member-bob", jti=None, revoked_at=NOW),
    ]
    for _ in range(2):
        await _keep_erasures({"notifications": notifications}, [happened(one) for one in facts], report)
    people = [row[0] for row in await notifications.fetch("SELECT person_id FROM erasure_requests ORDER BY 1")]
    assert people == ["member-ada", "member-eve"]
    assert await notifications.fetchval("SELECT count(*) FROM deadlines WHERE kind = 'erasure'") == 2
    assert await notifications.fetchval("SELECT person_id FROM revoked_tokens") == "member-bob"
    assert report.erased_again[:2] == people

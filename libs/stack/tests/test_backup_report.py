"""What a restore asks somebody to look at: payments and requests that no service can find out again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from makegood_contracts.envelope import Received
from makegood_contracts.events import CreditGranted, Event, MessageDelivered
from makegood_contracts.ids import new_id
from makegood_stack.backup.reconciling import Report, _keep_what_was_sent, _tell_of

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)


def happened(event: Event) -> Received[Any]:
    return Received(event, new_id(), event.key, 1, NOW, new_id(), new_id())


class _Empty:
    """A database that knows no delivery."""

    async def fetch(self, *_: object) -> list[Any]:
        return []


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


def mail(template: str) -> MessageDelivered:
    return MessageDelivered(
        delivery_id=new_id(), person_id="member-ada", channel="email", template=template, delivered_at=NOW
    )


def test_credits_that_somebody_bought_are_looked_at_and_those_of_a_plan_come_again() -> None:
    report = Report(new_id(), NOW)
    bought = happened(granted("purchase"))
    _tell_of([bought, happened(granted("plan"))], {}, report)
    assert [(one["fact"], one["id"], one["amount"]) for one in report.by_hand] == [("CreditGranted", bought.id, 4)]


async def test_whoever_asked_to_be_erased_is_asked_for_again() -> None:
    report = Report(new_id(), NOW)
    mails = [happened(mail(template)) for template in ("erasure-requested", "address-changed")]
    await _keep_what_was_sent(_Empty(), mails, {}, report)
    assert [(one["fact"], one["person_id"]) for one in report.by_hand] == [("erasure-requested", "member-ada")]
    assert [one["template"] for one in report.may_come_twice] == ["address-changed"]

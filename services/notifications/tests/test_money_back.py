"""CRED-6, CRED-7: the member is told of a payment that was not accepted and goes back."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_contracts import events as facts
from makegood_contracts.ids import new_id

from .conftest import NotificationsHarness
from .test_changes import text, told


@pytest.mark.rule("CRED-6")
@pytest.mark.parametrize(
    ("locale", "of", "subject", "amount", "template"),
    [
        ("en", "purchase_id", "We are refunding your purchase.", "Amount: $65.00", "purchase-refunded"),
        ("de", "purchase_id", "Wir erstatten dir deinen Kauf.", "Betrag: 65,00 $", "purchase-refunded"),
        ("en", "invoice_id", "You are getting a refund.", "Amount: $65.00", "invoice-refunded"),
    ],
)
async def test_of_a_payment_that_is_not_accepted_the_member_is_told(
    harness: NotificationsHarness, locale: str, of: str, subject: str, amount: str, template: str
) -> None:
    await harness.everybody(locale=locale)
    refunded: dict[str, Any] = {of: new_id(), "member_id": harness.member, "amount_minor": 6500}
    async with harness.sending():
        await harness.happen(
            facts.PaymentRefunded(**refunded, currency="USD"), facts.PaymentRefunded(**refunded, currency="ZZZ")
        )
        (mail,) = await harness.inbox.wait_for(harness.ada, 1)
        await harness.settled()
    assert mail["Subject"] == subject
    assert amount in text(mail)
    assert ("in_app", template) in await told(harness, harness.member)
    assert len(harness.inbox.mails) == 1, "what cannot be is not told"
    assert await harness.rows("SELECT id FROM chat_messages") == [], "what is paid is no business of the room"

"""What one person can do to another's mailbox, and what a message can be made to carry."""

from __future__ import annotations

import asyncio

import pytest
from makegood_testkit.platform import Cast

REMINDER = "Your session is coming up."
CONFIRMED = "Your session is confirmed! Mark your calendar."


@pytest.mark.rule("REM-1")
async def test_forty_reminders_in_a_burst_are_one_mail(cast: Cast) -> None:
    session = await cast.confirmed()
    await cast.inbox().wait_for(CONFIRMED)
    path = f"/v1/sessions/{session['id']}/reminders"
    answers = await asyncio.gather(*(cast.provider.send("POST", path, {"channel": "email"}) for _ in range(40)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 39
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["type"] == "/problems/too-soon"
    assert 3000 < int(refused.headers["Retry-After"]) <= 3600
    await cast.inbox().wait_for(REMINDER)
    await cast.platform.settle()
    assert len([mail for mail in await cast.inbox().all() if mail["Subject"] == REMINDER]) == 1

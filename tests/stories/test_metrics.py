"""What operators see of a booking and of a missed session: the metrics that the dashboards and alerts stand on."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import httpx
import pytest
from makegood_devtools.client import Refused
from makegood_stack.ports import LISTEN, PROBES_ABOVE, SERVICES
from makegood_testkit.platform import Cast, Platform
from prometheus_client.parser import text_string_to_metric_families


async def _counts(platform: Platform) -> Counter[str]:
    """Every counter of all services, and how often each histogram was observed. Labels are told by their values, in the order of their names."""
    found: Counter[str] = Counter()
    async with httpx.AsyncClient() as client:
        for service in SERVICES:
            port = platform.stack.ports.of(service) + PROBES_ABOVE
            served = (await client.get(f"http://{LISTEN}:{port}/metrics")).raise_for_status().text
            for family in text_string_to_metric_families(served):
                for sample in family.samples:
                    if sample.name.endswith(("_total", "_count")):
                        found[" ".join([sample.name, *(value for _, value in sorted(sample.labels.items()))])] += int(
                            sample.value
                        )
    return found


async def test_a_missed_session_and_what_was_made_good_are_counted(cast: Cast) -> None:
    before = await _counts(cast.platform)
    session = await cast.confirmed()
    async with cast.ticker() as ticker:
        await cast.platform.advance_to(datetime.fromisoformat(session["starts_at"]) + timedelta(minutes=10))
        await ticker.until("ProviderMissed", "CreditReturned", "SlotReleased")
    wanted = {
        *(f"makegood_events_total makegood.booking.{name}.v1" for name in ("SessionReserved", "ProviderMissed")),
        "makegood_events_total makegood.credits.CreditReturned.v1",
        "makegood_booking_decision_seconds_count reserved",
        *(f"makegood_made_good_seconds_count {step}" for step in ("credit", "slot", "email")),
        "makegood_deliveries_total email sent",
        "makegood_delivery_delay_seconds_count email",
        "makegood_deadlines_handled_total session",
        "messaging_client_consumed_messages_total booking.sessions.v1 handled",
        "messaging_client_sent_messages_total booking.sessions.v1",
    }

    async def unmoved() -> set[str]:
        risen = await _counts(cast.platform) - before
        return wanted - risen.keys()

    await cast.eventually(unmoved, lambda missing: not missing)


async def test_why_a_booking_is_refused_is_counted(cast: Cast) -> None:
    session = await cast.book()
    before = await _counts(cast.platform)
    with pytest.raises(Refused, match="slot-taken"):
        await cast.member.post("/v1/sessions", cast.booking_body(datetime.fromisoformat(session["starts_at"])), wait=15)
    wanted = ("makegood_booking_decision_seconds_count rejected", "makegood_booking_refusals_total slot-taken decision")

    async def risen() -> set[int]:
        now = await _counts(cast.platform)
        return {now[name] - before[name] for name in wanted}

    # The answer can come first: whoever waits for a decision is told as soon as it is committed.
    await cast.eventually(risen, lambda rises: rises == {1})

"""One trace leads from a request, or from a deadline, through all services to the e-mail, and tells nothing about people.

`test_canaries` looks for people's words and addresses in every span of this platform.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from makegood_chassis.tracing import trace_id_of
from makegood_contracts.envelope import Received
from makegood_devtools.traces import Span
from makegood_testkit.collector import Collector
from makegood_testkit.platform import Cast

pytestmark = pytest.mark.rule("SEC-3")

ATTRIBUTES = {
    *(
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "url.scheme",
        "http.request.header.x-request-id",
    ),
    *("messaging.system", "messaging.operation.type", "messaging.operation.name", "messaging.destination.name"),
    *("messaging.message.id", "messaging.consumer.group.name", "messaging.batch.message_count"),
    *("cloudevents.event_type", "error.type", "makegood.delivery_id", "makegood.template"),
}
"""All that a service may tell in a span."""


async def _trace(cast: Cast, traces: Collector, received: Received[Any], *expected: str) -> list[Span]:
    """The trace of an event, once the expected spans are there and no parent is missing."""
    trace_id = trace_id_of(received.traceparent)

    async def spans() -> list[Span]:
        return [span for span in traces.spans if span.trace_id == trace_id]

    def whole(found: list[Span]) -> bool:
        known = {span.span_id for span in found}
        return set(expected) <= {_told(span) for span in found} and sum(s.parent_id not in known for s in found) == 1

    found: list[Span] = await cast.eventually(spans, whole, seconds=30)
    return found


def _told(span: Span) -> str:
    return f"{span.service.removeprefix('makegood-')}: {span.name}"


def _way(spans: list[Span], last: str) -> list[str]:
    """The steps from the first span of the trace to the last one with this name."""
    by_id = {span.span_id: span for span in spans}
    span: Span | None = [span for span in spans if _told(span) == last][-1]
    steps = []
    while span is not None:
        steps.append(_told(span))
        span = by_id.get(span.parent_id)
    return steps[::-1]


async def test_a_booking_is_one_trace_from_the_gateway_to_the_last_service(cast: Cast, traces: Collector) -> None:
    async with cast.ticker() as ticker:
        await cast.book()
        seen = {passed.name: passed.received for passed in await ticker.until("SessionRequested", "SessionReserved")}
    last = "notifications: process SessionReserved"
    spans = await _trace(cast, traces, seen["SessionReserved"], last, "gateway: POST booking:/v1/sessions")
    way = _way(spans, last)
    assert way[:4] == [
        "gateway: POST booking:/v1/sessions",
        "booking: POST /v1/sessions",
        "booking: publish SessionRequested",
        way[3],
    ]
    assert way[3] in ("availability: process SessionRequested", "credits: process SessionRequested")
    assert way[-2:] == ["booking: publish SessionReserved", last]
    kinds = {_told(span): span.kind for span in spans}
    assert kinds["booking: POST /v1/sessions"] == "server"
    assert kinds["booking: publish SessionRequested"] == "producer"
    assert kinds["booking: send SessionRequested"] == "client"
    assert kinds["credits: process SessionRequested"] == "consumer"


async def test_a_missed_session_is_one_trace_from_the_deadline_to_credit_slot_and_e_mail(
    cast: Cast, traces: Collector
) -> None:
    session = await cast.confirmed(timedelta(days=2))
    async with cast.ticker() as ticker:
        await cast.platform.advance_to(datetime.fromisoformat(session["starts_at"]) + timedelta(days=3))
        seen = await ticker.until("ProviderMissed", "CreditReturned", "SlotReleased")
    missed = next(passed.received for passed in seen if passed.name == "ProviderMissed")
    email = "notifications: send email"
    ways = {
        "credits: publish CreditReturned": ["credits: process ProviderMissed"],
        "availability: publish SlotReleased": ["availability: process ProviderMissed"],
        email: ["notifications: process ProviderMissed"],
        "notifications: publish MessageDelivered": ["notifications: process ProviderMissed", email],
    }
    spans = await _trace(cast, traces, missed, *ways)
    for last, steps in ways.items():
        start = ["booking: deadline session", "booking: publish ProviderMissed"]
        assert any(_way([*spans[n:], *spans[:n]], last) == [*start, *steps, last] for n in range(len(spans)))


async def test_a_trace_goes_on_where_the_client_began_it(cast: Cast, traces: Collector) -> None:
    trace_id, span_id = "5" * 32, "7" * 16
    headers = {"Authorization": f"Bearer {cast.member.token}", "traceparent": f"00-{trace_id}-{span_id}-01"}
    await cast.platform.gateway.http.get("/v1/sessions", headers=headers)

    async def spans() -> dict[str, str]:
        return {_told(span): span.parent_id for span in traces.spans if span.trace_id == trace_id}

    found = await cast.eventually(spans, lambda found: len(found) == 2, seconds=30)
    assert found["gateway: GET booking:/v1/sessions"] == span_id
    assert "booking: GET /v1/sessions" in found


async def test_services_tell_nothing_else_in_their_spans(cast: Cast, traces: Collector) -> None:
    await cast.confirmed()

    async def found() -> list[Span]:
        return [span for span in traces.spans if span.name == "process SessionConfirmed"]

    await cast.eventually(found, bool, seconds=30)
    told = {name for span in traces.spans if span.service != "makegood-gateway" for name in span.attributes}
    assert told <= ATTRIBUTES
    assert not any(span.attributes.get("exception.message") for span in traces.spans)

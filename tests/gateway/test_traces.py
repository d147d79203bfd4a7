"""The gateway's spans: it begins the trace of a request, or follows the client's, and tells nothing about people."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from gateway_harness import Gateway, running_gateway
from makegood_devtools.traces import Span
from makegood_gateway.config import WebServer
from makegood_testkit.collector import Collector
from makegood_testkit.waiting import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
WHO = "Quillfeather"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("traced"), otlp=WebServer.parse(collector.endpoint)) as running:
        yield running


def _spans(collector: Collector, trace_id: str) -> list[Span]:
    found: list[Span] = []

    def arrived() -> bool:
        found[:] = [span for span in collector.spans if span.trace_id == trace_id]
        return bool(found)

    until(arrived, what=f"spans of {trace_id}")
    return found


def test_a_request_has_a_server_span_that_its_service_continues(traced: Gateway, collector: Collector) -> None:
    answer = httpx.get(f"{traced.url}/v1/sessions?note={WHO}", headers={**traced.headers(), "User-Agent": WHO})
    version, trace_id, span_id, flags = answer.json()["headers"]["traceparent"].split("-")
    assert (version, flags) == ("00", "01")
    (span,) = _spans(collector, trace_id)
    assert (span.span_id, span.parent_id, span.kind, span.service) == (span_id, "", "server", "makegood-gateway")
    assert span.name == "GET booking:/v1/sessions"
    assert span.attributes["upstream_cluster.name"] == "booking"
    assert WHO.encode() not in collector.received
    assert b"127.0.0.1" not in collector.received


def test_a_clients_own_trace_goes_on(traced: Gateway, collector: Collector) -> None:
    sent = {**traced.headers(), "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    httpx.get(f"{traced.url}/v1/sessions", headers=sent)
    (span,) = _spans(collector, TRACE)
    assert span.parent_id == "00f067aa0ba902b7"


def test_a_path_that_is_a_secret_is_not_exported(traced: Gateway, collector: Collector) -> None:
    trace_id = "c" * 32
    sent = {**traced.headers(), "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    httpx.get(f"{traced.url}/v1/calendar/{WHO}.ics", headers=sent)
    (span,) = _spans(collector, trace_id)
    assert span.name == "GET notifications:/v1/calendar"
    assert WHO.encode() not in collector.received


def test_what_a_client_does_not_sample_is_not_exported(traced: Gateway, collector: Collector) -> None:
    unsampled, later = "a" * 32, "b" * 32
    for trace_id, flags in ((unsampled, "00"), (later, "01")):
        sent = {**traced.headers(), "traceparent": f"00-{trace_id}-00f067aa0ba902b7-{flags}"}
        passed = httpx.get(f"{traced.url}/v1/sessions", headers=sent).json()["headers"]["traceparent"]
        assert passed.endswith(flags)
    assert _spans(collector, later)
    assert unsampled not in {span.trace_id for span in collector.spans}

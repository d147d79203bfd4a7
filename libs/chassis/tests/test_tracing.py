"""Spans: who is whose child, what they never tell, and that there are none without a collector."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from makegood_chassis import observe, tracing
from makegood_chassis.database import PublishedRow
from makegood_contracts.envelope import Cause, Received, encode
from makegood_contracts.events import EVENT_TYPES, SessionJoined
from makegood_contracts.ids import new_id
from makegood_testkit.certificates import Authority
from makegood_testkit.collector import Collector
from makegood_testkit.tls import server_context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SECRET = "Thistledown"


@pytest.mark.rule("SEC-7")
def test_the_authorities_of_the_collector_count_whatever_an_image_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = Authority(tmp_path / "ours"), Authority(tmp_path / "others")
    provider = TracerProvider()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(others.file))
    with Collector(server_context(ours.issue("collector"))) as collector:
        for trusted, says in ((ours, SpanExportResult.SUCCESS), (others, SpanExportResult.FAILURE)):
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(trusted.file))
            exporter = tracing.exporter_to(collector.endpoint)
            span = provider.get_tracer("test").start_span("told")
            span.end()
            assert isinstance(span, ReadableSpan)
            assert exporter.export([span]) == says
            exporter.shutdown()
    assert collector.received.count(b"told") == 1


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider.get_tracer("test"))
    yield exporter
    tracing.use(None)
    provider.shutdown()


def _event() -> SessionJoined:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "session_id": new_id(), "session_version": 2, "room_id": new_id(), "member_id": "m", "provider_id": "p",
        "starts_at": now, "ends_at": now, "length_minutes": 30, "modality": "video", "time_zone": "UTC",
        "party": "member", "joined_at": now, "joined_by": "member",
    }  # fmt: skip
    return SessionJoined(**{name: value for name, value in values.items() if name in SessionJoined.__struct_fields__})


def _received(traceparent: str | None) -> Received[SessionJoined]:
    event = _event()
    return Received(event, new_id(), event.key, 1, datetime.now(UTC), "c", "c", traceparent)


def _ids(span: ReadableSpan) -> tuple[str, str, str]:
    """Trace, span and parent."""
    assert span.context is not None
    parent = f"{span.parent.span_id:016x}" if span.parent else ""
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", parent


async def test_each_step_is_the_child_of_the_one_before(spans: InMemorySpanExporter) -> None:
    request = tracing.request("POST", "http", f"00-{TRACE}-{PARENT}-01", "request-1")
    assert request is not None
    creations = tracing.Creations()
    cause = creations.create(_event(), Cause("c", "c", request.traceparent))
    record = encode(_event(), sequence=1, cause=cause)
    creations.end()
    request.end("POST", "/v1/sessions/{session_id}/join", 200)
    tracing.sent([PublishedRow(1, record, 1, datetime.now(UTC))], EVENT_TYPES)
    async with tracing.receive([_received(cause.traceparent)], "credits") as receiving:
        pass
    with tracing.span("send email", {}, traceparent=receiving.received[0].traceparent):
        pass
    found = {span.name: _ids(span) for span in spans.get_finished_spans()}
    assert {trace for trace, _, _ in found.values()} == {TRACE}
    parents = {name: parent for name, (_, _, parent) in found.items()}
    own = {name: span for name, (_, span, _) in found.items()}
    assert parents == {
        "POST /v1/sessions/{session_id}/join": PARENT,
        "publish SessionJoined": own["POST /v1/sessions/{session_id}/join"],
        "send SessionJoined": own["publish SessionJoined"],
        "process SessionJoined": own["publish SessionJoined"],
        "send email": own["process SessionJoined"],
    }


async def test_what_is_not_sampled_stays_so_in_every_step(spans: InMemorySpanExporter) -> None:
    request = tracing.request("POST", "http", f"00-{TRACE}-{PARENT}-00", "request-1")
    assert request is not None
    creations = tracing.Creations()
    cause = creations.create(_event(), Cause("c", "c", request.traceparent))
    creations.end()
    request.end("POST", "/v1/rooms", 201)
    async with tracing.receive([_received(cause.traceparent)], "credits") as receiving:
        pass
    traceparent = receiving.received[0].traceparent
    assert traceparent is not None
    assert traceparent.startswith(f"00-{TRACE}-")
    assert traceparent.endswith("-00")
    assert not spans.get_finished_spans()


def test_events_of_a_unit_that_is_rolled_back_have_no_span(spans: InMemorySpanExporter) -> None:
    tracing.Creations().create(_event(), Cause.begin())
    assert not spans.get_finished_spans()


async def test_a_failure_is_told_by_its_class_alone(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match=SECRET), tracing.span("send email", {}):
        raise ValueError(SECRET)
    with pytest.raises(ValueError, match=SECRET):
        async with tracing.receive([_received(None)], "credits"):
            raise ValueError(SECRET)
    told = [span.to_json() for span in spans.get_finished_spans()]
    assert len(told) == 2
    assert all("ValueError" in one and SECRET not in one for one in told)


def test_an_answer_with_5xx_is_an_error(spans: InMemorySpanExporter) -> None:
    for status in (404, 503):
        request = tracing.request("GET", "http", None, "request-1")
        assert request is not None
        request.end("GET", "/v1/rooms", status)
    assert [span.status.is_ok for span in spans.get_finished_spans()] == [True, False]


def test_lines_of_the_log_within_a_span_have_its_ids(spans: InMemorySpanExporter) -> None:
    lines = io.StringIO()
    with redirect_stdout(lines):
        observe.configure_logs("booking")
        log = structlog.get_logger("test")
        log.info("before")
        with tracing.span("send email", {}):
            log.info("within")
    structlog.reset_defaults()
    before, within = map(json.loads, lines.getvalue().splitlines())
    (span,) = spans.get_finished_spans()
    assert "trace_id" not in before
    assert (within["trace_id"], within["span_id"]) == _ids(span)[:2]


async def test_without_a_collector_nothing_is_made_or_changed() -> None:
    cause, received = Cause.begin(), _received(f"00-{TRACE}-{PARENT}-01")
    assert tracing.request("GET", "http", None, "request-1") is None
    assert tracing.Creations().create(_event(), cause) is cause
    async with tracing.receive([received], "credits") as receiving:
        assert receiving.received[0] is received
    with tracing.span("send email", {}, traceparent=received.traceparent) as traceparent:
        assert traceparent == received.traceparent
    assert tracing.current_ids() == {}

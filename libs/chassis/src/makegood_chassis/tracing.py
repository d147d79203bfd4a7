"""Traces that go from a request, or a deadline, through outbox, Kafka and inbox to the e-mail.

Without an endpoint no span is made. A span holds ids of events and names of topics, routes and classes; never an address, a query,
an error's text, or anything else that a person wrote. Who begins a trace decides whether it is sampled; everybody else follows.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from makegood_contracts.envelope import Cause, Received
from makegood_contracts.events import Event
from opentelemetry import context as current
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from makegood_chassis import real_time

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from makegood_chassis.database import PublishedRow, UnitOfWork

Attributes = Mapping[str, str | int | Sequence[str]]

_EXPORT_SECONDS: Final = 5
"""A collector that does not answer must not hold up the end of a process for longer."""
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_propagator: Final = TraceContextTextMapPropagator()
_tracer: trace.Tracer | None = None


def configure_traces(service: str, role: str, endpoint: str) -> None:
    """Sends spans to the OpenTelemetry collector at `endpoint`. Without one, no spans are made."""
    if not endpoint:
        return
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = {
        "service.name": f"makegood-{service}",
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        "makegood.role": role,
    }
    provider = TracerProvider(resource=Resource.create(resource))
    provider.add_span_processor(BatchSpanProcessor(exporter_to(endpoint)))
    trace.set_tracer_provider(provider)
    use(provider.get_tracer("makegood"))


def exporter_to(endpoint: str) -> SpanExporter:
    """Sends spans to the collector. It trusts the authorities in OTEL_EXPORTER_OTLP_CERTIFICATE, or else those of the machine."""
    import requests
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    class Session(requests.Session):
        """Without this, REQUESTS_CA_BUNDLE of an image would take precedence over the authorities that were set for the collector."""

        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            own = self.verify if isinstance(self.verify, str) else verify
            return super().merge_environment_settings(url, proxies, stream, own, cert)

    return OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=_EXPORT_SECONDS, session=Session())


def use(tracer: trace.Tracer | None) -> None:
    """Makes spans with this tracer from now on; with None, no spans."""
    global _tracer
    _tracer = tracer


def active() -> bool:
    """Whether spans are made."""
    return _tracer is not None


def trace_id_of(traceparent: str | None) -> str | None:
    """The id of the trace that a `traceparent` header names."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    return found[1] if found else None


def current_ids() -> dict[str, str]:
    """The ids of the current trace and span, for log lines. Empty outside of spans."""
    if _tracer is None or not (here := trace.get_current_span().get_span_context()).is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(here.trace_id), "span_id": trace.format_span_id(here.span_id)}


def _parent(traceparent: str | None) -> current.Context:
    return _propagator.extract({"traceparent": traceparent} if traceparent else {}, current.Context())


def _carrier(span: trace.Span) -> str | None:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent")


def _messaging(kind: str, name: str, event: type[Event], event_id: str | None = None) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.operation.type": kind,
        "messaging.operation.name": name,
        "messaging.destination.name": event.topic.name,
        "cloudevents.event_type": event.type,
    }
    if event_id is not None:
        attributes["messaging.message.id"] = event_id
    return attributes


class Request:
    """The server span of a request. It is the current span until `end`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token = current.attach(trace.set_span_in_context(span))

    @property
    def traceparent(self) -> str | None:
        return _carrier(self._span)

    def end(self, method: str, route: str | None, status: int) -> None:
        """`status`: 0 if the client went away before the answer."""
        span = self._span
        if route is not None:
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
        if status:
            span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(trace.StatusCode.ERROR)
        span.end()
        current.detach(self._token)


def request(method: str, scheme: str, sent_traceparent: str | None, request_id: str) -> Request | None:
    """Begins the span of a request. None without traces."""
    if _tracer is None:
        return None
    attributes: Attributes = {
        "http.request.method": method,
        "url.scheme": scheme,
        "http.request.header.x-request-id": (request_id,),
    }
    return Request(_tracer.start_span(method, _parent(sent_traceparent), SpanKind.SERVER, attributes))


class Creations:
    """The spans of the events that a unit of work publishes. They end when it is committed; otherwise nobody hears of them."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[trace.Span] = []

    def create(self, event: Event, cause: Cause) -> Cause:
        """The cause to publish the event with: what it leads to belongs to its span."""
        if _tracer is None:
            return cause
        kind = type(event)
        attributes = _messaging("create", "publish", kind)
        span = _tracer.start_span(f"publish {kind.__name__}", _parent(cause.traceparent), SpanKind.PRODUCER, attributes)
        self._spans.append(span)
        return replace(cause, traceparent=_carrier(span))

    def end(self) -> None:
        for span in self._spans:
            span.end()
        self._spans = []


def sent(rows: Sequence[PublishedRow], types: Mapping[str, type[Event]]) -> None:
    """Notes that the broker has these rows: for each a span that lasts from its commit until now."""
    if _tracer is None:
        return
    now = int(real_time.now() * 1e9)
    for row in rows:
        headers = dict(row.record.headers)
        kind = types.get(headers.get("ce_type", ""))
        if kind is None or row.record.topic != kind.topic.name:
            continue  # a dead letter
        attributes = _messaging("send", "send", kind, headers["ce_id"]) | {"messaging.batch.message_count": len(rows)}
        began = min(now, int(row.created_at.timestamp() * 1e9))
        span = _tracer.start_span(
            f"send {kind.__name__}", _parent(headers.get("traceparent")), SpanKind.CLIENT, attributes, start_time=began
        )
        span.end(now)


class Receiving:
    """A consumer span for each event of a batch. It becomes the event's `traceparent`, so that effects are its
    children.
    """

    def __init__(self, received: Sequence[Received[Any]], service: str) -> None:
        self.received = received
        self._spans: list[trace.Span] = []
        self._token: Any = None
        if _tracer is None:
            return
        changed = []
        for one in received:
            kind = type(one.event)
            attributes = _messaging("process", "process", kind, one.id) | {
                "messaging.consumer.group.name": service,
                "messaging.batch.message_count": len(received),
            }
            span = _tracer.start_span(
                f"process {kind.__name__}", _parent(one.traceparent), SpanKind.CONSUMER, attributes
            )
            self._spans.append(span)
            changed.append(replace(one, traceparent=_carrier(span)))
        self.received = changed

    async def __aenter__(self) -> Self:
        if len(self._spans) == 1:  # otherwise nobody can tell whose a line of the log is
            self._token = current.attach(trace.set_span_in_context(self._spans[0]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        for span in self._spans:
            if kind is not None:
                span.set_status(trace.StatusCode.ERROR, kind.__name__)
            span.end()
        if self._token is not None:
            current.detach(self._token)


def receive(received: Sequence[Received[Any]], service: str) -> Receiving:
    """Spans around the handling of a batch. It costs nothing if there are no traces."""
    return Receiving(received, service)


@contextmanager
def span(
    name: str, attributes: Attributes, *, traceparent: str | None = None, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[str | None]:
    """A span around the block, and its `traceparent`; None without traces. An error is noted by its class alone."""
    if _tracer is None:
        yield traceparent
        return
    made = _tracer.start_span(name, _parent(traceparent), kind, attributes)
    token = current.attach(trace.set_span_in_context(made))
    try:
        yield _carrier(made)
    except BaseException as error:
        made.set_attribute("error.type", type(error).__name__)
        made.set_status(trace.StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        made.end()
        current.detach(token)


@asynccontextmanager
async def root(name: str) -> AsyncIterator[Cause]:
    """A new cause, in a trace that begins with a span around the block."""
    cause = Cause.begin()
    if _tracer is None:
        yield cause
        return
    with span(name, {}) as traceparent:
        yield replace(cause, traceparent=traceparent)


def begin(name: str, unit: UnitOfWork) -> Cause:
    """A new cause with a trace of its own, whose first span lasts until the unit is committed. It names the span in which it is
    begun, if there is one.
    """
    cause = Cause.begin()
    if _tracer is None:
        return cause
    here = trace.get_current_span().get_span_context()
    links = [Link(here)] if here.is_valid else []
    made = _tracer.start_span(name, current.Context(), SpanKind.INTERNAL, links=links)
    unit.after_commit(made.end)
    return replace(cause, traceparent=_carrier(made))

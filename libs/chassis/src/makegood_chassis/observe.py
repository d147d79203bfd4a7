"""Logs as JSON, metrics, and traces that cross Kafka. None of them ever contains what a person wrote, or a name. Errors
are logged by class and place, without their text, because databases and parsers quote values in it.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO, cast

import structlog
from makegood_contracts.envelope import Received
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator: Final = TraceContextTextMapPropagator()
_tracer: trace.Tracer | None = None


def frames(error: BaseException, most: int = 12) -> list[str]:
    """Where the error came from, innermost last: `file:line function`, without any values."""
    stack = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in stack[-most:]]


def _errors_without_text(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, tuple):
        info = info[1]
    if isinstance(info, BaseException):
        event["error"] = type(info).__name__
        event["frames"] = frames(info)
    return event


class _Lines:
    """Writes text if possible. A full disk loses lines of the log, but never stops the work that wrote them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def configure_logs(service: str, level: str = "INFO", *, process: str = "") -> None:
    """Writes structlog's and the standard library's records to stdout, one JSON object per line."""
    lines = _Lines(sys.stdout)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _errors_without_text,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, lines)),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, **({"process": process} if process else {}))
    handler = logging.StreamHandler(lines)
    handler.setFormatter(_JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy, least in (("aiokafka", "ERROR"), ("uvicorn", "WARNING"), ("alembic", "WARNING")):
        logging.getLogger(noisy).setLevel(least)


class _JsonFormatter(logging.Formatter):
    """Records of libraries: the first line of the message's template, never its arguments, which may be anything.

    asyncio adds lines with an error's own text.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service
        self._render = structlog.processors.JSONRenderer()

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "service": self._service,
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "event": str(record.msg).partition("\n")[0],
        }
        if record.exc_info and record.exc_info[1] is not None:
            event["error"] = type(record.exc_info[1]).__name__
            event["frames"] = frames(record.exc_info[1])
        return str(self._render(None, "", event))


def configure_traces(service: str, endpoint: str) -> None:
    """Sends spans to the OpenTelemetry collector at `endpoint`. Without one, no spans are made."""
    global _tracer
    if not endpoint:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": f"makegood-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")))
    trace.set_tracer_provider(provider)
    _tracer = provider.get_tracer("makegood")


def _carrier(span: trace.Span) -> str | None:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent")


class Receiving:
    """A consumer span for each event of a batch. It becomes the event's `traceparent`, so that effects are its
    children.
    """

    def __init__(self, received: Sequence[Received[Any]], service: str) -> None:
        self.received = received
        self._spans: list[trace.Span] = []
        if _tracer is not None:
            changed = []
            for one in received:
                context = _propagator.extract({"traceparent": one.traceparent} if one.traceparent else {})
                attributes: dict[str, str | int] = {
                    "messaging.system": "kafka",
                    "messaging.operation.type": "process",
                    "messaging.destination.name": type(one.event).topic.name,
                    "messaging.message.id": one.id,
                    "messaging.consumer.group.name": service,
                }
                span = _tracer.start_span(f"process {type(one.event).__name__}", context, SpanKind.CONSUMER, attributes)
                self._spans.append(span)
                changed.append(replace(one, traceparent=_carrier(span)))
            self.received = changed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        for span in self._spans:
            if kind is not None:
                span.set_status(trace.StatusCode.ERROR, kind.__name__)
            span.end()


def receive(received: Sequence[Received[Any]], service: str) -> Receiving:
    """Spans around the handling of a batch. It costs nothing if there are no traces."""
    return Receiving(received, service)

"""An OpenTelemetry collector for development: takes spans over OTLP/HTTP and keeps the last ones in memory."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_MOST_TRACES: Final = 2000
_MOST_SPANS: Final = 2000
"""Of one trace."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span. `start` and `end` are nanoseconds since 1970. `parent_id` is empty for the first of a trace."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    kind: str
    start: int
    end: int
    attributes: dict[str, Any]
    links: list[str]
    """The ids of the traces that it names."""
    failed: bool


def spans_in(body: bytes) -> Iterable[Span]:
    """The spans of an OTLP request in protobuf. Raises ValueError if it is none."""
    # Loaded with the first spans, because most platforms have none.
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
    from opentelemetry.proto.trace.v1.trace_pb2 import Status

    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise ValueError("not an OTLP request with spans") from error
    for resource in request.resource_spans:
        service = str(_values(resource.resource.attributes).get("service.name", ""))
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    service=service,
                    kind=Sent.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes=_values(span.attributes),
                    links=[link.trace_id.hex() for link in span.links],
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                )


def _values(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


class Traces:
    """The last traces, by their ids."""

    def __init__(self) -> None:
        self._traces: OrderedDict[str, list[Span]] = OrderedDict()

    def add(self, spans: Iterable[Span]) -> None:
        for span in spans:
            known = self._traces.setdefault(span.trace_id, [])
            if len(known) < _MOST_SPANS:
                known.append(span)
        while len(self._traces) > _MOST_TRACES:
            self._traces.popitem(last=False)

    async def take(self, request: Request) -> Response:
        """POST /v1/traces, as an OpenTelemetry collector answers it."""
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            self.add(spans_in(body))
        except ValueError as error:
            return JSONResponse({"message": str(error)}, 400)
        return Response(media_type="application/x-protobuf")

    async def listed(self, request: Request) -> Response:
        """GET /api/v1/traces/{id}: the spans of a trace so far, in the order of their starts."""
        spans = sorted(self._traces.get(request.path_params["id"], ()), key=lambda span: span.start)
        return JSONResponse([asdict(span) for span in spans])

"""Shows the trace of what just happened as a tree, with the time that each step took."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

import httpx
from makegood_chassis.tracing import trace_id_of
from makegood_contracts.envelope import Received
from makegood_devtools.errors import UserError
from makegood_devtools.traces import Span
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from makegood_cli.demo.screen import Screen, colour_of

_PATIENCE: Final = 20.0
_PAUSE: Final = 0.2
_INDENT: Final = 4
"""Columns by which rich indents a branch."""


class TraceReader:
    """Reads traces from the development tools, to which `makegood demo --trace` lets every process send its spans."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=10, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def read(self, trace_id: str, expected: Collection[str]) -> list[Span]:
        """The spans of a trace, once the `expected` names are there and no parent is missing: processes send them a little
        later. Raises UserError if some do not come.
        """
        spans: list[Span] = []
        missing: set[str] = set(expected)
        try:
            async with asyncio.timeout(_PATIENCE):
                while missing or _without_parent(spans) != 1:
                    await asyncio.sleep(_PAUSE)
                    answer = await self._http.get(f"/api/v1/traces/{trace_id}")
                    spans = [Span(**span) for span in answer.raise_for_status().json()]
                    missing = set(expected) - {span.name for span in spans}
        except TimeoutError:
            told = (
                f"spans named {', '.join(sorted(missing))}"
                if missing
                else "the spans that others name as their parents"
            )
            raise UserError(f"waited {_PATIENCE:g} s for {told}, in trace {trace_id}") from None
        return spans


def _without_parent(spans: Collection[Span]) -> int:
    known = {span.span_id for span in spans}
    return sum(span.parent_id not in known for span in spans)


async def show(screen: Screen, reader: TraceReader, received: Received[Any], expected: Collection[str]) -> None:
    """Prints the trace that an event belongs to. Raises UserError if it does not come."""
    trace_id = trace_id_of(received.traceparent)
    if trace_id is None:
        raise UserError(f"{type(received.event).__name__} belongs to no trace")
    screen.console.print(Padding(tree(await reader.read(trace_id, expected)), (0, 0, 0, 3)))


def tree(spans: Collection[Span]) -> Tree:
    """The trace as a tree: for each span its service, when it began after the first one, and how long it took."""
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    begun = min(span.start for span in spans)
    lasted = max(span.end for span in spans) - begun
    width = max(_widths(children, "", _INDENT))
    trace_id = next(iter(spans)).trace_id
    top = Tree(
        Text(f"trace {trace_id}, {lasted / 1e6:.1f} ms: when each step began, and how long it took", style="bold"),
        guide_style="dim",
    )
    _grow(top, children, "", _INDENT, width, begun)
    return top


def _widths(children: dict[str, list[Span]], parent: str, indent: int) -> list[int]:
    widths = [0]
    for span in children.get(parent, ()):
        widths += [indent + len(span.name), *_widths(children, span.span_id, indent + _INDENT)]
    return widths


def _grow(branch: Tree, children: dict[str, list[Span]], parent: str, indent: int, width: int, begun: int) -> None:
    for span in children.get(parent, ()):
        service = span.service.removeprefix("makegood-")
        line = Text.assemble(
            (f"{span.name:<{width - indent}}", "red" if span.failed else ""),
            (f"  {service:<13}", colour_of(service)),
            (f"  +{(span.start - begun) / 1e6:7.1f}", "dim"),
            f"  {(span.end - span.start) / 1e6:7.1f} ms",
        )
        _grow(branch.add(line), children, span.span_id, indent + _INDENT, width, begun)

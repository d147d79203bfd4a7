"""Logs as JSON. They never contain what a person wrote, or a name. Errors are logged by class and place, without their text,
because databases and parsers quote values in it. Lines within a span have its ids.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

from makegood_chassis import tracing


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


def _with_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if tracing.active():
        event.update(tracing.current_ids())
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
        _with_trace,
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
            **tracing.current_ids(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            event["error"] = type(record.exc_info[1]).__name__
            event["frames"] = frames(record.exc_info[1])
        return str(self._render(None, "", event))

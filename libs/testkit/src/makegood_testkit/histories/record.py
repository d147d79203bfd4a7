"""Notes what clients did, for the checker."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import httpx
from makegood_devtools.client import Person
from makegood_devtools.seeding import LENGTH_MINUTES

Outcome = Literal["done", "taken", "maybe"]
_PAUSE: Final = 0.2
_REQUEST: Final = 12.0
"""Seconds after which a client no longer waits for one answer."""


@dataclass
class History:
    """The operations of all clients, with one clock."""

    operations: list[dict[str, Any]] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    """Answers that no client should ever get."""

    def add(
        self,
        model: str,
        partition: str,
        kind: str,
        called: int,
        returned: int | None,
        *,
        client: int = 0,
        outcome: Outcome = "done",
        **more: Any,
    ) -> None:
        """An operation. `returned=None`: it takes effect at any later moment; unless `outcome` is `maybe`, before `drained`."""
        self.operations.append(
            {
                "model": model,
                "partition": partition,
                "client": client,
                "kind": kind,
                "called": called,
                "returned": returned,
                "outcome": outcome,
                **more,
            }
        )

    def maybe(self, model: str, partition: str, kind: str, called: int, **more: Any) -> None:
        """An operation of which nobody knows whether it took effect."""
        self.add(model, partition, kind, called, None, outcome="maybe", **more)

    def drained(self) -> None:
        """By now, everything has taken effect of which it is certain that it does."""
        now = moment()
        for operation in self.operations:
            if operation["returned"] is None and operation["outcome"] != "maybe":
                operation["returned"] = now

    def write(self, path: Path) -> None:
        """One operation a line."""
        path.write_text("".join(json.dumps(operation) + "\n" for operation in self.operations))


def moment() -> int:
    """Nanoseconds."""
    return time.monotonic_ns()


@dataclass(frozen=True)
class Answered:
    """`status` 0: nobody knows what came of it."""

    called: int
    returned: int
    status: int
    body: Any

    @property
    def reasons(self) -> set[str]:
        """The codes of all reasons of a refusal."""
        if not isinstance(self.body, dict) or self.status < 400:
            return set()
        codes = {str(reason["code"]) for reason in self.body.get("reasons", ())}
        return codes | {str(self.body.get("type", "")).rsplit("/", 1)[-1]}


async def ask(
    history: History, person: Person, method: str, path: str, body: Any = None, *, patience: float = 0.0, **options: Any
) -> Answered:
    """Sends a request. Until `patience` seconds have passed it is repeated, with the same key, if its answer was not clear."""
    called, end = moment(), time.monotonic() + patience
    key = str(uuid.uuid4()) if method == "POST" else None
    while True:
        status, content = 0, None
        try:
            async with asyncio.timeout(_REQUEST):
                answer = await person.send(method, path, body, key=key, **options)
            status, content = answer.status_code, answer.json() if answer.content else None
        except (httpx.TransportError, TimeoutError, ValueError):
            pass
        history.answers[f"{method} {status or 'nothing'}"] += 1
        answered = Answered(called, moment(), status, content)
        if status >= 500 and status not in (502, 503, 504):
            history.unexpected.append(f"{method} {path}: {status} {content}")
        if status in (0, 429, 500, 502, 503, 504) or "idempotency-in-flight" in answered.reasons:
            if time.monotonic() < end:
                await asyncio.sleep(_PAUSE)
                continue
            return Answered(called, answered.returned, 0, None)
        return answered


async def decided(
    history: History,
    person: Person,
    session: str,
    has_ended: Callable[[dict[str, Any]], bool],
    *,
    patience: float,
) -> dict[str, Any] | None:
    """The session as soon as it is as wanted; None if it was not in that time."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        seen = await ask(history, person, "GET", f"/v1/sessions/{session}")
        if seen.status == 200 and has_ended(seen.body):
            return dict(seen.body)
        await asyncio.sleep(_PAUSE)
    return None


async def book(
    history: History, person: Person, room_id: str, start: datetime, *, patience: float
) -> tuple[Answered, dict[str, Any] | None]:
    """Asks for a session. The answer; and the session, if it is known to have its slot and its credit."""
    body = {
        "room_id": room_id,
        "starts_at": start.isoformat(),
        "length_minutes": LENGTH_MINUTES,
        "modality": "video",
        "time_zone": "UTC",
    }
    asked = await ask(history, person, "POST", "/v1/sessions", body, wait=4, patience=patience)
    seen: Any = asked.body if asked.status in (200, 201) else None
    if asked.status == 202:
        seen = await decided(
            history, person, asked.body["id"], lambda one: one["status"] != "requested", patience=patience
        )
    return asked, seen if seen is not None and seen["status"] in ("reserved", "confirmed") else None

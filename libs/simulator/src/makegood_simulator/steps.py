"""A schedule: a list of steps that can be written down, taken away one by one, and played again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

Kind = Literal[
    "request",
    "again",
    "deliver",
    "send",
    "flow",
    "deadlines",
    "offsets",
    "mails",
    "clock",
    "skew",
    "restart",
    "lose-partitions",
    "lose-lease",
    "cut-off",
    "reconnect",
    "settle",
]


@dataclass(frozen=True)
class Step:
    """One step. What it names need not exist: it then does nothing, so that any part of a schedule is a schedule."""

    kind: Kind
    service: str = ""
    name: str = ""
    """Of a request: what it is called."""
    does: str = ""
    """Of a request: what is asked for."""
    session: str = ""
    """The name of the request that booked the session."""
    options: dict[str, Any] = field(default_factory=dict)
    chance: int = 0
    """The seed of what the step decides by chance; 0 for none."""
    crash: tuple[str, int] | None = None
    """The failpoint at which the process dies, and at which time of reaching it."""

    def to_json(self) -> dict[str, Any]:
        """Without what is left at its default."""
        return {name: value for name, value in asdict(self).items() if value or name == "kind"}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Step:
        crash = values.get("crash")
        return cls(**{**values, "crash": (crash[0], crash[1]) if crash else None})


def dumps(seed: int, steps: Iterable[Step]) -> str:
    """A schedule as JSON, one step a line."""
    lines = ",\n".join(json.dumps(step.to_json()) for step in steps)
    return f'{{"seed": {seed}, "steps": [\n{lines}\n]}}\n'


def loads(text: str) -> tuple[int, list[Step]]:
    """The seed and the steps. Raises ValueError, KeyError or TypeError for anything else."""
    found = json.loads(text)
    return int(found["seed"]), [Step.from_json(step) for step in found["steps"]]


def moment(at: str) -> datetime:
    return datetime.fromisoformat(at)

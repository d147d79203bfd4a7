"""What an alert is, and how it becomes a rule of Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

RUN_BOOKS: Final = "https://docs.example.org/makegood/run-books"
"""Where the pages of docs/run-books are published. Operators set their own address: `generate.py --run-books URL`."""

Severity = Literal["critical", "warning"]
"""`critical`: wake somebody. `warning`: somebody looks at it on the next working day."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Fires while `signal` is above or below a limit for `minutes`.

    `signal` is a query that returns something on every healthy platform: the tests check that, because a query with a
    wrong name returns nothing and never fires. `missing` replaces it for an alert about series that are not there.
    """

    name: str
    severity: Severity
    signal: str = ""
    missing: tuple[str, ...] = ()
    above: float | None = None
    below: float | None = None
    minutes: float = 1
    summary: str
    """What is wrong, in one sentence that fits on a telephone."""
    description: str
    """What people feel, and what happens by itself."""

    @property
    def page(self) -> str:
        """The name of its run-book in docs/run-books, without `.md`: `DatabaseUnreachable` → `database-unreachable`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", self.name).lower()

    @property
    def expression(self) -> str:
        """The query that returns something exactly while the alert is active."""
        if self.missing:
            return " or ".join(f"absent({series})" for series in self.missing)
        if self.above is not None:
            return f"({self.signal}) > {self.above:g}"
        assert self.below is not None, self.name
        return f"({self.signal}) < {self.below:g}"

    def rule(self, run_books: str = RUN_BOOKS) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        return {
            "alert": f"Makegood{self.name}",
            "expr": " ".join(self.expression.split()),
            "for": f"{int(self.minutes * 60)}s" if self.minutes % 1 else f"{int(self.minutes)}m",
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{run_books}/{self.page}.md",
            },
        }


def rule_groups(groups: dict[str, Iterable[Alert]], run_books: str = RUN_BOOKS) -> dict[str, Any]:
    """A rule file: the alerts by group."""
    return {
        "groups": [
            {"name": f"makegood-{name}", "rules": [alert.rule(run_books) for alert in alerts]}
            for name, alerts in groups.items()
        ]
    }


def as_yaml(document: dict[str, Any]) -> str:
    """YAML in the order of the code, with long lines left whole."""
    return yaml.safe_dump(document, sort_keys=False, width=4096, allow_unicode=True)

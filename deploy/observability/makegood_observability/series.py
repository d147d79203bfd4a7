"""Names of jobs and labels that queries share."""

from __future__ import annotations

from typing import Final

SERVICES: Final = ("booking", "availability", "credits", "notifications")
GATEWAY: Final = "gateway"
JOBS: Final = "|".join((*SERVICES, GATEWAY))
BY_JOB: Final = "namespace, job"
"""Outside of Kubernetes, there is no namespace; grouping by it then changes nothing."""

CHOSEN: Final = 'namespace=~"$namespace"'
CHOSEN_JOB: Final = 'namespace=~"$namespace", job=~"$job"'
"""For panels: what the dashboard's variables select."""


def grown(counter: str, minutes: int) -> str:
    """How much counters grew by job, even those that appeared meanwhile: `increase()` counts these from their first value,
    not from 0. It misses what was counted shortly before a process restarted.
    """
    none = f"0 * sum by ({BY_JOB}) (makegood_ready)"
    now = f"(sum by ({BY_JOB}) ({counter}) or {none})"
    before = f"(sum by ({BY_JOB}) ({counter} offset {minutes}m) or {none})"
    return f"clamp_min({now} - {before}, 0)"


def event(name: str) -> str:
    """The label that selects an event, by its type without `makegood.`: `booking.ProviderMissed`."""
    return f'cloudevents_event_type="makegood.{name}.v1"'

"""Rules that hold between the fields of one record, beyond what the types say. Each counts the records that break it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from makegood_contracts.publishing.tables import columns_of
from makegood_contracts.topics import Topic


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `broken`: a condition in SQL for records that break it. It concerns topics that have all of `fields`."""

    name: str
    text: str
    fields: tuple[str, ...]
    broken: str


_RULES: Final = (
    Rule("ends_after_start", "It ends after it starts.", ("starts_at", "ends_at"), "ends_at <= starts_at"),
    Rule(
        "length_is_duration",
        "The length is the time from start to end.",
        ("starts_at", "ends_at", "extended_minutes"),
        "length_minutes <> date_diff('minute', starts_at, ends_at)",
    ),
    Rule(
        "blocked_time_covers_slot",
        "The provider's blocked time covers the slot.",
        ("starts_at", "ends_at", "blocked_from"),
        "blocked_from > starts_at OR blocked_until < ends_at",
    ),
    Rule(
        "coverage_ends_after_start",
        "Coverage ends on the day on which it starts, or later.",
        ("starts_on", "ends_on"),
        "ends_on < starts_on",
    ),
    Rule(
        "move_ends_after_start",
        "A move's new end is after its new start.",
        ("new_starts_at", "new_ends_at"),
        "new_ends_at <= new_starts_at",
    ),
    Rule(
        "waits_until_after_from",
        "A member waits until a later moment than from which.",
        ("waits_from", "waits_until"),
        "waits_until <= waits_from",
    ),
)


def rules_of(topic: Topic) -> list[Rule]:
    """The rules that concern a topic. A field that is null breaks none."""
    names = {column.name for column in columns_of(topic)}
    return [rule for rule in _RULES if names.issuperset(rule.fields)]

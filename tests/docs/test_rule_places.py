"""The code says of each rule of the product where it is decided: its id with a colon stands there, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUALITIES = ("REL-", "SEC-", "PERF-")
"""Demands on the whole platform: no single place decides them."""
RULES = [
    rule
    for rule, state in re.findall(r"^([A-Z]+-\d+) +(\w+)", (ROOT / "docs/rules.txt").read_text(), flags=re.MULTILINE)
    if state == "built" and not rule.startswith(QUALITIES)
]
SOURCES = {
    path.relative_to(ROOT): path.read_text()
    for pattern in ("services/*/src/**/*.py", "libs/*/src/**/*.py")
    for path in ROOT.glob(pattern)
}


@pytest.mark.parametrize("rule", RULES)
def test_one_place_decides_a_rule(rule: str) -> None:
    decided = re.compile(rf"\b{rule}: ")
    places = [str(path) for path, text in SOURCES.items() for _ in decided.findall(text)]
    assert len(places) == 1, f'write "{rule}: …" where the rule is decided, and "({rule})" elsewhere; now: {places}'

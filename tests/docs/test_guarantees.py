"""Each promise of `docs/guarantees.md` names a rule that is built, and a test that carries it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
TEXT = PAGE.read_text()
PROMISES = [
    (cells[0], cells[2], cells[3])
    for line in TEXT.splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 4
    and re.fullmatch(r"[A-Z]+-\d+", cells[2])
]
RULES = dict(re.findall(r"^([A-Z]+-\d+) +(\w+)", (ROOT / "docs" / "rules.txt").read_text(), flags=re.MULTILINE))
MARKED = re.compile(r"pytest\.mark\.rule\(([^)]*)\)")


def _linked(text: str) -> list[Path]:
    return [(PAGE.parent / target).resolve() for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]


def test_the_page_has_promises_for_everybody() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| promise"))]
    assert len(rows) == len(PROMISES) > 20, "a line of a table needs a promise, faults, one rule and its test"


@pytest.mark.parametrize(("promise", "rule", "tests"), PROMISES)
def test_each_promise_has_a_test_with_its_rule(promise: str, rule: str, tests: str) -> None:
    assert RULES.get(rule) == "built", promise
    files = _linked(tests)
    assert files
    for file in files:
        assert file.name.startswith("test_")
        assert any(f'"{rule}"' in mark for mark in MARKED.findall(file.read_text())), f"{file.name}: {rule}"


def test_what_the_page_links_to_is_there() -> None:
    assert [str(file) for file in _linked(TEXT) if not file.exists()] == []

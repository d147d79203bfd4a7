"""Each alert has a run-book that answers the questions of somebody who reads it at three in the morning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from makegood_observability.alert import Alert
from makegood_observability.alerts import ALERTS

RUN_BOOKS = Path(__file__).parents[2] / "docs" / "run-books"
HEADINGS = ["What it means", "What people feel", "Look first", "Fix it", "Is it over?"]


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    pages = {path.stem: path.read_text() for path in RUN_BOOKS.glob("*.md") if path.stem != "README"}
    assert {name for name, text in pages.items() if text.startswith("# Makegood")} == {alert.page for alert in ALERTS}
    named = re.findall(r"\]\(([a-z-]+)\.md\)", (RUN_BOOKS / "README.md").read_text())
    assert sorted(named) == sorted(pages), "the overview names each page once"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_page_answers_the_questions_of_somebody_at_three_in_the_morning(alert: Alert) -> None:
    page = (RUN_BOOKS / f"{alert.page}.md").read_text()
    assert page.startswith(f"# Makegood{alert.name}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS
    look, fix = page.partition("## Look first")[2], page.partition("## Fix it")[2]
    assert "```" in look.partition("## Fix it")[0], "no command to look with"
    assert fix.strip()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page):
        assert (RUN_BOOKS / target).is_file(), target


@pytest.mark.parametrize("page", sorted(RUN_BOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_commands_show_what_they_should(page: Path) -> None:
    text = page.read_text()
    for line in re.findall(r"^kubectl logs -l .*$", text, re.MULTILINE):
        assert "--tail=-1" in line, f"kubectl shows the last ten lines of each pod only: {line}"
    for command in re.findall(r'psql "\$(\w+)" -c ((?:"[^"]*"|\'[^\']*\'))', text):
        if "pg_stat_activity" in command[1]:
            assert command[0] == "ADMIN_DATABASE_URL", "no other login sees what the sessions of others do"

"""The table of settings is the one that the code has."""

from __future__ import annotations

from pathlib import Path

from makegood_testkit.settings_table import render


def test_the_table_of_settings_is_fresh() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text() == render(), "run: python -m makegood_testkit.settings_table > docs/settings.md"


def test_every_setting_has_a_meaning() -> None:
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []

"""The generated files are up to date, Prometheus accepts them."""

from __future__ import annotations

import json

import pytest
import yaml
from makegood_observability.alerts import ALERTS
from makegood_observability.command import BOARDS, RULES, RULES_OF_CHART, main
from makegood_observability.dashboards import DASHBOARDS
from makegood_testkit.prometheus import check_rules


def test_the_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, f"{capsys.readouterr().err}run: python deploy/observability/generate.py"


def test_the_chart_has_the_same_alerts() -> None:
    assert yaml.safe_load(RULES_OF_CHART.read_text()) == yaml.safe_load(RULES.read_text())


@pytest.mark.usefixtures("prometheus_installed")
def test_prometheus_accepts_the_rules() -> None:
    assert f"SUCCESS: {len(ALERTS)} rules found" in check_rules([RULES])


def test_dashboards_have_panels_with_a_unit_and_a_conclusion() -> None:
    for name in DASHBOARDS:
        board = json.loads((BOARDS / f"{name}.json").read_text())
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        assert len(panels) > 5
        assert board["uid"] == f"makegood-{name}"
        assert len({panel["title"] for panel in panels}) == len(panels)
        for panel in panels:
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]

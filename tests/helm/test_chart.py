"""The chart renders to what is checked in, and Helm and Kubernetes' API accept it."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
import yaml
from makegood_testkit import chart, helm

from .conftest import SETS, manifests, named

OF_OPERATORS = {"ScaledObject", "TriggerAuthentication", "PodMonitor", "PrometheusRule", "HTTPRoute"}
"""Kinds whose definition is no part of Kubernetes."""


@pytest.mark.parametrize("values", SETS)
def test_the_chart_renders_to_the_golden(values: str) -> None:
    expected = (chart.GOLDENS / f"{values}.yaml").read_text()
    assert chart.golden(chart.value_sets()[values]) == expected, (
        f"look at what changed: run `{chart.COMMAND}`, git diff"
    )


def test_the_chart_repeats_the_code() -> None:
    assert chart.TOPICS.read_text() == chart.topics(), f"run: {chart.COMMAND}"
    assert chart.SECRETS.read_text() == chart.secrets(), f"run: {chart.COMMAND}"
    assert chart.SCHEMA.read_text() == chart.schema(), f"run: {chart.COMMAND}"


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_wrong(values: str) -> None:
    lint = helm.run(
        "lint", "--strict", "--kube-version", helm.KUBERNETES, chart.CHART, "--values", chart.value_sets()[values]
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr


@pytest.mark.parametrize("values", SETS)
def test_every_object_is_one_of_kubernetes(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(helm.packages())])
    kubernetes_validate = import_module("kubernetes_validate")

    kinds = set()
    for each in manifests(values):
        kinds.add(each["kind"])
        if each["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(each, helm.KUBERNETES, strict=True)
    assert kinds >= {"Deployment", "Job", "Service", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"}
    wrong = {**named(values, "Deployment")["gateway"], "specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, helm.KUBERNETES, strict=True)


@pytest.mark.parametrize("values", SETS)
def test_every_object_belongs_to_the_release_and_its_namespace(values: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in manifests(values)]
    assert len(names) == len(set(names))
    for each in manifests(values):
        about = each["metadata"]
        assert about["namespace"] == "makegood"
        assert about["labels"]["app.kubernetes.io/instance"] == "makegood"
        assert about["name"].startswith("makegood")


def test_the_alerts_are_those_of_the_generator() -> None:
    (rule,) = named("production", "PrometheusRule").values()
    assert rule["spec"] == yaml.safe_load((chart.CHART / "files" / "alerts.yaml").read_text())

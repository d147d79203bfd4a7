"""The chart as it renders with each ready value set. Without Helm, these tests are skipped and say how to get it; in CI they fail."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest
import yaml
from makegood_testkit import helm
from makegood_testkit.chart import CHART, value_sets

SETS = tuple(value_sets())


@pytest.fixture(scope="session", autouse=True)
def _helm() -> None:
    try:
        helm.program()
        helm.packages()
    except helm.HelmMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@cache
def manifests(values: str) -> list[dict[str, Any]]:
    """Every object of the chart with one of the sets."""
    return [each for each in yaml.load_all(helm.template(CHART, value_sets()[values]), Loader=yaml.CSafeLoader) if each]


def named(values: str, kind: str) -> dict[str, dict[str, Any]]:
    """The objects of one kind, by name without the release's."""
    return {
        each["metadata"]["name"].removeprefix("makegood-"): each for each in manifests(values) if each["kind"] == kind
    }


def pods(values: str) -> dict[str, dict[str, Any]]:
    """What each Deployment, Job and CronJob makes its pods of, and the pod that tests, by name."""
    made = {**named(values, "Deployment"), **named(values, "Job")}
    jobs = {name: each["spec"]["jobTemplate"] for name, each in named(values, "CronJob").items()}
    return {name: each["spec"]["template"] for name, each in {**made, **jobs}.items()} | named(values, "Pod")

"""The job that makes topics gets the registry's settings and the way to it, if there is a registry, and nothing otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from makegood_testkit import helm
from makegood_testkit.chart import CHART, value_sets

URL, USERNAME = (
    "topics.settings.SCHEMA_REGISTRY_URL=https://registry.example.org",
    "topics.settings.SCHEMA_REGISTRY_USERNAME=makegood",
)


@pytest.mark.parametrize(
    ("sets", "variables", "ports"),
    [
        ((), set(), {53, 19092}),
        ((URL,), {"SCHEMA_REGISTRY_URL"}, {53, 443, 19092}),
        (
            (URL, USERNAME),
            {"SCHEMA_REGISTRY_URL", "SCHEMA_REGISTRY_USERNAME", "SCHEMA_REGISTRY_PASSWORD_FILE"},
            {53, 443, 19092},
        ),
    ],
    ids=["none", "open", "with a login"],
)
def test_the_job_gets_what_the_registry_needs(sets: tuple[str, ...], variables: set[str], ports: set[int]) -> None:
    rendered = list(yaml.load_all(helm.template(CHART, value_sets()["small"], sets=sets), Loader=yaml.CSafeLoader))
    job, policy = (
        next(
            each["spec"]
            for each in rendered
            if each and each["kind"] == kind and each["metadata"]["name"] == "makegood-topics"
        )
        for kind in ("Job", "NetworkPolicy")
    )
    pod: dict[str, Any] = job["template"]["spec"]
    (container,) = pod["containers"]
    assert {each["name"] for each in container["env"] if each["name"].startswith("SCHEMA_")} == variables
    mounted = [item["path"] for volume in pod["volumes"] for source in volume.get("projected", {}).get("sources", ())
               for item in source["secret"]["items"]]  # fmt: skip
    assert ("SCHEMA_REGISTRY_PASSWORD" in mounted) == ("SCHEMA_REGISTRY_PASSWORD_FILE" in variables)
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == ports

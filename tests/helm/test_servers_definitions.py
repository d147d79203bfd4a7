"""CloudNativePG's own definitions accept what the chart of the servers renders.

Strimzi's are compared by `tests/cluster`, on a cluster that has them. These come out of a module of Go.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from makegood_testkit import servers_chart

MODULE = "github.com/cloudnative-pg/cloudnative-pg@v1.28.0"
GROUP = "postgresql.cnpg.io/v1"


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The schema of each kind, in which an unknown field is an error."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed; it downloads CloudNativePG's definitions")
    command = [go, "mod", "download", "-json", MODULE]
    folder = tmp_path_factory.mktemp("module")
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{MODULE} does not arrive")
    if done.returncode:
        pytest.skip(f"{MODULE} cannot be had: {(done.stdout + done.stderr)[-300:]}")
    found = {}
    for file in (Path(json.loads(done.stdout)["Dir"]) / "config" / "crd" / "bases").glob("*.yaml"):
        definition = yaml.safe_load(file.read_text())["spec"]
        found[definition["names"]["kind"]] = _strict(definition["versions"][0]["schema"]["openAPIV3Schema"])
    return found


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    if (
        isinstance(made.get("properties"), dict)
        and made["properties"]
        and not made.get("x-kubernetes-preserve-unknown-fields")
    ):
        made.setdefault("additionalProperties", False)
    if made.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    return made


def wrong(schema: Any, manifest: dict[str, Any]) -> list[str]:
    """What the schema says against it. No definition describes metadata, which every kind has."""
    judged = {**manifest, "metadata": {}}
    return [
        f"{'.'.join(map(str, error.path))}: {error.message}" for error in Draft7Validator(schema).iter_errors(judged)
    ]


@pytest.mark.extended
@pytest.mark.parametrize("values", ["small", "production"])
def test_cloudnativepg_accepts_its_objects(values: str, schemas: dict[str, Any]) -> None:
    rendered = yaml.safe_load_all((servers_chart.GOLDENS / f"{values}.yaml").read_text())
    ours = [each for each in rendered if each and each["apiVersion"] == GROUP]
    assert {each["kind"] for each in ours} == {"Cluster", "Database"}
    assert [fault for each in ours for fault in wrong(schemas[each["kind"]], each)] == []
    misspelt = {**ours[0], "spec": {**ours[0]["spec"], "instancez": 3}}
    assert wrong(schemas["Cluster"], misspelt)

"""The contracts of the previous release and the present ones fit together, whichever side is the later one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from makegood_contracts.envelope import decode
from makegood_contracts.generate import SUFFIX, incompatible
from makegood_contracts.publishing.places import PUBLISHED
from makegood_testkit.releases import previous_release

READ_ALL = """
import json, sys
from pathlib import Path
import makegood_contracts
from makegood_contracts.envelope import decode
from makegood_contracts.events import EVENT_TYPES
print(makegood_contracts.__file__)
for name in EVENT_TYPES:
    golden = json.loads(Path(sys.argv[1], f"{name}.json").read_text())
    headers = [(key, value.encode()) for key, value in golden["headers"].items()]
    try:
        decode(golden["key"].encode(), headers, json.dumps(golden["payload"]).encode())
    except ValueError as error:
        print(f"cannot read {name}: {error}")
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of the contracts as it was released, with what it published."""
    return previous_release(tmp_path_factory.mktemp("released"), "libs/contracts") / "libs/contracts"


def _golden(folder: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in (folder / "examples").glob("*.json")}


def test_nothing_that_was_released_is_gone_or_changed(released: Path) -> None:
    assert list((released / "published/schemas").glob("*.json"))
    assert incompatible(released / "published") == []


def test_present_readers_understand_what_was_released(released: Path) -> None:
    """Backward: by the present classes, and by the present schemas."""
    for name, golden in _golden(released / "published").items():
        value = json.dumps(golden["payload"]).encode()
        decode(golden["key"].encode(), [(key, text.encode()) for key, text in golden["headers"].items()], value)
        schema = json.loads((PUBLISHED / "schemas" / f"{name}.json").read_text())
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(golden["payload"])


def test_released_readers_understand_what_is_published_now(released: Path) -> None:
    """Forward: by the released classes, and by the released schemas."""
    environment = {**os.environ, "PYTHONPATH": str(released / "src")}
    command = [sys.executable, "-c", READ_ALL, str(PUBLISHED / "examples")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    place, *failures = done.stdout.splitlines()
    assert place.startswith(str(released))
    assert failures == []
    for name, golden in _golden(PUBLISHED).items():
        path = released / "published/schemas" / f"{name}.json"
        if path.is_file():
            schema = json.loads(path.read_text())
            Draft202012Validator(schema, format_checker=FormatChecker()).validate(golden["payload"])


def test_a_released_data_contract_that_the_present_one_breaks_is_named(released: Path, tmp_path: Path) -> None:
    """As if the release had promised more: the comparison looks at data contracts, too."""
    name = f"credits.holds.v1{SUFFIX}"
    contract = yaml.safe_load((PUBLISHED / "data-contracts" / name).read_text())
    contract["schema"][0]["properties"].append({"name": "promised", "logicalType": "string", "classification": "none"})
    (tmp_path / "data-contracts").mkdir()
    (tmp_path / "data-contracts" / name).write_text(yaml.safe_dump(contract))
    assert incompatible(tmp_path) == ["credits.holds.v1.promised: removed; fields are only ever added"]

"""The part of the warehouse that repeats the contracts is current, and the rest is described."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WAREHOUSE = ROOT / "deploy" / "warehouse"


def test_what_repeats_the_contracts_is_current() -> None:
    command = [sys.executable, str(WAREHOUSE / "generate_staging.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("folder", ["marts", "answers"])
def test_every_model_is_described_with_its_columns_and_has_a_key(folder: str) -> None:
    models = [
        model
        for path in (WAREHOUSE / "models" / folder).glob("_*.yml")
        for model in yaml.safe_load(path.read_text())["models"]
    ]
    assert sorted(model["name"] for model in models) == sorted(
        path.stem for path in (WAREHOUSE / "models" / folder).glob("*.sql")
    )
    for model in models:
        assert model["description"], model["name"]
        assert all(column["description"] for column in model["columns"]), model["name"]
        if model["name"] != "as_of":
            assert {"unique", "not_null"} <= set(map(str, model["columns"][0]["data_tests"])), model["name"]


def test_the_warehouse_reads_with_the_duckdb_that_exports_write_with() -> None:
    """A file of a later DuckDB cannot be read by an earlier one."""
    locks = (ROOT / "deploy" / "data-requirements.lock", WAREHOUSE / "requirements.lock")
    versions = {re.search(r"^duckdb==(\S+)", path.read_text(), flags=re.M)[1] for path in locks}  # type: ignore[index]
    assert len(versions) == 1

"""The published documents, judged by linters that nobody here wrote: they find nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from makegood_contracts.publishing.places import OPENAPI, PUBLISHED

from .conftest import HERE, run

pytestmark = pytest.mark.slow


def test_spectral_finds_nothing(node: Path) -> None:
    spectral = node / "node_modules" / ".bin" / "spectral"
    said = run(spectral, "lint", "--fail-severity=hint", "--ruleset", HERE / ".spectral.yaml", OPENAPI, cwd=node)
    assert "No results" in said


def test_redocly_finds_nothing(node: Path) -> None:
    redocly = node / "node_modules" / ".bin" / "redocly"
    config = HERE / "redocly.yaml"
    said = run(redocly, "lint", "--format=json", "--max-problems=100", "--config", config, OPENAPI, cwd=node)
    assert '"errors": 0' in said
    assert '"warnings": 0' in said


def test_the_asyncapi_parser_finds_nothing(node: Path) -> None:
    assert run("node", HERE / "lint-asyncapi.mjs", PUBLISHED / "asyncapi.yaml", cwd=node) == ""

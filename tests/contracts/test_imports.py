"""Who may import whom. What this forbids is how services grow together until nobody can change one alone."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "src").is_dir())
PACKAGES = sorted(
    path.parent for path in [*ROOT.glob("libs/*/src"), *ROOT.glob("services/*/src"), ROOT / "cli" / "src"]
)


def imported(source: str) -> Iterator[tuple[int, str]]:
    """(line, module) of every import in a file, wherever it stands; a relative one is its own package's and left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "importlib.import_module",
            "import_module",
            "__import__",
        ):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def _ours(module: str) -> bool:
    return module.split(".")[0].startswith("makegood")


def _violations(folder: Path, allowed: set[str], *, only_ours: bool = True) -> list[str]:
    """Imports of ours that are not `allowed`; without `only_ours` also every one that is not of the standard library."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for line, module in imported(path.read_text()):
            fine = any(module == name or module.startswith(f"{name}.") for name in allowed)
            judged = _ours(module) or (not only_ours and module.split(".")[0] not in sys.stdlib_module_names)
            if judged and not fine:
                found.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    return found


def test_all_services_are_there() -> None:
    assert SERVICES == ["availability", "booking", "credits", "notifications"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_contracts_calendar_plans_and_chassis_only(service: str) -> None:
    allowed = {f"makegood_{service}", "makegood_contracts", "makegood_calendar", "makegood_plans", "makegood_chassis"}
    for folder in ("src", "migrations"):
        assert _violations(ROOT / "services" / service / folder, allowed) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_domain_imports_the_standard_library_contracts_calendar_and_plans_only(service: str) -> None:
    package = ROOT / "services" / service / "src" / f"makegood_{service}"
    assert (package / "domain").is_dir()
    allowed = {f"makegood_{service}.domain", "makegood_contracts", "makegood_calendar", "makegood_plans"}
    assert _violations(package / "domain", allowed, only_ours=False) == []


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_store_writes_sql(service: str) -> None:
    package = ROOT / "services" / service / "src" / f"makegood_{service}"
    database = {"sqlalchemy", "asyncpg", "alembic"}
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sorted(package.rglob("*.py"))
        if "store" not in path.relative_to(package).parts
        for line, module in imported(path.read_text())
        if module.split(".")[0] in database
    ]
    assert found == []


def test_the_chassis_knows_no_service() -> None:
    assert _violations(ROOT / "libs" / "chassis" / "src", {"makegood_chassis", "makegood_contracts"}) == []


@pytest.mark.parametrize("library", ["calendar", "plans"])
def test_a_library_of_rules_imports_the_standard_library_and_contracts_only(library: str) -> None:
    allowed = {f"makegood_{library}", "makegood_contracts"}
    assert _violations(ROOT / "libs" / library / "src", allowed, only_ours=False) == []


def test_contracts_know_nobody() -> None:
    assert _violations(ROOT / "libs" / "contracts" / "src", {"makegood_contracts"}) == []


def test_a_violation_is_found_wherever_it_stands(tmp_path: Path) -> None:
    source = "def f():\n    from makegood_booking.store import x\n    import_module('makegood_credits')\n"
    assert [module for _, module in imported(source)] == ["makegood_booking.store", "makegood_credits"]

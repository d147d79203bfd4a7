"""What the documents for developers name is in the tree: paths, functions, classes, constants, settings."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = ROOT / "docs/architecture.md"
DOCUMENTS = [
    ARCHITECTURE,
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/decisions/*.md")),
    *sorted(ROOT.glob("services/*/README.md")),
]
NOT_OURS = {"card_error", "/asyncapi.json", "/v1/openapi.json"}
"""Words of other systems, and addresses."""

_found = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
FILES = {name for name in _found.stdout.splitlines() if (ROOT / name).is_file()}
FOLDERS = {str(parent) for name in FILES for parent in PurePosixPath(name).parents}
_READABLE = (".py", ".toml", ".json", ".yaml", ".yml", ".j2", ".sh", ".html", ".js", ".txt", "Makefile", "Dockerfile")
WORDS = {
    word
    for name in FILES
    if name.endswith(_READABLE) and name != "tests/docs/test_names.py"
    for word in re.findall(r"\w+", (ROOT / name).read_text())
}
_LINK = re.compile(r"((?:`[\w.]+`(?:, | and | or ))*`[\w.]+`) in\s\[`([\w./]+)`\]\(\.\./([\w./-]+)\)")


def _exists(path: str) -> bool:
    path = path.rstrip("/")
    return any(name == path or name.endswith(f"/{path}") for name in FILES | FOLDERS)


def _is_named_wrongly(code: str) -> bool:
    """Paths and names only: what has a space, a placeholder or an operator is a command or an example."""
    if code in NOT_OURS or code.startswith("."):
        return False
    if re.fullmatch(r"[\w./-]+\.(py|toml|md|txt|sh|json|yaml)", code):
        return not _exists(code)
    if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", code):
        return not set(re.findall(r"\w+", code)) <= WORDS
    return code.startswith(("libs/", "services/", "cli/", "tests/", "deploy/", "docs/")) and not (
        re.search(r"[<>*{} ]", code) or _exists(code)
    )


def _defined(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_are_in_the_tree(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    assert [code for code in re.findall(r"`([^`\n]+)`", text) if _is_named_wrongly(code)] == []


def test_the_map_names_functions_where_they_are() -> None:
    places = _LINK.findall(ARCHITECTURE.read_text())
    assert len(places) > 30
    for names, shown, target in places:
        assert target.endswith(shown), f"{shown} leads to {target}"
        missing = set(re.findall(r"[\w.]+", re.sub(r" (and|or) ", " ", names.replace("`", "")))) - _defined(
            ROOT / target
        )
        assert not missing, f"{target} has no {missing}"


def test_links_of_the_map_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", ARCHITECTURE.read_text())
    assert [target for target in targets if not (ARCHITECTURE.parent / target).exists()] == []
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines()
        if line.startswith("## ")
    }
    assert set(re.findall(r"CONTRIBUTING\.md#([\w-]+)", ARCHITECTURE.read_text())) <= headings

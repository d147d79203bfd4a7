"""The report of rules: in a pytest run of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_LIST = "A-1 built first\nA-2 built second\nA-3 later third\n"
_TEST = "import pytest\n\n@pytest.mark.rule('A-1')\ndef test_one(): pass\n"
_SKIPPED = _TEST + "\n@pytest.mark.rule('A-2')\n@pytest.mark.skip\ndef test_two(): pass\n"


def _run(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "docs").mkdir()
    (folder / "docs" / "rules.txt").write_text(_LIST)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    rule(*ids): proves\n")
    (folder / "test_it.py").write_text(tests)
    return _again(folder, *options)


def _again(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "makegood_testkit.plugin", "--rules-report", str(folder)]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=folder)


def test_a_built_rule_without_a_test_fails_the_run(tmp_path: Path) -> None:
    result = _run(tmp_path, _TEST)
    assert result.returncode == 1
    assert "A-2      has no test: second" in result.stdout
    assert "not built yet: A-3" in result.stdout


def test_a_skipped_test_proves_nothing(tmp_path: Path) -> None:
    assert "1 of 2 built rules" in _run(tmp_path, _SKIPPED).stdout


def test_all_built_rules_proved(tmp_path: Path) -> None:
    assert _run(tmp_path, _TEST.replace("'A-1'", "'A-1', 'A-2'")).returncode == 0


def test_several_processes_make_one_report(tmp_path: Path) -> None:
    two = ("--numprocesses", "2", "--dist", "loadfile")
    assert "1 of 2 built rules" in _run(tmp_path, _TEST, *two).stdout
    (tmp_path / "test_other.py").write_text(_TEST.replace("A-1", "A-2"))
    result = _again(tmp_path, *two)
    assert result.returncode == 0
    assert "2 of 2 built rules" in result.stdout


def test_a_mark_with_an_unknown_id_is_an_error(tmp_path: Path) -> None:
    result = _run(tmp_path, _TEST.replace("A-1", "A-9"))
    assert result.returncode == 4
    assert "no such rule" in result.stdout + result.stderr

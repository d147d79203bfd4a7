"""Reports which rules have a test: `docs/rules.txt` lists the rules, and `@pytest.mark.rule("MISS-1")` marks the tests
that prove them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

_LIST = Path("docs") / "rules.txt"
_PROVES = "proves"


@dataclass(frozen=True)
class Rule:
    """One line of the list: `id state title`. `built`: must have a test. `later`: not built yet. `measured`: by
    benchmarks.
    """

    id: str
    state: str
    title: str


def read_rules(path: Path) -> dict[str, Rule]:
    """The rules by id. Raises ValueError for a line that is not a rule."""
    rules = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(maxsplit=2)
        if len(words) != 3 or words[1] not in ("built", "later", "measured"):
            raise ValueError(f"{path}:{number}: expected `ID built|later|measured title`")
        rules[words[0]] = Rule(*words)
    return rules


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("makegood")
    group.addoption(
        "--rules-report", action="store_true", help="print the rules without a test; fail if one of them is built"
    )


class RulesReport:
    """Collects the rules of the tests that ran. A rule whose tests were all skipped counts as untested."""

    def __init__(self, config: pytest.Config) -> None:
        self._wanted: bool = config.getoption("--rules-report")
        self._path = config.rootpath / _LIST
        self._rules = read_rules(self._path) if self._path.exists() else {}
        self._proved: defaultdict[str, int] = defaultdict(int)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            ids = tuple(i for mark in item.iter_markers("rule") for i in mark.args)
            unknown = [i for i in ids if self._rules and i not in self._rules]
            if unknown:
                raise pytest.UsageError(f"{item.nodeid}: no such rule in {_LIST}: {', '.join(unknown)}")
            item.user_properties += [(_PROVES, rule) for rule in ids]  # reports carry them, even from worker processes

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and not report.skipped:
            for name, value in report.user_properties:
                if name == _PROVES:
                    self._proved[str(value)] += 1

    def _untested(self, state: str) -> list[Rule]:
        return [r for r in self._rules.values() if r.state == state and not self._proved[r.id]]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):
            return  # a worker process; the process that started it reports the sum
        if self._wanted and not session.config.option.collectonly and (not self._rules or self._untested("built")):
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._wanted:
            return
        write = terminalreporter.write_line
        if not self._rules:
            write(f"rules: {self._path} is missing", red=True)
            return
        built = [r for r in self._rules.values() if r.state == "built"]
        missing, later = self._untested("built"), self._untested("later")
        write(f"rules: {len(built) - len(missing)} of {len(built)} built rules have a test")
        for rule in missing:
            write(f"  {rule.id:<8} has no test: {rule.title}", red=True)
        if later:
            write(f"  not built yet: {' '.join(r.id for r in later)}")

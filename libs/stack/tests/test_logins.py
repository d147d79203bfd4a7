"""Whose passwords the command line uses: those of the containers, unless a server of ours runs."""

from __future__ import annotations

import json
from pathlib import Path

from makegood_stack.config import Choices, Stack
from makegood_stack.home import Home, find_root


def test_the_containers_logins_count_while_no_server_of_ours_runs(tmp_path: Path) -> None:
    home = Home(find_root(), tmp_path)
    home.make()
    assert "booking:secret@" in Stack.of(home, Choices()).database_url("booking")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "logins.json").write_text(json.dumps({"booking": "b-word", "booking_auditor": "a-word"}))
    stack = Stack.of(home, Choices())
    assert "booking:b-word@" in stack.database_url("booking")
    assert "booking_auditor:a-word@" in stack.database_url("booking", "auditor")
    assert "b-word" not in repr(stack)
    (home.run / "postgresql.json").write_text("{}")
    assert "booking:secret@" in Stack.of(home, Choices()).database_url("booking")

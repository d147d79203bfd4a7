"""`makegood up` makes a master key for personal data once, which nobody else on the machine reads."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from makegood_chassis.personal_data.master_keys import MasterKeys
from makegood_stack.config import Choices, Stack
from makegood_stack.home import Home, find_root
from makegood_stack.services import environment


def test_an_installation_has_one_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_KEYS", "DATA_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)
    stacks = [Stack(Home(root=find_root(), state=tmp_path / name), Choices()) for name in ("one", "one", "two")]
    paths = [Path(environment(stack, "booking")["DATA_KEYS_FILE"]) for stack in stacks]
    keys = [path.read_text() for path in paths]
    assert MasterKeys.parse(keys[0].strip()).current == "first"
    assert keys[0] == keys[1] != keys[2]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_a_key_that_the_environment_gives_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_KEYS", "given")
    monkeypatch.delenv("DATA_KEYS_FILE", raising=False)
    stack = Stack(Home(root=find_root(), state=tmp_path), Choices())
    values = environment(stack, "credits")
    assert values["DATA_KEYS"] == "given"
    assert "DATA_KEYS_FILE" not in values
    assert not stack.home.data_keys.exists()

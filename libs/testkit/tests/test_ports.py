"""Test processes that run at the same time get different ports, before any server listens on them."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from makegood_stack.port_claims import claim
from makegood_stack.ports import free_ports
from makegood_testkit.platform import free_offset

CHOOSE = """
import random, sys
from makegood_stack.ports import free_ports
from makegood_testkit.platform import free_offset
random.seed(1)
print({}, flush=True)
sys.stdin.read()
"""


@contextmanager
def chosen_elsewhere(choice: str) -> Iterator[str]:
    """What another process chooses from the same random numbers. The process keeps its claims until the end."""
    command = [sys.executable, "-c", CHOOSE.format(choice)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        yield other.stdout.readline().strip()
        other.communicate("")


@pytest.fixture
def same_numbers() -> Iterator[None]:
    before = random.getstate()
    random.seed(1)
    yield
    random.setstate(before)


@pytest.mark.usefixtures("same_numbers")
def test_two_processes_never_choose_the_same_offset() -> None:
    with chosen_elsewhere("free_offset()") as theirs:
        ours = free_offset()
        assert str(ours) != theirs
        random.seed(1)
        assert free_offset() == ours, "a process may choose its own again"


@pytest.mark.usefixtures("same_numbers")
def test_two_processes_never_choose_the_same_ports() -> None:
    with chosen_elsewhere("*free_ports(20)") as theirs:
        assert not {str(port) for port in free_ports(20)} & set(theirs.split())


def test_a_claim_ends_with_its_process() -> None:
    with chosen_elsewhere("*free_ports(1)") as theirs:
        assert not claim([int(theirs)])
    assert claim([int(theirs)])

"""What clients saw of slots and credits, judged by Porcupine (REL-12). `histories.py` is the long form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from makegood_testkit.histories.checker import NoChecker, Verdict, build, judge

pytestmark = pytest.mark.rule("REL-12")


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build(tmp_path_factory.mktemp("checker"))
    except NoChecker as missing:
        pytest.skip(str(missing))


def of_slots(*operations: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"model": "slots", "partition": "p", "outcome": "done", **one} for one in operations]


def of_credits(*operations: dict[str, Any]) -> list[dict[str, Any]]:
    start = {"kind": "start", "called": 0, "returned": 1, "amount": 5}
    return [{"model": "credits", "partition": "m", "outcome": "done", **one} for one in (start, *operations)]


def during(begin: int, end: int | None, kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "called": begin, "returned": end, **more}


def verdict_on(checker: Path, folder: Path, operations: list[dict[str, Any]]) -> Verdict:
    path = folder / "history.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in operations))
    return judge(checker, path, show=folder)


BOOK_X = during(10, 20, "book", session="x", slot="a")
LATER_BOOK_Y = during(30, 40, "book", session="y", slot="a")
HOLD_X = during(10, 20, "hold", session="x")
RETURN_X = during(30, 40, "return", session="x")


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(of_slots(BOOK_X, LATER_BOOK_Y), id="two winners"),
        pytest.param(of_slots(BOOK_X, during(10, 20, "book", session="y", slot="a")), id="two winners at once"),
        pytest.param(of_slots(during(10, 20, "book", slot="a", outcome="taken")), id="refused, and free"),
        pytest.param(
            of_slots(BOOK_X, during(30, 40, "move", session="x", slot="a", outcome="taken")), id="in its own way"
        ),
        pytest.param(of_slots(BOOK_X, during(30, 40, "read", slots=["a"], free=["a"])), id="held, and shown as free"),
        pytest.param(
            of_slots(BOOK_X, during(30, 40, "release", session="x"), during(50, 60, "read", slots=["a"], free=[])),
            id="never freed",
        ),
        pytest.param(
            of_slots(
                BOOK_X,
                during(30, 40, "move", session="x", slot="b"),
                during(50, 60, "read", slots=["a", "b"], free=[]),
            ),
            id="moved, and still held",
        ),
        pytest.param(
            of_slots(
                BOOK_X,
                during(30, 60, "move", session="x", slot="b"),
                during(40, 50, "read", slots=["a", "b"], free=["a", "b"]),
            ),
            id="neither slot held while it moves",
        ),
        pytest.param(
            of_slots(BOOK_X, during(50, None, "release", session="x", outcome="maybe"), LATER_BOOK_Y),
            id="taken before it may have been freed",
        ),
        pytest.param(of_credits(HOLD_X, RETURN_X, during(50, 60, "read", available=6, held=0)), id="returned twice"),
        pytest.param(of_credits(HOLD_X, RETURN_X, during(32, 60, "return", session="x")), id="two returns"),
        pytest.param(of_credits(HOLD_X, during(50, 60, "read", available=5, held=0)), id="a hold that is not there"),
        pytest.param(of_credits(HOLD_X, during(50, 60, "read", available=4, held=0)), id="a credit that is gone"),
        pytest.param(
            of_credits(HOLD_X, RETURN_X, during(50, 60, "read", available=4, held=1)), id="a read that is too old"
        ),
        pytest.param(
            of_credits(
                during(10, None, "hold", session="x", outcome="maybe"),
                during(20, 30, "read", available=4, held=1),
                during(40, 50, "read", available=5, held=0),
            ),
            id="an unknown hold comes and goes without a return",
        ),
    ],
)
def test_a_planted_violation_is_found(checker: Path, tmp_path: Path, operations: list[dict[str, Any]]) -> None:
    found = verdict_on(checker, tmp_path, operations)
    assert not found.linearizable
    assert len(found.illegal) == 1
    assert len(list(tmp_path.glob("*.html"))) == 1


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param(
            of_slots(
                BOOK_X,
                during(15, 25, "book", slot="a", outcome="taken"),
                during(5, 30, "read", slots=["a"], free=["a"]),
            ),
            id="one winner",
        ),
        pytest.param(
            of_slots(BOOK_X, during(25, 99, "release", session="x"), LATER_BOOK_Y), id="freed later, and taken"
        ),
        pytest.param(
            of_slots(
                during(10, None, "book", session="x", slot="a", outcome="maybe"),
                during(30, 40, "book", slot="a", outcome="taken"),
            ),
            id="unknown, and it took effect",
        ),
        pytest.param(
            of_slots(during(10, None, "book", session="x", slot="a", outcome="maybe"), LATER_BOOK_Y),
            id="unknown, and it did not",
        ),
        pytest.param(
            of_slots(
                BOOK_X,
                during(30, 40, "move", session="x", slot="b"),
                during(30, 40, "book", session="y", slot="a"),
                during(50, 60, "read", slots=["a", "b", "c"], free=["c"]),
            ),
            id="moved, and taken by another",
        ),
        pytest.param(of_slots(BOOK_X, during(30, 40, "move", session="x", slot="a")), id="moved to where it is"),
        pytest.param(
            of_credits(
                HOLD_X,
                during(15, 35, "add", amount=1),
                RETURN_X,
                during(33, 50, "read", available=5, held=1),
                during(60, 70, "read", available=6, held=0),
            ),
            id="credits",
        ),
    ],
)
def test_what_may_be_is_accepted(checker: Path, tmp_path: Path, operations: list[dict[str, Any]]) -> None:
    found = verdict_on(checker, tmp_path, operations)
    assert found.linearizable, found
    assert found.operations == len(operations)

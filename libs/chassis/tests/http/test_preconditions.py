"""If-Match and Prefer, as RFC 9110 and RFC 7240 say."""

from __future__ import annotations

import pytest
from makegood_chassis.http.preconditions import check_version, preferences, wait_seconds
from makegood_chassis.http.problems import Problem


@pytest.mark.parametrize("sent", [['"3"'], ["*"], ['"1", "3"'], ['"1"', '"3"'], ['"3" ,"4"'], ['W/"1","3"'], []])
def test_the_right_version_passes(sent: list[str]) -> None:
    check_version(sent, 3)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (['"2"'], 412),
        (['W/"3"'], 412),
        (['"1", "2"'], 412),
        (['"03"'], 412),
        (['""'], 412),
        (["3"], 422),
        (["'3'"], 422),
        (['"3'], 422),
        (['*, "3"'], 422),
        ([""], 422),
    ],
)
def test_another_version_and_odd_ones_are_refused(sent: list[str], status: int) -> None:
    with pytest.raises(Problem) as refused:
        check_version(sent, 3)
    assert refused.value.status == status


def test_a_version_that_must_be_sent() -> None:
    with pytest.raises(Problem) as refused:
        check_version([], 3, required=True)
    assert (refused.value.status, refused.value.problem.slug) == (428, "version-required")


@pytest.mark.parametrize(
    ("sent", "wait"),
    [
        (["wait=10"], 10),
        (["respond-async, wait=5"], 5),
        (["respond-async", "WAIT = 7; x=y"], 7),
        (['wait="8"'], 8),
        (['foo="a, wait=3"; bar, wait=4'], 4),
        (["wait=2, wait=9"], 2),
        (["wait=0"], 0),
        (["wait=99999"], 3600),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=²"], None),
        (["wait"], None),
        (["waiting=3"], None),
        (["return=minimal"], None),
        ([",,;=\"'"], None),
        ([], None),
    ],
)
def test_wait(sent: list[str], wait: int | None) -> None:
    assert wait_seconds(sent) == wait


def test_preferences_keep_quoted_text() -> None:
    assert preferences([r'a="x, \"y\"; z"; p=1, B']) == {"a": 'x, "y"; z', "b": ""}

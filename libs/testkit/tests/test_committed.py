"""The comparison of topics with outboxes finds each kind of difference (REL-6)."""

from __future__ import annotations

import pytest
from makegood_testkit.committed import Published, compared

pytestmark = pytest.mark.rule("REL-6")


def event(number: int, key: str = "s1", payload: bytes = b"{}") -> Published:
    return Published(f"e{number}", "booking.sessions.v1", key, payload)


COMMITTED = [event(1), event(2), event(3, "s2"), event(4)]


def test_what_was_committed_and_published_in_its_order_is_right() -> None:
    assert compared(COMMITTED, [event(3, "s2"), event(1), event(2), event(4)]).wrong() == []


@pytest.mark.parametrize(
    ("published", "kind"),
    [
        ([event(1), event(2), event(3, "s2")], "missing"),
        ([*COMMITTED, event(5)], "invented"),
        ([event(1, payload=b"[]"), *COMMITTED[1:]], "altered"),
        ([event(2), event(1), event(3, "s2"), event(4)], "inversions"),
    ],
)
def test_a_difference_is_found(published: list[Published], kind: str) -> None:
    (found,) = compared(COMMITTED, published).wrong()
    assert found.startswith(kind)


def test_a_batch_that_was_sent_again_is_no_inversion_but_counts() -> None:
    committed = [event(number) for number in range(2000)]
    again = compared(committed, [*committed[:2], *committed])
    assert (again.duplicates, again.wrong()) == (2, [])
    assert compared(committed, [*committed[:3], *committed]).wrong() == ["3 of 2000 events are on their topics twice"]

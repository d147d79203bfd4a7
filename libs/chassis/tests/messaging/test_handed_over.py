"""What a process commits itself is sent from memory, as long as that cannot change the order of a key."""

from __future__ import annotations

from makegood_chassis.database import PublishedRow
from makegood_chassis.messaging.handed_over import HandedOver

from .messaging_example import MOMENT, session_event
from .messaging_helpers import record_of


def row(row_id: int, key: str, sequence: int | None) -> PublishedRow:
    return PublishedRow(row_id, record_of(session_event(key)), sequence, MOMENT)


def ready(handed_over: HandedOver) -> list[int]:
    """The ids of the rows that may be sent."""
    handed_over.look = False
    return [taken.id for taken in handed_over.take(100)]


def test_rows_go_in_the_order_of_their_ids() -> None:
    handed_over = HandedOver()
    handed_over.add([row(3, "b", 1), row(4, "a", 2)])
    handed_over.add([row(2, "a", 1)])
    assert ready(handed_over) == [2, 3, 4]
    assert not handed_over.look


def test_a_row_waits_for_the_table_if_its_predecessor_is_not_known_to_be_sent() -> None:
    handed_over = HandedOver()
    handed_over.add([row(1, "a", 2), row(2, "b", 1), row(3, "c", None)])
    assert ready(handed_over) == [2]
    assert handed_over.look
    handed_over.sent([row(1, "a", 2)])
    handed_over.add([row(4, "a", 3)])
    assert ready(handed_over) == [4]


def test_what_was_sent_already_is_left_to_the_table() -> None:
    handed_over = HandedOver()
    handed_over.sent([row(1, "a", 1), row(2, "a", 2)])
    handed_over.add([row(2, "a", 2)])
    assert ready(handed_over) == []
    assert handed_over.look


def test_rows_that_were_read_from_the_table_are_not_taken_again() -> None:
    handed_over = HandedOver()
    handed_over.add([row(1, "a", 1), row(2, "b", 1)])
    handed_over.read({1})
    assert ready(handed_over) == [2]


def test_too_many_rows_are_left_to_the_table() -> None:
    handed_over = HandedOver(most=2)
    handed_over.look = False
    handed_over.add([row(number, str(number), 1) for number in range(3)])
    assert handed_over.look
    assert ready(handed_over) == []


def test_an_entity_that_was_forgotten_is_left_to_the_table() -> None:
    handed_over = HandedOver(entities=1)
    handed_over.sent([row(1, "a", 1), row(2, "b", 1)])
    handed_over.add([row(3, "a", 2), row(4, "b", 2)])
    assert ready(handed_over) == [4]
    assert handed_over.look


def test_a_new_leader_knows_nothing() -> None:
    handed_over = HandedOver()
    handed_over.sent([row(1, "a", 1)])
    handed_over.add([row(2, "a", 2)])
    handed_over.begin()
    assert handed_over.look
    handed_over.add([row(3, "a", 3)])
    assert ready(handed_over) == []

"""SEC-5: whatever is done to the rows of an access log, or to their seals, the chain tells where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from makegood_chassis.access.chain import Seal, breaks, canonical, remark_digest, seal
from makegood_chassis.access.tables import COLUMNS

pytestmark = pytest.mark.rule("SEC-5")

Rows = dict[int, dict[str, Any]]
_texts = st.text(max_size=8)
_maybe = st.none() | _texts
_row = st.fixed_dictionaries(
    {
        "at": st.integers(0, 10**15).map(
            lambda micros: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
        ),
        "caller": _texts,
        "role": _texts,
        "operation": _texts,
        "person_id": _maybe,
        "entity": _maybe,
        "outcome": st.sampled_from(["shown", "changed", "refused"]),
        "reason": _maybe,
        "remark_digest": st.none() | st.binary(min_size=32, max_size=32),
        "times": st.integers(1, 9),
        "request_id": _texts,
    }
)
_ids = st.lists(st.integers(1, 10**6), min_size=1, max_size=8, unique=True)


@st.composite
def _chains(draw: Callable[[Any], Any]) -> tuple[list[Seal], Rows]:
    """Rows with ids in any order, as late commits leave them, and their seals."""
    rows: Rows = {number: {"id": number, **draw(_row)} for number in draw(_ids)}
    seals: list[Seal] = []
    for row in rows.values():
        seals.append(seal(row, seals[-1] if seals else None))
    return seals, rows


@given(_chains())
def test_a_chain_that_nobody_touched_holds_in_whatever_order_rows_came(chain: tuple[list[Seal], Rows]) -> None:
    assert list(breaks(*chain, 0)) == []


@given(_chains(), st.data())
def test_a_row_that_was_changed_is_named(chain: tuple[list[Seal], Rows], data: st.DataObject) -> None:
    seals, rows = chain
    link = data.draw(st.sampled_from(seals))
    name = data.draw(st.sampled_from([each for each in COLUMNS.split(", ") if each != "id"]))
    changed = data.draw(_row)[name]
    assume(changed != rows[link.row_id][name])
    rows[link.row_id] = rows[link.row_id] | {name: changed}
    assert next(breaks(seals, rows, 0)) == f"row {link.row_id} was changed (seal {link.number})"


@given(_chains(), st.data())
def test_a_row_that_was_removed_is_named(chain: tuple[list[Seal], Rows], data: st.DataObject) -> None:
    seals, rows = chain
    link = data.draw(st.sampled_from(seals))
    del rows[link.row_id]
    assert next(breaks(seals, rows, 0)) == f"row {link.row_id} was removed (seal {link.number})"


@given(_chains(), st.data())
def test_a_row_that_was_removed_with_its_seal_leaves_a_gap(chain: tuple[list[Seal], Rows], data: st.DataObject) -> None:
    seals, rows = chain
    place = data.draw(st.integers(0, len(seals) - 1))
    # Nothing behind the last link tells that it was there: that is what the copy in the topic is for.
    assume(place < len(seals) - 1)
    gone = seals.pop(place)
    del rows[gone.row_id]
    assert next(breaks(seals, rows, 0)) == f"seal {gone.number} was removed"


@given(_chains(), st.data())
def test_a_row_that_was_put_between_others_is_found(chain: tuple[list[Seal], Rows], data: st.DataObject) -> None:
    seals, rows = chain
    place = data.draw(st.integers(0, len(seals) - 1))
    forged: dict[str, Any] = {"id": 10**6 + 1, **data.draw(_row)}
    rows[forged["id"]] = forged
    made = seal(forged, seals[place - 1] if place else None)
    later = [replace(link, number=link.number + 1) for link in seals[place:]]
    found = next(breaks([*seals[:place], made, *later], rows, 0))
    assert found.startswith(f"seal {made.number + 1} of row {seals[place].row_id} does not follow")


@given(_chains(), st.data())
def test_rows_that_changed_places_are_found(chain: tuple[list[Seal], Rows], data: st.DataObject) -> None:
    seals, rows = chain
    assume(len(seals) > 1)
    place = data.draw(st.integers(0, len(seals) - 2))
    one, other = seals[place], seals[place + 1]
    seals[place : place + 2] = [replace(other, number=one.number), replace(one, number=other.number)]
    assert next(breaks(seals, rows, 0)).startswith(f"seal {one.number} of row {other.row_id} does not follow")


@given(_chains(), st.data())
def test_any_single_change_to_a_seal_is_found(chain: tuple[list[Seal], Rows], data: st.DataObject) -> None:
    seals, rows = chain
    place = data.draw(st.integers(0, len(seals) - 1))
    link = seals[place]
    name = data.draw(st.sampled_from(["number", "row_id", "row_hash", "hash"]))
    value: Any = bytes(32) if name in ("row_hash", "hash") else getattr(link, name) + data.draw(st.integers(1, 3))
    assume(value not in rows)
    seals[place] = replace(link, **{name: value})
    assert list(breaks(seals, rows, 0))


@given(_chains(), st.data())
def test_what_was_pruned_leaves_a_chain_that_hangs_on_its_last_seal(
    chain: tuple[list[Seal], Rows], data: st.DataObject
) -> None:
    seals, rows = chain
    last = data.draw(st.integers(1, len(seals)))
    for link in seals[:last]:
        del rows[link.row_id]
    kept = seals[last - 1 :]
    assert list(breaks(kept, rows, last)) == []
    assert list(breaks(kept, rows, last - 1)), "what nobody said was pruned was removed"
    if len(kept) > 1:
        del rows[kept[1].row_id]
        assert list(breaks(kept, rows, last)) == [f"row {kept[1].row_id} was removed (seal {kept[1].number})"]


def test_a_row_has_one_form_wherever_its_clock_stands() -> None:
    at = datetime(2026, 11, 24, 9, 10, 0, 5, tzinfo=UTC)
    row = dict.fromkeys(COLUMNS.split(", ")) | {"id": 1, "at": at, "remark_digest": remark_digest(b"salt", "Grüße")}
    assert canonical(row) == canonical(row | {"at": at.astimezone(timezone(timedelta(hours=9)))})
    assert canonical(row).startswith(b'[1,"2026-11-24T09:10:00.000005+00:00",null')

"""Structs write what their models would."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any

import pytest
from makegood_chassis.http.answers import json_bytes
from makegood_chassis.http.models import Instant, View
from makegood_chassis.http.pages import Page
from makegood_chassis.http.structs import answer_page, row_struct_of, struct_of
from pydantic import ConfigDict, Field

MOMENTS = [datetime(2026, 11, 24, 9, tzinfo=UTC), datetime(2026, 11, 24, 9, 0, 0, 1200, tzinfo=UTC)]


class Inner(View):
    amount: int


class Outer(View):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    at: Instant
    from_: Annotated[Instant | None, Field(alias="from")] = None
    day: date
    text: str = "ä"
    inner: Inner | None
    many: list[Inner]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_struct_writes_what_its_model_would(moment: datetime) -> None:
    inner, outer = struct_of(Inner), struct_of(Outer)
    values: dict[str, Any] = {"at": moment, "from_": moment, "day": date(2026, 1, 2)}
    struct = outer(**values, inner=inner(amount=1), many=[inner(amount=2)])
    model = Outer(**values, inner=Inner(amount=1), many=[Inner(amount=2)])
    assert json_bytes(struct) == json_bytes(model)
    assert bytes(answer_page([struct], "next").body) == json_bytes(Page[Outer](items=[model], next_cursor="next"))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_struct_of_a_row_takes_the_fields_in_the_models_order(moment: datetime) -> None:
    row: tuple[Any, ...] = (moment, None, date(2026, 1, 2), "ö", None, [])
    model = Outer(**dict(zip(Outer.model_fields, row, strict=True)))
    assert json_bytes(row_struct_of(Outer)(*row)) == json_bytes(model)
    with pytest.raises(TypeError):
        row_struct_of(Outer)(*row[:-1])


def test_a_struct_has_the_fields_of_its_model_and_their_defaults_alone() -> None:
    outer = struct_of(Outer)
    assert b'"text":"\xc3\xa4"' in json_bytes(outer(at=MOMENTS[0], day=date(2026, 1, 2), inner=None, many=[]))
    with pytest.raises(TypeError):
        outer(at=MOMENTS[0])  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        struct_of(Inner)(amount=1, other=2)

"""The kinds of values that request models are made of take the one type they name, and nothing that could pass for it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from makegood_chassis.http.models import Day, Flag, RequestModel, Whole
from pydantic import ValidationError


class Order(RequestModel):
    count: Whole = 1
    urgent: Flag = False
    day: Day = date(2026, 11, 24)


def test_the_right_types_pass() -> None:
    order = Order.model_validate({"count": 5, "urgent": True, "day": "2026-12-24"})
    assert (order.count, order.urgent, order.day) == (5, True, date(2026, 12, 24))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"count": value} for value in ("5", 30.0, True, None, [5], 5.5)),
        *({"urgent": value} for value in ("yes", "true", 1, 0, 1.0, None)),
        *(
            {"day": value}
            for value in (20000, 20000.0, "20000", "2026-12-24T00:00:00", "20261224", "2026-12-32", "\uff12026-12-24")
        ),
    ],
    ids=str,
)
def test_what_could_pass_for_them_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Order.model_validate(wrong)

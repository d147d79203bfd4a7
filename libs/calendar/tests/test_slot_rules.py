"""What is offered: examples for each reason, and slot search against a model that looks at every minute."""

from __future__ import annotations

import random
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makegood_calendar.hours import Hours, Span
from makegood_calendar.slot_rules import Schedule, SlotRules, Terms, Venue
from makegood_calendar.slots import Busy, free_starts, is_free, window
from makegood_testkit.schedules import CLOCK_CHANGES, Model, make_schedule, make_venue

NOW = datetime(2027, 1, 4, 8, 0, tzinfo=UTC)
NINE = datetime(2027, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def schedule(**changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "hours": Hours(ZoneInfo("UTC"), (((540, 1020),),) * 7),
        "step": 15 * MINUTE,
        "buffer_before": 5 * MINUTE,
        "buffer_after": 10 * MINUTE,
        "minimum_notice": timedelta(hours=2),
        "horizon": timedelta(days=30),
        "lengths": {30: frozenset({"video", "in_person"}), 45: frozenset({"audio"})},
    }
    return Schedule(**(values | changes))


def offer(
    length: int = 30,
    modality: Any = "video",
    *,
    venue_id: str | None = None,
    venue: Venue | None = None,
    time_off: list[Span] | None = None,
    now: datetime = NOW,
    terms: Terms = "member",
    **changes: Any,
) -> SlotRules:
    return SlotRules(
        schedule(**changes),
        time_off or [],
        venue,
        length_minutes=length,
        modality=modality,
        venue_id=venue_id,
        now=now,
        terms=terms,
    )


def codes(offered: SlotRules, start: datetime = NINE) -> list[str]:
    return [reason.code for reason in offered.refusals(start)]


@pytest.mark.rule("AVAIL-1", "AVAIL-2")
def test_the_last_moment_of_the_horizon_is_found_and_offered_and_none_after_it() -> None:
    last = NINE + timedelta(days=30)
    for now, found in ((last, [last + timedelta(days=30)]), (last - timedelta(microseconds=1), [])):
        offered = offer(now=now, horizon=timedelta(days=30))
        day = last + timedelta(days=30)
        assert list(free_starts(offered, (day, day + 15 * MINUTE), Busy())) == found
        assert (codes(offered, day) == []) is bool(found)


@pytest.mark.rule("AVAIL-1")
@pytest.mark.parametrize(
    ("offered", "start"),
    [
        (offer(60), NINE),
        (offer(45, "video"), NINE),
        (offer(30, "chat"), NINE),
        (offer(30, "in_person"), NINE),
        (offer(30, "video", venue_id="v", venue=Venue()), NINE),
        (offer(), NINE + 5 * MINUTE),
        (offer(), NINE + timedelta(microseconds=1)),
        (offer(), NINE - 15 * MINUTE),
        (offer(), NINE + timedelta(hours=7, minutes=45)),
        (offer(), NINE + timedelta(hours=8)),
        (offer(now=NINE - timedelta(minutes=119)), NINE),
        (offer(now=NINE + MINUTE, minimum_notice=timedelta()), NINE),
        (offer(now=NINE - timedelta(days=30, seconds=1)), NINE),
        (offer(time_off=[(NINE + 29 * MINUTE, NINE + timedelta(hours=1))]), NINE),
        (offer(now=NINE - timedelta(days=30)), datetime.max.replace(tzinfo=UTC)),
        (offer(), datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_session_that_the_schedule_does_not_offer_is_refused(offered: SlotRules, start: datetime) -> None:
    assert codes(offered, start) == ["slot-not-offered"]


@pytest.mark.rule("AVAIL-1")
@pytest.mark.parametrize(
    ("offered", "start"),
    [
        (offer(), NINE),
        (offer(45, "audio"), NINE + 15 * MINUTE),
        (offer(), NINE + timedelta(hours=7, minutes=30)),
        (offer(now=NINE - timedelta(hours=2)), NINE),
        (offer(now=NINE, minimum_notice=timedelta()), NINE),
        (offer(now=NINE - timedelta(days=30)), NINE),
        (offer(time_off=[(NINE + 30 * MINUTE, NINE + timedelta(hours=1))]), NINE),
        (offer(30, "in_person", venue_id="v", venue=Venue()), NINE),
    ],
)
def test_a_session_within_the_schedule_is_offered_up_to_each_limit(offered: SlotRules, start: datetime) -> None:
    assert codes(offered, start) == []


@pytest.mark.rule("AVAIL-1")
def test_a_venue_that_is_closed_or_unknown_is_the_venues_reason_beside_the_providers() -> None:
    closed = Venue(Hours(ZoneInfo("UTC"), (((600, 660),),) * 7))
    assert codes(offer(30, "in_person", venue_id="v", venue=closed)) == ["venue-taken"]
    assert codes(offer(30, "in_person", venue_id="v", venue=closed), NINE + timedelta(hours=1)) == []
    assert codes(offer(30, "in_person", venue_id="v")) == ["venue-taken"]
    assert codes(offer(30, "in_person", venue_id="v", venue=closed), NINE + 5 * MINUTE) == [
        "slot-not-offered",
        "venue-taken",
    ]


@pytest.mark.rule("AVAIL-3")
def test_between_two_sessions_lie_the_buffer_after_the_first_and_the_buffer_before_the_second() -> None:
    taken = [schedule().blocked(NINE, NINE + 30 * MINUTE)]
    assert taken == [(NINE - 5 * MINUTE, NINE + 40 * MINUTE)]
    free = list(free_starts(offer(), (NINE, NINE + timedelta(hours=1)), Busy(taken)))
    assert free == [NINE + 45 * MINUTE]
    touching = Busy([(NINE - timedelta(hours=1), NINE - 5 * MINUTE)])
    assert is_free(offer(), NINE, touching)
    assert not is_free(offer(), NINE, Busy([(NINE - timedelta(hours=1), NINE - 4 * MINUTE)]))


@pytest.mark.rule("AVAIL-2")
def test_nothing_is_searched_for_a_kind_that_is_not_offered() -> None:
    assert window(offer(60), NINE, NINE + timedelta(days=1)) is None
    assert window(offer(), NINE, NINE + timedelta(days=1)) is not None
    assert window(offer(), NINE - timedelta(days=9), NINE - timedelta(days=2)) is None


@pytest.mark.rule("AVAIL-2")
def test_the_end_of_the_search_bounds_starts_and_is_exclusive() -> None:
    found = list(free_starts(offer(), (NINE, NINE + 30 * MINUTE), Busy()))
    assert found == [NINE, NINE + 15 * MINUTE]


@pytest.mark.rule("AVAIL-1", "AVAIL-2")
def test_time_off_can_reach_from_the_first_instant_to_the_last() -> None:
    always = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    day = (NINE, NINE + timedelta(days=1))
    assert list(free_starts(offer(time_off=[always]), day, Busy())) == []
    until_ten = (always[0], NINE + timedelta(hours=1))
    assert next(free_starts(offer(time_off=[until_ten]), day, Busy())) == until_ten[1]


@pytest.mark.rule("AVAIL-2", "BOOK-2")
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_search_finds_what_a_minute_by_minute_model_finds(seed: int) -> None:
    rng = random.Random(seed)
    _compare(rng, *make_schedule(rng))


@pytest.mark.rule("AVAIL-2", "BOOK-2")
@pytest.mark.parametrize("change", CLOCK_CHANGES, ids=lambda change: f"{change[0]}-{change[1]}")
def test_search_finds_what_the_model_finds_at_each_change_of_the_clocks(change: tuple[str, date]) -> None:
    for seed in range(8):
        rng = random.Random(seed)
        _compare(rng, *make_schedule(rng, change))


def _compare(rng: random.Random, published: Schedule, middle: date) -> None:
    noon = datetime(middle.year, middle.month, middle.day, 12, tzinfo=UTC)
    begin = noon - timedelta(days=1, minutes=rng.randrange(1440))
    within = begin, begin + timedelta(minutes=rng.choice([1, 90, 1440, 2600]))
    now = begin - timedelta(minutes=rng.choice([-300, 0, 60, 1500, 4320]), seconds=rng.randrange(60))

    def spans(most: int, longest: int) -> list[Span]:
        starts = (begin + rng.randrange(-120, 2700) * MINUTE for _ in range(rng.randint(0, most)))
        return [(start, start + rng.randint(1, longest) * MINUTE) for start in starts]

    venue = make_venue(rng, middle) if rng.random() < 0.5 else None
    length = 45
    time_off, sessions, others = spans(2, 400), spans(6, 90), spans(3, 90)
    asked = SlotRules(
        published,
        time_off,
        venue,
        length_minutes=length,
        modality="in_person" if venue else "video",
        venue_id="venue" if venue else None,
        now=now,
    )
    searched = window(asked, *within)
    busy = Busy([published.blocked(*span) for span in sessions], others)
    found = list(free_starts(asked, searched, busy)) if searched else []
    model = Model(published, middle, now, time_off, venue, sessions, others)
    assert found == model.starts(within, length)
    assert all(is_free(asked, start, busy) and not asked.refusals(start) for start in found)


@pytest.mark.rule("RESC-2")
@pytest.mark.parametrize("terms", ["provider", "provider_moves"])
@pytest.mark.parametrize(
    ("start", "now"),
    [
        (NINE + 7 * MINUTE, NOW),
        (NINE, NINE - MINUTE),
        (NINE, NINE),
        (NINE, NINE - timedelta(days=400)),
    ],
)
def test_notice_grid_and_horizon_do_not_bind_the_provider(start: datetime, now: datetime, terms: Terms) -> None:
    assert codes(offer(now=now), start) == ["slot-not-offered"]
    assert codes(offer(now=now, terms=terms), start) == []


@pytest.mark.rule("RESC-2", "AVAIL-1")
@pytest.mark.parametrize("terms", ["provider", "provider_moves"])
def test_hours_time_off_and_venue_bind_the_provider_too(terms: Terms) -> None:
    closed = Venue(Hours(ZoneInfo("UTC"), (((600, 660),),) * 7))
    off = [(NINE, NINE + MINUTE)]
    assert codes(offer(terms=terms), NINE - MINUTE) == ["slot-not-offered"]
    assert codes(offer(terms=terms), NINE + timedelta(hours=7, minutes=31)) == ["slot-not-offered"]
    assert codes(offer(terms=terms, time_off=off)) == ["slot-not-offered"]
    assert codes(offer(terms=terms, now=NINE + MINUTE)) == ["slot-not-offered"]
    assert codes(offer(terms=terms), datetime.max.replace(tzinfo=UTC)) == ["slot-not-offered"]
    assert codes(offer(30, "in_person", venue_id="v", venue=closed, terms=terms)) == ["venue-taken"]
    assert codes(offer(60, terms=terms)) == (["slot-not-offered"] if terms == "provider" else [])


@pytest.mark.rule("SEC-8", "AVAIL-2")
@pytest.mark.parametrize("why", ["full", "one long time off", "venue closed", "hours too short"])
def test_two_months_without_a_slot_are_skipped_not_looked_at_slot_by_slot(why: str) -> None:
    """Counted in comparisons of moments, which do not depend on the machine: 17,856 starts lie in them, each looked at once."""
    days, all_day = 62, (((0, 1440),),) * 7
    hours = (tuple((hour * 60, hour * 60 + 20) for hour in range(14)),) * 7 if why == "hours too short" else all_day
    closed = Venue(Hours(ZoneInfo("UTC"), ((),) * 7)) if why == "venue closed" else None
    offered = offer(
        modality="in_person" if closed else "video", venue_id="v" if closed else None, venue=closed,
        hours=Hours(ZoneInfo("UTC"), hours), step=5 * MINUTE, horizon=timedelta(days=90),
        time_off=[(NOW, NOW + timedelta(days=70))] if why == "one long time off" else None,
    )  # fmt: skip
    sessions = [(NOW + timedelta(hours=at), NOW + timedelta(hours=at + 1)) for at in range(24 * days)]
    busy = Busy(sessions if why == "full" else ())
    looks = 0

    def count(frame: Any, event: str, argument: Any) -> Any:
        nonlocal looks
        looks += event == "line"
        return count

    sys.settrace(count)
    try:
        assert list(free_starts(offered, (NOW, NOW + timedelta(days=days)), busy)) == []
    finally:
        sys.settrace(None)
    assert looks < 60 * days * 14

"""A schedule read from its event means what the provider published."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from makegood_calendar.hours import Hours
from makegood_calendar.published import schedule_of
from makegood_calendar.slot_rules import Schedule
from makegood_contracts import events
from makegood_contracts.events import DateHours, SchedulePublished, SessionType, WeeklyHours

PUBLISHED = SchedulePublished(
    provider_id="dr-lee",
    schedule_version=3,
    time_zone="Australia/Lord_Howe",
    specialty="psychiatry",
    session_types=[SessionType(length_minutes=45, modalities=["video", "audio"])],
    minimum_notice_minutes=90,
    horizon_days=30,
    weekly=(
        WeeklyHours(weekday=6, start=1320, until=1440),
        WeeklyHours(weekday=0, start=780, until=1020),
        WeeklyHours(weekday=0, start=540, until=720),
    ),
    exceptions=(
        DateHours(day=date(2027, 1, 4), hours=()),
        DateHours(day=date(2027, 1, 5), hours=(events.Hours(start=600, until=660),)),
    ),
    buffer_before_minutes=5,
    buffer_after_minutes=10,
    slot_step_minutes=20,
)


@pytest.mark.rule("AVAIL-1")
def test_every_part_of_a_published_schedule_is_read() -> None:
    assert schedule_of(PUBLISHED) == Schedule(
        hours=Hours(
            ZoneInfo("Australia/Lord_Howe"),
            (((540, 720), (780, 1020)), (), (), (), (), (), ((1320, 1440),)),
            {date(2027, 1, 4): (), date(2027, 1, 5): ((600, 660),)},
        ),
        step=timedelta(minutes=20),
        buffer_before=timedelta(minutes=5),
        buffer_after=timedelta(minutes=10),
        minimum_notice=timedelta(minutes=90),
        horizon=timedelta(days=30),
        lengths={45: frozenset({"video", "audio"})},
        specialty="psychiatry",
    )


def test_a_zone_that_nobody_knows_is_a_key_error() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        schedule_of(
            SchedulePublished(
                provider_id="dr-lee",
                schedule_version=1,
                time_zone="Mars/Olympus",
                specialty="therapy",
                session_types=[],
                minimum_notice_minutes=0,
                horizon_days=1,
            )
        )

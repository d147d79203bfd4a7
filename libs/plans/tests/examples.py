"""Generated plans, enrolments, lots and sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from makegood_contracts.events import Modality
from makegood_plans.funding import SessionTerms
from makegood_plans.plans import Plan
from makegood_plans.published import PublishedEnrolment, PublishedLot

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland")
LENGTHS = (30, 45)
MODALITIES: tuple[Modality, ...] = ("video", "chat", "in_person")

days = st.integers(-40, 60).map(lambda n: NOW.date() + n * DAY)
soon = st.integers(-3 * 96, 12 * 96).map(lambda n: NOW + n * QUARTER)
_lengths = st.lists(st.sampled_from(LENGTHS), unique=True).map(tuple)


@st.composite
def enrolments(draw: st.DrawFn) -> list[PublishedEnrolment]:
    """Those of one member, each on a plan of its own, numbered in the order in which they were made."""
    found = []
    for sequence in range(1, draw(st.integers(0, 3)) + 1):
        plan = Plan(
            f"plan-{sequence}",
            "eap",
            lengths=draw(_lengths),
            modalities=tuple(draw(st.lists(st.sampled_from(MODALITIES), unique=True))),
            live_credits=draw(st.sampled_from([None, 4])),
            months=draw(st.sampled_from([None, 1])),
            psychiatry_lengths=draw(_lengths),
            purchasable=draw(st.booleans()),
        )
        starts_on = draw(days)
        lasts = draw(st.none() | st.integers(0, 60))
        ends_on = None if lasts is None else starts_on + lasts * DAY
        found.append(PublishedEnrolment(plan, starts_on, ends_on, draw(st.sampled_from(ZONES)), sequence))
    return found


@st.composite
def lots(draw: st.DrawFn) -> list[PublishedLot]:
    """A member's lots, also used up and lapsed ones."""
    return [
        PublishedLot(
            str(number),
            draw(st.integers(0, 2)),
            draw(st.sampled_from([None, *LENGTHS])),
            draw(st.none() | soon),
            draw(st.sampled_from([None, None, *LENGTHS])),
        )
        for number in range(draw(st.integers(0, 3)))
    ]


sessions = st.builds(
    SessionTerms,
    starts_at=soon,
    length_minutes=st.sampled_from(LENGTHS),
    modality=st.sampled_from(MODALITIES),
    specialty=st.sampled_from(["therapy", "psychiatry"]),
)

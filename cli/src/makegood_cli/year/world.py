"""Who takes part in a generated year, and from when on."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from math import ceil
from typing import Final

from makegood_cli.year.calendar import REGIONS
from makegood_cli.year.members import Member
from makegood_cli.year.messages import Messages
from makegood_cli.year.providers import Provider
from makegood_cli.year.simulation import Simulation, midnight
from makegood_cli.year.waitlist import Waitlist

_MEMBERS_A_PROVIDER: Final = 65
_FROM_THE_START: Final = 0.6
_ERASED: Final = 0.004
"""The share of members who have their data erased."""
_DAY: Final = timedelta(days=1)


def year_of(seed: int, members: int, starts_on: date) -> Simulation:
    """A year that begins on this day, with so many members in all. More than half are there from the start."""
    starts_at = midnight(starts_on.year, starts_on.month, starts_on.day)
    simulation = Simulation(seed, starts_at, starts_at + 365 * _DAY)
    random, messages = simulation.random, Messages(simulation)
    regions = random.choices(
        REGIONS, [region.share for region in REGIONS], k=max(1, round(members / _MEMBERS_A_PROVIDER))
    )
    providers = [
        Provider(simulation, number, region, "psychiatry" if number % 9 == 8 else "therapy")
        for number, region in enumerate(regions, 1)
    ]
    waitlists = {provider.id: Waitlist(simulation, provider) for provider in providers}
    for provider in providers:
        simulation.after(timedelta(minutes=random.uniform(1, 600)), provider.begin)

    erased = set(random.sample(range(1, members + 1), ceil(members * _ERASED)))

    def joins(number: int) -> None:
        provider = random.choice(providers)
        member = Member(simulation, number, provider, waitlists[provider.id], messages)
        member.begin()
        if number in erased:
            member.ask_for_erasure()

    for number in range(1, members + 1):
        since = random.uniform(0.5, 12) if random.random() < _FROM_THE_START else random.uniform(12, 350)
        simulation.after(since * _DAY, partial(joins, number))
    return simulation

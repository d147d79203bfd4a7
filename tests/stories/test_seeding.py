"""The people of a load run can do what the run asks of them."""

from __future__ import annotations

from makegood_devtools.seeding import populate
from makegood_testkit.platform import Platform


async def test_members_of_a_load_run_have_the_credits_that_it_gives_them(platform: Platform) -> None:
    population = await populate(platform.gateway, await platform.now(), members=2, providers=1, credits=500)
    support = platform.person("support", "counts")
    for member in population.members:
        balance = await support.get(f"/v1/members/{member.subject}/credits")
        assert balance["available"] == 512  # those of the plan as well

"""Every dependency slow, silent, reset and gone under traffic: clear answers in time, true readiness, quick recovery, and
nothing lost (REL-9). `faults.py` is the long form."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from functools import partial

import pytest
import pytest_asyncio
from makegood_stack.ports import SERVICES
from makegood_testkit.fault_proxy import FAULTS, Fault
from makegood_testkit.faulty import DEPENDENCIES, NEEDED, Dependency, FaultyPlatform, faulty_platform
from makegood_testkit.folders import temporary_folder
from makegood_testkit.suffering import Outcome, Traffic, lost, suffer

pytestmark = pytest.mark.rule("REL-9")

OTHERS = tuple(one for one in DEPENDENCIES if one not in NEEDED)
"""Without these the platform works, only not as well. They suffer together."""
DEADLINE = 12
"""REQUEST_DEADLINE, shorter than in production."""
# Bounds of a quiet machine, in seconds. On a busy one everything takes longer (`Outcome.stretch`), also what is right.
LONGEST = DEADLINE + 2.0
"""Within which every request is answered. What makes ten round trips to a slow database takes all of them."""
SOON = 7.0
"""Within which a request is refused that needs a server that is away. On a quiet machine it is less than four."""
NOTICED = 5.0
"""Within which /readyz says so. On a quiet machine it is less than four."""
RECOVERY = 10.0
ALIVE = 3.0
"""Within which /livez answers."""
WAITING = {"book": 5.0, "cancel": 5.0, "buy": float(DEADLINE)}
"""Further seconds for what a client does one after the other, and waits for; and for a purchase of which nobody knows whether it died:
its key is in flight until its deadline (BOOK-9)."""


@pytest.fixture(scope="module")
def faulty() -> Iterator[FaultyPlatform]:
    with temporary_folder() as folder, faulty_platform(folder, REQUEST_DEADLINE=str(DEADLINE)) as running:
        yield running


@pytest_asyncio.fixture
async def traffic(faulty: FaultyPlatform) -> AsyncIterator[Traffic]:
    """Clients. In the end, nothing that was accepted is lost."""
    clients = await Traffic.prepare(faulty.platform)
    yield clients
    assert await lost(faulty.platform, clients) == []
    await faulty.platform.close()


def wrong(outcome: Outcome, fault: Fault, dependency: Dependency | None) -> list[str]:
    """What does not hold. `dependency`: one that the platform needs."""
    stretch = outcome.stretch
    found = [f"no clear answer: {text}" for text in outcome.unclear] + [f"not alive: {text}" for text in outcome.dead]
    if outcome.slowest_alive > ALIVE * stretch:
        found.append(f"/livez took {outcome.slowest_alive} s")
    bound = SOON if dependency == "postgresql" and fault != "slow" else LONGEST
    found += [f"{kind} took {seconds} s" for kind, seconds in outcome.longest.items() if seconds > bound * stretch]
    late = [
        kind
        for kind, counts in outcome.answers.items()
        if 504 in counts and (fault, dependency) != ("slow", "postgresql") and SOON * stretch < DEADLINE
    ]
    found += [f"{kind} was not answered before its deadline" for kind in late]
    back = {**outcome.ready_again, **outcome.served_again}
    found += [
        f"{what} took {seconds} s to recover"
        for what, seconds in back.items()
        if seconds is None or seconds > (RECOVERY + WAITING.get(what, 0)) * stretch
    ]
    for service in SERVICES:
        noticed = outcome.not_ready[service]
        if dependency is None and noticed is not None:
            found.append(f"{service} was not ready after {noticed} s: {outcome.reasons}")
        if dependency is not None and fault != "slow" and (noticed is None or noticed > NOTICED * stretch):
            found.append(f"{service} was ready for {noticed} s")
    return found


async def _hold(
    faulty: FaultyPlatform, traffic: Traffic, dependency: Dependency | None, fault: Fault, seconds: float
) -> None:
    suffering = OTHERS if dependency is None else (dependency,)
    begin = partial(faulty.begin, suffering, fault)
    outcome = await suffer(faulty.platform, traffic, begin, faulty.heal, seconds=seconds, recovery=120)
    assert wrong(outcome, fault, dependency) == [], json.dumps(asdict(outcome), indent=1)
    if dependency == "postgresql":
        refused = {status for kind, counts in outcome.answers.items() if kind.startswith("read") for status in counts}
        assert fault == "slow" or 503 in refused
    if dependency == "kafka":  # what needs no answer of another service goes on
        served = {kind: counts for kind, counts in outcome.answers.items() if kind.startswith("read")}
        assert all(set(counts) == {200} for counts in served.values()), served
        assert fault == "slow" or set(outcome.answers["book"]) <= {201, 202}, outcome.answers


@pytest.mark.slow
async def test_silent_servers_are_noticed_and_answered_for(faulty: FaultyPlatform, traffic: Traffic) -> None:
    await _hold(faulty, traffic, "postgresql", "silent", 6)
    await _hold(faulty, traffic, "kafka", "silent", 6)
    await _hold(faulty, traffic, None, "silent", 6)


@pytest.mark.extended
@pytest.mark.parametrize("fault", FAULTS)
async def test_the_platform_survives_every_fault_of_every_dependency(
    faulty: FaultyPlatform, traffic: Traffic, fault: Fault
) -> None:
    for dependency in (*sorted(NEEDED), None):
        await _hold(faulty, traffic, dependency, fault, 8)

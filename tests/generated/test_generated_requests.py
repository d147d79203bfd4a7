"""SEC-4: requests that Schemathesis makes from the document, as every kind of person, find no failure.

Each person asks every operation at random, goes along the document's links, and tries every bound of a seventh of the
operations; together they try all of them. `python -m tests.generated` does the whole for everybody, and takes its time.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import pytest_asyncio
from makegood_testkit.api_document import documents
from makegood_testkit.platform import Platform

from tests.security.rights_table import ACTORS, Actor

from .runs import Outcome, everybody

pytestmark = [pytest.mark.extended, pytest.mark.rule("SEC-4")]

OPERATIONS = {
    f"{method.upper()} {path}"
    for document in documents().values()
    for path, methods in document["paths"].items()
    for method in methods
}


@pytest_asyncio.fixture(scope="module")
async def outcomes(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Actor, Outcome]:
    return await everybody(platform, tmp_path_factory.mktemp("generated"), examples=4, seed=4, share=True)


@pytest.mark.parametrize("actor", ACTORS)
def test_no_request_finds_a_failure(outcomes: Mapping[Actor, Outcome], actor: Actor) -> None:
    outcome = outcomes[actor]
    assert not outcome.failed, outcome.said[-12_000:]
    assert outcome.operations == OPERATIONS


def test_somebody_gets_what_they_ask_for(outcomes: Mapping[Actor, Outcome]) -> None:
    """Else the requests would have ended at the first 404."""
    succeeded = {name for each in outcomes.values() for (name, status), _ in each.answers.items() if status < 300}
    assert len(succeeded) > 0.7 * len(OPERATIONS), sorted(OPERATIONS - succeeded)


@pytest.mark.rule("REL-1")
def test_the_services_agree_afterwards(outcomes: Mapping[Actor, Outcome], platform: Platform) -> None:
    assert platform.audit() == []

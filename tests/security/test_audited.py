"""After all the stories, whatever they did to each other: the invariants hold across the four databases and the topics."""

from __future__ import annotations

import pytest
from makegood_testkit.platform import Platform


@pytest.mark.last
@pytest.mark.rule("CRED-3", "AVAIL-3", "RESC-1", "MISS-2")
async def test_the_audit_finds_nothing(platform: Platform) -> None:
    assert platform.audit() == []

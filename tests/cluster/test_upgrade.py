"""Releases change under load, and nobody notices."""

from __future__ import annotations

import pytest
from makegood_testkit.waiting import until

from .conftest import Figures
from .kube import Failed
from .pod_of_load import load
from .release import Release

pytestmark = pytest.mark.extended

CLIENTS = 6
BROKEN = (
    "--set-string=services.booking.serve.settings.REQUESTS_AT_ONCE=many",
    "--set-string=podAnnotations.release=broken",
)
"""Every pod is replaced, and those that serve booking end at once, because the setting is not valid."""


@pytest.mark.rule("REL-8")
def test_an_upgrade_under_load_fails_no_request(release: Release, figures: Figures) -> None:
    before = release.existing()
    with load(release.servers, release.gateway, CLIENTS) as running:
        running.until_more()
        took = release.install("--set-string", "podAnnotations.release=two")
        until(lambda: not before & release.existing(), seconds=120, what="the end of every old pod")
        running.until_more()
    result = running.result
    figures["upgrade"] = f"{took:.0f} s, {result['requests']} requests, {result['failed']} failed"
    assert result["failed"] == 0, result


@pytest.mark.rule("REL-8")
def test_a_release_that_cannot_start_takes_no_request_and_is_rolled_back(release: Release, figures: Figures) -> None:
    good = release.revision()
    with load(release.servers, release.gateway, CLIENTS) as running:
        with pytest.raises(Failed):
            release.install(*BROKEN, "--no-hooks", wait=30)
        running.until_more()
        release.roll_back(good)
        running.until_more()
    figures["roll back"] = f"{running.result['requests']} requests, {running.result['failed']} failed"
    assert running.result["failed"] == 0, running.result
    until(lambda: not release.unsettled(), seconds=120, what="one version of everything")

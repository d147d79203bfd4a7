"""Uninstalling a release keeps its data, because databases and topics are not part of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from makegood_testkit.platform import Cast, Platform

from .release import Release

pytestmark = pytest.mark.extended


async def test_the_data_is_there_after_uninstalling_and_installing_again(
    platform: Platform, cast: Cast, release: Release
) -> None:
    session = await cast.confirmed()
    await asyncio.to_thread(release.uninstall)
    assert release.leftovers() == []
    await asyncio.to_thread(release.install)
    await asyncio.to_thread(release.reachable)
    assert (await cast.settled(session, "confirmed", "held"))["id"] == session["id"]
    await cast.book(timedelta(days=6))
    assert await asyncio.to_thread(platform.audit) == []

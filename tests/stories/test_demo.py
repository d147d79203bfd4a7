"""What `makegood demo` shows is so, story by story."""

from __future__ import annotations

import asyncio

import pytest
from makegood_cli.commands.demo import STORIES
from makegood_testkit.platform import Platform


@pytest.mark.parametrize("story", STORIES)
async def test_a_demo_comes_to_its_end(platform: Platform, story: str) -> None:
    options = ["--trace"] if story == "provider-missed" else []
    shown = await asyncio.to_thread(platform.command, "demo", story, *options)
    assert shown.returncode == 0, shown.stdout[-3000:] + shown.stderr[-2000:]
    if options:
        booked, missed, rebooked = shown.stdout.split("   trace ")[1:]
        for trace in (booked, rebooked):
            assert "gateway" in trace
            assert "process SessionReserved" in trace
        for step in ("deadline session", "publish CreditReturned", "publish SlotReleased", "send email"):
            assert step in missed

"""What `makegood demo` shows is so, story by story."""

from __future__ import annotations

import asyncio

import pytest
from makegood_cli.commands.demo import STORIES
from makegood_testkit.platform import Platform


@pytest.mark.parametrize("story", STORIES)
async def test_a_demo_comes_to_its_end(platform: Platform, story: str) -> None:
    shown = await asyncio.to_thread(platform.command, "demo", story)
    assert shown.returncode == 0, shown.stdout[-3000:] + shown.stderr[-2000:]

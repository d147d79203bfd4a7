"""Processes of the previous release and of this one work side by side on the same databases and topics, under load."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from makegood_devtools.join_key import make_join_key
from makegood_stack import up as starting
from makegood_stack.ports import LISTEN, SERVICES
from makegood_stack.processes import Running, Spec, Supervisor
from makegood_stack.services import environment, service_specs
from makegood_stack.up import http_ok
from makegood_testkit.chaos import MixedLoad, drained, verify
from makegood_testkit.folders import temporary_folder
from makegood_testkit.platform import Platform
from makegood_testkit.releases import previous_release
from makegood_testkit.waiting import eventually

ROOT = Path(__file__).parents[2]
LIBRARIES = ("contracts", "calendar", "plans", "chassis")
TOGETHER = 12.0
"""Seconds of load with both releases at once."""


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the previous release."""
    folder = previous_release(tmp_path_factory.mktemp("previous"), "libs", "services")
    look = "import makegood_booking, makegood_chassis; print(makegood_booking.__file__, makegood_chassis.__file__)"
    used = subprocess.run(
        [sys.executable, "-c", look], env={**os.environ, **_paths(folder)}, capture_output=True, text=True, check=True
    )
    assert used.stdout.count(str(folder)) == 2, used.stdout
    return folder


@pytest.fixture
def place() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


def _paths(sources: Path) -> dict[str, str]:
    """The environment in which Python takes our packages from these sources."""
    packages = [sources / "libs" / name / "src" for name in LIBRARIES] + [
        sources / "services" / s / "src" for s in SERVICES
    ]
    return {"PYTHONPATH": os.pathsep.join(map(str, packages))}


class Releases:
    """Starts and stops single processes of either release, on the ports of one platform."""

    def __init__(self, platform: Platform, previous: Path) -> None:
        self.platform = platform
        self.supervisor = Supervisor(platform.home)
        self._sources = {"previous": previous, "present": ROOT}

    def _settings(self, release: str) -> Mapping[str, str]:
        # As in production, where only the role `migrate` migrates.
        return {**_paths(self._sources[release]), "MAKEGOOD_MIGRATE": "0"}

    async def migrate(self, release: str) -> None:
        for service in SERVICES:
            values = {**os.environ, **environment(self.platform.stack, service), **self._settings(release)}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"makegood_{service}", "migrate",
                env=values, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            output, _ = await process.communicate()
            assert process.returncode == 0, output.decode()[-2000:]

    async def start(self, release: str, service: str, number: int) -> None:
        spec = service_specs(self.platform.stack, service)[number - 1]
        spec = replace(spec, environment={**spec.environment, **self._settings(release)})
        record = await asyncio.to_thread(self.supervisor.start, spec)
        await eventually(lambda: self._ready(spec, record), seconds=90)

    async def _ready(self, spec: Spec, record: Running) -> bool:
        assert self.supervisor.alive(record), self.supervisor.last_lines(spec.name, 30)
        return await http_ok(f"http://{LISTEN}:{list(spec.ports.values())[-1]}/readyz")

    async def stop(self, service: str, number: int) -> None:
        spec = service_specs(self.platform.stack, service)[number - 1]
        killed = await asyncio.to_thread(self.supervisor.stop, [self.supervisor.running()[spec.name]])
        assert killed == [], f"{spec.name} did not stop by itself"

    async def replace(self, service: str, number: int) -> None:
        await self.stop(service, number)
        await self.start("present", service, number)


@pytest.mark.extended
async def test_both_releases_work_side_by_side_while_one_replaces_the_other(place: Path, previous: Path) -> None:
    platform = Platform.at(place, scale=dict.fromkeys(SERVICES, 2))
    releases = Releases(platform, previous)
    try:
        servers = frozenset({"kafka", "postgresql", "redis", "mail"})
        await asyncio.to_thread(starting.up, platform.home, platform.choices, platform.console, servers)
        await asyncio.to_thread(make_join_key, platform.home.join_links)
        await releases.migrate("previous")
        for number in (1, 2):
            await asyncio.gather(*(releases.start("previous", service, number) for service in SERVICES))
        await asyncio.to_thread(starting.up, platform.home, platform.choices, platform.console, frozenset({"gateway"}))
        load = await MixedLoad.prepare(platform)

        async def release() -> None:
            await asyncio.sleep(3)
            await releases.migrate("present")
            for service in SERVICES:
                await releases.replace(service, 2)
            await asyncio.sleep(TOGETHER)
            for service in SERVICES:
                await releases.replace(service, 1)
            await asyncio.sleep(3)

        releasing = asyncio.create_task(release())
        loading = asyncio.create_task(load.run(900))
        try:
            await releasing
        finally:
            load.stop()
            await loading
        await drained(platform)
        assert len(load.ledger.booked) > 50
        failed = {status: count for status, count in load.ledger.answers.items() if status >= 500}
        assert failed == {}
        assert await verify(platform, load) == []
        assert platform.command("topics", "tail", "dead-letters", "--until-end", "--json").stdout == ""
    finally:
        await platform.close()
        await asyncio.to_thread(platform.down)

"""Runs of Schemathesis against a running platform, one for each kind of person."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makegood_testkit.platform import Platform
from makegood_testkit.python_tools import programs_of

from tests.security.rights_table import ACTORS, Actor
from tests.security.scene import Scene

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLACE = ROOT / ".makegood" / "generated"
DOCUMENT = "/v1/openapi.json"
LAST: Actor = "ops"
"""They change the policies by which everybody's bookings are judged."""
FIRST: Sequence[Actor] = [actor for actor in ACTORS if actor != LAST]
_AT_ONCE = 3


@dataclass(frozen=True)
class Outcome:
    """What a run said, and how many answers of each status every operation gave."""

    failed: bool
    said: str
    answers: Mapping[tuple[str, int], int]

    @property
    def requests(self) -> int:
        return sum(self.answers.values())

    @property
    def operations(self) -> set[str]:
        return {name for name, _ in self.answers}

    @property
    def statuses(self) -> Mapping[int, int]:
        found: Counter[int] = Counter()
        for (_, status), count in self.answers.items():
            found[status] += count
        return dict(sorted(found.items()))


async def everybody(
    platform: Platform, folder: Path, *, examples: int, seed: int, share: bool = False
) -> dict[Actor, Outcome]:
    """The outcome for each kind of person. `examples`: random requests for each operation. `share`: each tries the bounds of
    a part of the operations only.
    """
    places = asyncio.Semaphore(_AT_ONCE)
    document = (await platform.gateway.http.get(DOCUMENT)).json()
    names = sorted(operation["operationId"] for methods in document["paths"].values() for operation in methods.values())

    async def ask(actor: Actor) -> Outcome:
        asked = folder / actor.replace(" ", "-")
        await asyncio.to_thread(asked.mkdir, parents=True, exist_ok=True)
        part = names[ACTORS.index(actor) :: len(ACTORS)] if share else names
        async with places:
            return await run(platform, actor, asked, part, f"--max-examples={examples}", f"--seed={seed}")

    outcomes = dict(zip(FIRST, await asyncio.gather(*map(ask, FIRST)), strict=True))
    return outcomes | {LAST: await ask(LAST)}


async def run(platform: Platform, actor: Actor, folder: Path, bounds: Sequence[str], *options: str) -> Outcome:
    """Asks everything in the document as this person, about things of two casts that are made first. Writes into the folder.

    `bounds`: the operations of which every bound is tried.
    """
    tools = await asyncio.to_thread(programs_of, HERE / "requirements.lock", PLACE / "python")
    scene = await Scene.set(platform)
    known = await things(scene)
    answer = await platform.gateway.http.get(DOCUMENT)
    schema, settings, events = (folder / name for name in ("openapi.json", "schemathesis.toml", "events.ndjson"))
    schema.write_text(json.dumps(prepared(answer.json(), known, actor)))
    person = scene.people[actor]
    parts = [(HERE / "schemathesis.toml").read_text(), dictionaries(known, actor), coverage(bounds)]
    if person:
        parts.append('[auth.openapi.token]\nbearer = "${GENERATED_TOKEN}"\n')
    else:
        # Without one, invalid tokens would be generated, of which an address has few.
        parts[0] = parts[0].replace("[generation]", "[generation]\nwith-security-parameters = false")
    settings.write_text("\n".join(parts))
    command: list[str | Path] = [tools / "st", "--config-file", settings, "run", schema, "--no-color", *options]
    command += ["--report", "ndjson", "--report-ndjson-path", events]
    variables = {"GENERATED_HOOKS": str(HERE / "hooks.py"), "GENERATED_URL": platform.stack.base_url}
    variables["GENERATED_TOKEN"] = person.token if person else ""

    def execute() -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables}
        return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)

    ended = await asyncio.to_thread(execute)
    return outcome(ended.returncode != 0, ended.stdout + ended.stderr, events)


GATEWAY = ("400", "431")
"""To any request: an ambiguous path, or headers of more than 16 KiB. No service knows of them, so no document lists them everywhere."""
NAMES = ("entry_id", "time_off_id", "proposal_id", "token", "secret")


async def things(scene: Scene) -> dict[str, list[Any]]:
    """The values that stand for parameters and fields, by name."""
    for name in NAMES:
        await scene.value(name)
    known = {
        name: [value] for name, value in scene.values.items() if name not in ("reason", "modality", "other_provider_id")
    }
    other = scene.stranger
    known["room_id"].append(other.room_id)
    for name, person in (
        ("member_id", other.member),
        ("person_id", scene.cast.provider),
        ("provider_id", other.provider),
    ):
        known[name].append(person.subject)
    return known


def prepared(document: dict[str, Any], known: Mapping[str, list[Any]], actor: Actor) -> dict[str, Any]:
    """The document with these values as examples, wherever a parameter or field has such a name."""
    if actor not in ("support", "ops"):
        # Nobody asks these why, so the header may say anything.
        for methods in document["paths"].values():
            for operation in methods.values():
                parameters = operation.get("parameters", [])
                operation["parameters"] = [each for each in parameters if "X-Access-Reason" not in str(each)]
    for methods in document["paths"].values():
        for operation in methods.values():
            for status in GATEWAY:
                operation["responses"].setdefault(status, {"description": "The gateway's answer to what is no HTTP"})
            for parameter in operation.get("parameters", ()):
                if parameter.get("in") in ("path", "query") and parameter["name"] in known:
                    parameter.pop("example", None)
                    parameter.pop("examples", None)
                    parameter["schema"] = {**parameter["schema"], "examples": known[parameter["name"]]}
    for schema in document["components"]["schemas"].values():
        for example in schema.get("examples", ()):
            if isinstance(example, dict):
                example.update({name: known[name][0] for name in example.keys() & known.keys()})
    return document


def dictionaries(known: Mapping[str, list[Any]], actor: Actor) -> str:
    """Settings with which generated requests mostly name things that exist."""
    lines = [f'[dictionaries."{name}"]\nvalues = {json.dumps(values)}' for name, values in known.items()]
    lines += ['[dictionaries.why]\nvalues = ["support_request"]', "[parameters]"]
    for name in known:
        for place in ("path", "query", "body"):
            lines.append(f'"{place}.{name}" = {{ dictionary = "{name}", probability = 0.8 }}')
    if actor in ("support", "ops"):
        lines.append('"header.X-Access-Reason" = { dictionary = "why", probability = 0.9 }')
    return "\n" + "\n".join(lines) + "\n"


def coverage(bounds: Sequence[str]) -> str:
    """Settings that leave out the phase `coverage` for all other operations."""
    chosen = "|".join(bounds)
    return f"""
[[operations]]
exclude-operation-id-regex = "^({chosen})$"
phases.coverage.enabled = false
"""


def outcome(failed: bool, said: str, events: Path) -> Outcome:
    """Reads the report: one line of JSON an event."""
    answers: Counter[tuple[str, int]] = Counter()
    with events.open() as lines:
        for line in lines:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for number, interaction in recorder.get("interactions", {}).items():
                case = recorder["cases"].get(number, {}).get("value", {})
                # A scenario has a label of its own, and its steps have theirs.
                known = recorder["label"].startswith("/") or " /" in recorder["label"]
                label = recorder["label"] if known else f"{case.get('method')} {case.get('path')}"
                answers[label, (interaction.get("response") or {}).get("status_code", 0)] += 1
    return Outcome(failed, said, answers)

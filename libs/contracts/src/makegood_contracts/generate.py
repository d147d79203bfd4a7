"""`python -m makegood_contracts.generate [--check]`: writes the published form of the contracts, or says what is stale.

Neither accepts an incompatible change: what is checked in is what others have built on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from makegood_contracts.events import EVENT_TYPES
from makegood_contracts.publishing.asyncapi import document
from makegood_contracts.publishing.compatibility import breaks
from makegood_contracts.publishing.examples import golden_of
from makegood_contracts.publishing.places import OPENAPI, PUBLISHED
from makegood_contracts.publishing.schemas import schema_of

COMMAND: Final = "python -m makegood_contracts.generate"


def files() -> dict[str, str]:
    """Every published file, by its path below the folder."""
    made = {"asyncapi.yaml": _yaml(document())}
    for name, kind in EVENT_TYPES.items():
        made[f"schemas/{name}.json"] = _json(schema_of(kind))
        made[f"examples/{name}.json"] = _json(golden_of(kind))
    return made


def stale(folder: Path = PUBLISHED) -> list[str]:
    """Paths of files that are missing, differ, or are left over."""
    made = files()
    of_services = folder / OPENAPI.name  # made by who knows the services
    files_there = [path for path in folder.rglob("*") if path.is_file() and path != of_services]
    there = {str(path.relative_to(folder)): path.read_text() for path in files_there}
    return sorted(path for path in made.keys() | there.keys() if made.get(path) != there.get(path))


def incompatible(folder: Path = PUBLISHED) -> list[str]:
    """The changes since what is checked in that a reader would not understand, one line each."""
    published = {path.stem: msgspec.json.decode(path.read_bytes()) for path in (folder / "schemas").glob("*.json")}
    return breaks(published, {name: schema_of(kind) for name, kind in EVENT_TYPES.items()})


def write(folder: Path = PUBLISHED) -> None:
    """Writes what is missing or differs and deletes what is left over."""
    made = files()
    for path in stale(folder):
        target = folder / path
        if path in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(made[path])
        else:
            target.unlink()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something is stale")
    parser.add_argument("--folder", type=Path, default=PUBLISHED)
    chosen = parser.parse_args(arguments)
    broken = incompatible(chosen.folder)
    old = stale(chosen.folder)
    if broken:
        return _say(["The events changed in a way that their readers would not understand:", *broken])
    if chosen.check:
        return _say(["Stale; write them anew with", f"    {COMMAND}", *old]) if old else 0
    write(chosen.folder)
    _say([f"{len(old)} files written"] if old else ["everything was up to date"])
    return 0


def _say(lines: list[str]) -> int:
    sys.stdout.write("\n".join(lines) + "\n")
    return 1


def _json(content: Mapping[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"


def _yaml(content: Mapping[str, Any]) -> str:
    import yaml  # a tool of those who change contracts, not of those who run services

    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


if __name__ == "__main__":
    raise SystemExit(main())

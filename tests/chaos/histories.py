"""REL-12 at full length: slots and credits are linearizable while everything is killed and paused.

    python tests/chaos/histories.py --rounds 5

Each round kills (SIGKILL) and pauses (SIGSTOP) each service, PostgreSQL and Kafka once. Starts a platform of its own in a temporary
folder and needs Go. Prints what the checker says, exits 1 if a history is not linearizable. With `--keep DIR` the history stays
there, and a page for each that is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

import msgspec
from makegood_testkit.folders import temporary_folder
from makegood_testkit.histories.checker import NoChecker, build, judge
from makegood_testkit.histories.disturbing import EACH
from makegood_testkit.histories.observing import observe
from makegood_testkit.platform import Platform


async def run(rounds: int, between: float, seed: int, keep: Path | None) -> int:
    with temporary_folder() as folder:
        try:
            checker = build(folder)
        except NoChecker as missing:
            sys.stderr.write(f"{missing}\n")
            return 2
        platform = Platform.at(folder)
        async with platform.running():
            history, done = await observe(platform, EACH * rounds, between=between, seed=seed)
            wrong = [*history.unexpected, *(await asyncio.to_thread(platform.audit))]
        place = keep or folder
        place.mkdir(parents=True, exist_ok=True)
        history.write(place / "history.jsonl")
        verdict = judge(checker, place / "history.jsonl", show=place)
    summary = {"done": done, "answers": history.answers, "verdict": msgspec.to_builtins(verdict), "wrong": wrong}
    sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    return 0 if verdict.linearizable and not wrong else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--between", type=float, default=2.0, help="seconds between two disturbances")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the history")
    options = parser.parse_args()
    sys.exit(asyncio.run(run(options.rounds, options.between, options.seed, options.keep)))


if __name__ == "__main__":
    main()

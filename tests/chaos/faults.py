"""REL-9 at full length: each dependency slow, silent, reset and gone for 30 s, under traffic.

    python tests/chaos/faults.py --seconds 30 --only postgresql kafka

Starts a platform of its own in a temporary folder, prints a table, exits 1 if anything does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict

from makegood_testkit.fault_proxy import FAULTS
from makegood_testkit.faulty import DEPENDENCIES, Traffic, faulty_platform, suffer
from makegood_testkit.folders import temporary_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--only", nargs="*", choices=DEPENDENCIES, default=DEPENDENCIES)
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=FAULTS)
    options = parser.parse_args()

    async def run(faulty) -> None:
        traffic = Traffic(await faulty.platform.cast())
        for dependency in options.only:
            for fault in options.faults:
                outcome = await suffer(faulty, traffic, dependency, fault, seconds=options.seconds)
                sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
                sys.stdout.flush()
        await faulty.platform.close()

    with temporary_folder() as folder, faulty_platform(folder) as faulty:
        asyncio.run(run(faulty))


if __name__ == "__main__":
    main()

"""Checks the data contracts with datacontract-cli: whether they follow the standard, and whether live topics keep them.

`make data-contracts`, or `make data-contracts KAFKA=host:port` for the topics of those brokers too. Topics without records
are left out. Exits with 1 if a check fails. A login is given as datacontract-cli takes it: DATACONTRACT_KAFKA_SASL_USERNAME,
…_PASSWORD, …_MECHANISM, and DATACONTRACT_KAFKA_GROUP_PREFIX (`data-team.`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml
from datacontract.data_contract import DataContract

FOLDER = Path(__file__).parents[1] / "libs/contracts/published/data-contracts"


def lint(contract: dict[str, Any]) -> list[str]:
    """What the linter finds."""
    return _findings(DataContract(data_contract_str=yaml.safe_dump(contract), all_errors=True).lint())


def test(contract: dict[str, Any], kafka: str, prefix: str) -> tuple[list[str], int, int]:
    """What the topic's records break, how many records there are, and how many checks were made."""
    (server,) = contract["servers"]
    server["host"] = kafka
    (table,) = contract["schema"]
    table["physicalName"] = prefix + table["physicalName"]
    run = DataContract(data_contract_str=yaml.safe_dump(contract)).test()
    read = [int(log.message.split()[1]) for log in run.logs if log.message.startswith("Read ")]
    return _findings(run), sum(read), len(run.checks)


def _findings(run: Any) -> list[str]:
    return [
        f"{check.name}: {check.result.value}{f', {check.reason}' if check.reason else ''}"
        for check in run.checks
        if check.result.value != "passed"
    ]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    options.add_argument("--kafka", default="", metavar="HOST:PORT", help="also test the topics of these brokers")
    options.add_argument("--prefix", default="", help="what the names of topics begin with (KAFKA_TOPIC_PREFIX)")
    given = options.parse_args()
    files = sorted(given.folder.glob("*.odcs.yaml"))
    broken = 0
    for path in files:
        contract = yaml.safe_load(path.read_text(encoding="utf-8"))
        found, told = lint(contract), "follows the standard"
        if given.kafka and "properties" in contract["schema"][0]:
            broke, records, checks = test(contract, given.kafka, given.prefix)
            found += broke if records else []
            told = f"{records} records, {checks} checks" if records else "no records"
        broken += bool(found)
        sys.stdout.write(f"{contract['name']}: {'BROKEN' if found else told}\n")
        sys.stdout.writelines(f"    {line}\n" for line in found)
    sys.stdout.write(f"{len(files)} data contracts, {broken} broken\n")
    return 1 if broken or not files else 0


if __name__ == "__main__":
    raise SystemExit(main())

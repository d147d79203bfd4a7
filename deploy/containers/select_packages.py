"""Prints the locked packages that an image needs, with hashes: all except those in a list.

`python select_packages.py requirements.lock not-in-images.txt`. Exits with 1 if the list names a package that is not locked,
so that the list stays up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def select(lock: str, left_out: set[str]) -> str:
    """The entries of `lock` whose names are not in `left_out`. Raises ValueError for a name that is not locked."""
    entries = re.findall(r"^[A-Za-z0-9].*(?:\n[ \t].*)*", lock, flags=re.MULTILINE)
    by_name = {re.split(r"[=<>! \[;]", entry, maxsplit=1)[0].lower(): entry for entry in entries}
    if unknown := sorted(left_out - by_name.keys()):
        raise ValueError(f"not in the lock: {', '.join(unknown)}")
    return "\n".join(entry for name, entry in by_name.items() if name not in left_out) + "\n"


def main() -> int:
    lock, names = (Path(argument).read_text(encoding="utf-8") for argument in sys.argv[1:3])
    listed = {line.strip() for line in names.splitlines()} - {""}
    try:
        sys.stdout.write(select(lock, {name for name in listed if not name.startswith("#")}))
    except ValueError as wrong:
        sys.stderr.write(f"select_packages.py: {wrong}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

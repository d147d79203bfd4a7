"""The hash chain over the rows of an access log. Changing, removing, inserting or reordering a row breaks it at that
place.

hash(n) = SHA-256(hash(n - 1) ‖ row(n)), where row(n) is the row in one canonical form. Pure; `makegood audit` recomputes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

START: Final = bytes(32)
"""The hash before the first row."""

PRUNE: Final = "access.prune"
"""The operation of the row that says which seals were pruned. Its entity is `seal:<last number>`."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of the chain."""

    number: int
    row_id: int
    row_hash: bytes
    hash: bytes


def canonical(row: Mapping[str, Any]) -> bytes:
    """The bytes of a row that are hashed: a JSON array of its columns in the order of `tables.COLUMNS`."""
    at: datetime = row["at"]
    digest: bytes | None = row["remark_digest"]
    return _encode(
        [
            row["id"],
            at.astimezone(UTC).isoformat(timespec="microseconds"),
            row["caller"],
            row["role"],
            row["operation"],
            row["person_id"],
            row["entity"],
            row["outcome"],
            row["reason"],
            None if digest is None else digest.hex(),
            row["times"],
            row["request_id"],
        ]
    )


def remark_digest(salt: bytes, remark: str) -> bytes:
    """The digest of a free text in its row. It proves the text, and stays when the text is erased."""
    return sha256(salt + remark.encode()).digest()


def seal(row: Mapping[str, Any], before: Seal | None) -> Seal:
    """The link of a row after `before`. None: the row is the first."""
    content = canonical(row)
    return Seal(
        number=1 if before is None else before.number + 1,
        row_id=row["id"],
        row_hash=sha256(content).digest(),
        hash=sha256((START if before is None else before.hash) + content).digest(),
    )


class Checker:
    """Checks a chain link by link, in the order of the numbers. `pruned`: the last number whose row was deleted after
    the retention. The chain then starts at its seal, which has no row.
    """

    def __init__(self, pruned: int) -> None:
        self._pruned = pruned
        self._before: Seal | None = None

    def take(self, link: Seal, row: Mapping[str, Any] | None) -> str | None:
        """What is wrong with this link, naming its row. None if nothing is."""
        before, self._before = self._before, link
        if before is None and link.number == self._pruned:
            return None
        expected = 1 if before is None else before.number + 1
        if link.number != expected:
            last = link.number - 1
            return f"seals {expected} to {last} were removed" if last > expected else f"seal {expected} was removed"
        if row is None:
            return f"row {link.row_id} was removed (seal {link.number})"
        if sha256(canonical(row)).digest() != link.row_hash:
            return f"row {link.row_id} was changed (seal {link.number})"
        if seal(row, before) != link:
            return (
                f"seal {link.number} of row {link.row_id} does not follow from the one before: it was changed or moved"
            )
        return None


def breaks(seals: Iterable[Seal], rows: Mapping[int, Mapping[str, Any]], pruned: int) -> Iterator[str]:
    """Every break in the chain, in order. The first one names the row that it is about."""
    checker = Checker(pruned)
    for link in seals:
        if (found := checker.take(link, rows.get(link.row_id))) is not None:
            yield found

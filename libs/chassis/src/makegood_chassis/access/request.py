"""What one request shows, changes or is refused of people's data: noted while it is handled, written before it is answered.

Nobody's route has to think of it: `Access.require` notes whose thing it was and under which role, `Mutation.unit` writes the
note in the effect's transaction, and the outermost layer writes what is left before the answer goes out, also where a rule
refused and the transaction was rolled back. A member's and a provider's look at what is their own is no note; a service
that keeps those, too, records them itself (`AccessLog`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from makegood_chassis.access.chain import remark_digest
from makegood_chassis.access.reasons import StatedReason
from makegood_chassis.access.tables import RECORD
from makegood_chassis.database import Queries, UnitOfWork

if TYPE_CHECKING:
    from starlette.types import Scope

    from makegood_chassis.auth import Role

FORBIDDEN: Final = 403
_READS: Final = frozenset({"GET", "HEAD"})
_PEOPLE: Final = ("person_id", "member_id", "provider_id")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What an address may name as an id, to be kept of a look that was refused: anything else is only what somebody typed."""


@dataclass(slots=True)
class Accesses:
    """The accesses of one request. `elevated`: by support or ops, to an operation about people."""

    scope: Scope
    request_id: str
    caller: str
    role: str
    operation: str
    elevated: bool = False
    reason: StatedReason | None = None
    notes: dict[tuple[str | None, str | None], None] = field(default_factory=dict)
    """Person and entity."""
    refused: bool = False
    repeated: bool = False
    """The answer of an earlier request with the same key is shown once more."""
    failed: bool = False
    """A rule refused: nothing is changed, and the answer tells why."""
    recorded: dict[tuple[str | None, str | None], None] = field(default_factory=dict)
    """What rows were written about; with their transaction they may be gone."""
    written: bool = False
    kept: bool = False
    """Rows were written and committed."""

    def note(self, role: Role | None, people: Iterable[str], entity: str | None = None) -> None:
        """These people's data is shown or changed. `entity`: which part, such as `session:<id>`; else what the address names."""
        self.role = role or self.role
        about = entity or self._addressed()
        for person in people:
            self.notes[person, about] = None

    def refuse(self, *people: str | None) -> None:
        """The request is refused, for it is not the caller's to make; these are whose thing it is, as far as is known."""
        self.refused = True
        known: list[str | None] = [person for person in people if person is not None and _PLAIN.fullmatch(person)]
        if not known:
            named = self.scope.get("path_params", {})
            known = [named[name] for name in _PEOPLE if _PLAIN.fullmatch(str(named.get(name, "")))]
        self.notes = {(person, self._addressed()): None for person in known or [None]}

    def fail(self, status: int) -> None:
        """The answer is an error of the request. A 403 is a refusal, wherever it was decided. Whoever else had found another
        person's thing is shown by the answer how it stands; support and ops who had found none are refused."""
        if self.refused:
            return
        self.notes = self.notes or (self.recorded if self.elevated else {})
        if status == FORBIDDEN:
            self.refuse(*(person for person, _ in self.notes))
        elif self.kept:
            return
        elif self.notes or (self.elevated and self.repeated):
            self.failed, self.written = True, False
        elif self.elevated:
            self.refuse()

    @property
    def pending(self) -> bool:
        """Whether something has to be written before the answer."""
        return not self.written and (bool(self.notes) or self.elevated)

    async def keep(self, queries: Queries, *, times: int = 1) -> None:
        """Writes what was noted, with one statement."""
        await self.write(queries, list(self.notes) or [(None, self._addressed())], times=times)

    async def keep_in(self, unit: UnitOfWork) -> None:
        """The same in the effect's transaction, so that both happen or neither."""
        if self.pending:
            await self.keep(unit)
            self.written = False

    def _committed(self) -> None:
        self.written = self.kept = True

    async def write(
        self,
        queries: Queries,
        about: Sequence[tuple[str | None, str | None]],
        *,
        times: int = 1,
        role: str | None = None,
    ) -> None:
        """One row each of `about`, a person and an entity."""
        await queries.execute(RECORD, *self.values(about, times=times, role=role))
        self.written = True
        self.recorded |= dict.fromkeys(about)
        if isinstance(queries, UnitOfWork):
            queries.after_commit(self._committed)
        else:
            self._committed()

    def values(
        self, about: Sequence[tuple[str | None, str | None]], *, times: int = 1, role: str | None = None
    ) -> tuple[Any, ...]:
        """The arguments of `RECORD`."""
        remark = self.reason.remark if self.reason else None
        salt = os.urandom(16) if remark is not None else None
        changes = self.scope["method"] not in _READS and not self.repeated and not self.failed
        return (
            self.caller,
            role or self.role,
            self.operation,
            [person for person, _ in about],
            [entity for _, entity in about],
            "refused" if self.refused else "changed" if changes else "shown",
            self.reason.code if self.reason else None,
            remark_digest(salt, remark) if salt is not None and remark is not None else None,
            salt,
            remark,
            times,
            self.request_id,
        )

    def _addressed(self) -> str | None:
        """What the address names beside a person: `session:<id>` and the like."""
        for name, value in self.scope.get("path_params", {}).items():
            if name.endswith("_id") and name not in _PEOPLE and _PLAIN.fullmatch(str(value)):
                return f"{name.removesuffix('_id').replace('_', '-')}:{value}"
        return None

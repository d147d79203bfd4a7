"""What one request shows, changes or is refused of people's data: noted while it is handled, and written before it is
answered.

Routes do not have to do anything: `Access.require` notes whose data it was and under which role, `Mutation.unit` writes
the note in the effect's transaction, and the outermost layer writes the rest before the answer is sent, even if a rule
refused and the transaction was rolled back. Members and providers who access their own data are not noted. A service
that logs those too records them itself (`AccessLog`).
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
"""What counts as an id in an address when a refused access is logged. Anything else is just something that somebody
typed.
"""


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
    """Whether the answer of an earlier request with the same key is shown again."""
    failed: bool = False
    """Whether a rule refused: nothing changes, and the answer says why."""
    recorded: dict[tuple[str | None, str | None], None] = field(default_factory=dict)
    """What rows were written about. If their transaction is rolled back, they are gone."""
    written: bool = False
    kept: bool = False
    """Whether rows were written and committed."""

    def note(self, role: Role | None, people: Iterable[str], entity: str | None = None) -> None:
        """Notes that these people's data is shown or changed. `entity`: which part, such as `session:<id>`. Default:
        what the address names.
        """
        self.role = role or self.role
        about = entity or self._addressed()
        for person in people:
            self.notes[person, about] = None

    def refuse(self, *people: str | None) -> None:
        """Notes that the caller may not make the request. `people`: whose data it is about, as far as is known."""
        self.refused = True
        known: list[str | None] = [person for person in people if person is not None and _PLAIN.fullmatch(person)]
        if not known:
            named = self.scope.get("path_params", {})
            known = [named[name] for name in _PEOPLE if _PLAIN.fullmatch(str(named.get(name, "")))]
        self.notes = {(person, self._addressed()): None for person in known or [None]}

    def fail(self, status: int) -> None:
        """Notes that the answer is an error of the request. A 403 is a refusal, wherever it was decided. If another
        person's data had been found, the answer shows its state. Support and ops who had found none are refused.
        """
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
        """Whether something must be written before the answer."""
        return not self.written and (bool(self.notes) or self.elevated)

    async def keep(self, queries: Queries, *, times: int = 1) -> None:
        """Writes what was noted, with one statement."""
        await self.write(queries, list(self.notes) or [(None, self._addressed())], times=times)

    async def keep_in(self, unit: UnitOfWork) -> None:
        """As `keep`, in the effect's transaction, so that both happen or neither."""
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
        """Writes one row for each (person, entity) in `about`."""
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
        """What the address names besides a person, such as `session:<id>`."""
        for name, value in self.scope.get("path_params", {}).items():
            if name.endswith("_id") and name not in _PEOPLE and _PLAIN.fullmatch(str(value)):
                return f"{name.removesuffix('_id').replace('_', '-')}:{value}"
        return None

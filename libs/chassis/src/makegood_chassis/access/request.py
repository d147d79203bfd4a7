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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from makegood_chassis.access.chain import remark_digest
from makegood_chassis.access.reasons import StatedReason
from makegood_chassis.access.tables import RECORD
from makegood_chassis.database import Queries, UnitOfWork

if TYPE_CHECKING:
    from makegood_chassis.auth import Role

FORBIDDEN: Final = 403
_READS: Final = frozenset({"GET", "HEAD"})
_PEOPLE: Final = ("person_id", "member_id", "provider_id")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What counts as an id in an address when a refused access is logged. Anything else is just something that somebody
typed.
"""

About = tuple[str | None, str | None]
"""What a row is about: a person, and which part of their data."""


@dataclass(slots=True)
class Accesses:
    """The accesses of one request. `named`: what its address names. `elevated`: by support or ops, to an operation about people.

    It does not hold the request's scope, which holds it: each request would be garbage that only the collector can find.
    """

    method: str
    named: Mapping[str, Any]
    request_id: str
    caller: str
    role: str
    operation: str
    elevated: bool = False
    reason: StatedReason | None = None
    notes: dict[About, None] = field(default_factory=dict)
    refused: bool = False
    repeated: bool = False
    """Whether the answer of an earlier request with the same key is shown again."""
    failed: bool = False
    """Whether a rule refused: nothing changes, and the answer says why."""
    recorded: dict[About, None] = field(default_factory=dict)
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
            known = [self.named[name] for name in _PEOPLE if _PLAIN.fullmatch(str(self.named.get(name, "")))]
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

    def shown(self, role: Role | None, about: Iterable[About]) -> None:
        """Exactly this is shown, whatever was noted before, and written before the answer."""
        self.role = role or self.role
        self.notes = dict.fromkeys(about)

    def about(self) -> list[About]:
        """What was noted, or, if nothing was, what the address names."""
        return list(self.notes) or [(None, self._addressed())]

    async def keep(self, queries: Queries, *, times: int = 1) -> None:
        """Writes what was noted, with one statement."""
        await self.write(queries, self.about(), times=times)

    async def keep_in(self, unit: UnitOfWork) -> None:
        """As `keep`, in the effect's transaction, so that both happen or neither."""
        if self.pending:
            await self.keep(unit)
            self.written = False

    async def write(
        self,
        queries: Queries,
        about: Sequence[About],
        *,
        times: int = 1,
        role: str | None = None,
    ) -> None:
        """Writes one row for each person and entity in `about`."""
        await queries.execute(RECORD, *self.values(about, times=times, role=role))
        self.written = True
        self.recorded |= dict.fromkeys(about)
        if isinstance(queries, UnitOfWork):
            queries.after_commit(lambda: self.committed(about))
        else:
            self.committed(about)

    def committed(self, about: Iterable[About]) -> None:
        """The rows about these are written for good."""
        self.written = self.kept = True
        self.recorded |= dict.fromkeys(about)

    def rows(self, about: Iterable[About]) -> list[tuple[Any, ...]]:
        """The rows of `RECORD_MANY`. Only without a remark."""
        outcome, reason = self._outcome(), self.reason.code if self.reason else None
        return [
            (self.caller, self.role, self.operation, person, entity, outcome, reason, 1, self.request_id)
            for person, entity in about
        ]

    def values(self, about: Sequence[About], *, times: int = 1, role: str | None = None) -> tuple[Any, ...]:
        """The arguments of `RECORD`."""
        remark = self.reason.remark if self.reason else None
        salt = os.urandom(16) if remark is not None else None
        return (
            self.caller,
            role or self.role,
            self.operation,
            [person for person, _ in about],
            [entity for _, entity in about],
            self._outcome(),
            self.reason.code if self.reason else None,
            remark_digest(salt, remark) if salt is not None and remark is not None else None,
            salt,
            remark,
            times,
            self.request_id,
        )

    def _outcome(self) -> str:
        if self.refused:
            return "refused"
        changes = self.method not in _READS and not self.repeated and not self.failed
        return "changed" if changes else "shown"

    def _addressed(self) -> str | None:
        """What the address names besides a person, such as `session:<id>`."""
        for name, value in self.named.items():
            if name.endswith("_id") and name not in _PEOPLE and _PLAIN.fullmatch(str(value)):
                return f"{name.removesuffix('_id').replace('_', '-')}:{value}"
        return None

"""Who may do what: one table a service, operation × role × relation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from fastapi import Request

Role = Literal["member", "provider", "support", "ops"]
Relation = Literal["any", "self", "party"]
"""`any`: the role alone is enough. `self`: the thing is about the caller. `party`: the caller is the member (role member)
or the provider (role provider) of the room or session."""


@dataclass(frozen=True, slots=True)
class Grant:
    role: Role
    relation: Relation = "any"


Rights = Mapping[str, tuple[Grant, ...]]
"""Operation, such as `session.confirm` → who may."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as the token says."""

    subject: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Access:
    """A caller whose role has the operation; what remains is the relation to the thing."""

    caller: Caller
    operation: str
    grants: tuple[Grant, ...]

    def role_for(
        self, *, person_id: str | None = None, member_id: str | None = None, provider_id: str | None = None
    ) -> Role | None:
        """The role under which the caller may do this to the thing with these parties, or None."""
        for grant in self.grants:
            if grant.relation == "any":
                return grant.role
            related = {
                "self": (person_id, member_id if grant.role == "member" else provider_id),
                "party": (member_id if grant.role == "member" else provider_id,),
            }[grant.relation]
            if self.caller.subject in related:
                return grant.role
        return None

    def require(
        self,
        what: str,
        *,
        person_id: str | None = None,
        member_id: str | None = None,
        provider_id: str | None = None,
    ) -> Role:
        """As `role_for`; raises the 404 problem where there is none, so that strangers learn nothing."""
        from makegood_chassis.http.problems import not_found

        role = self.role_for(person_id=person_id, member_id=member_id, provider_id=provider_id)
        if role is None:
            raise not_found(what)
        return role


def operation(name: str) -> Callable[[Request], Awaitable[Access]]:
    """FastAPI dependency of a route: `access: Annotated[Access, Depends(operation("session.confirm"))]`.

    401 without a valid token, 403 for a role that never has the operation. The table is the app's (`create_app(rights=…)`);
    an operation that is not in it fails at start.
    """
    raise NotImplementedError

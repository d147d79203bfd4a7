"""Who may do what: one table per service, operation × role × relation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from fastapi import Request

from makegood_chassis.access.reasons import read_reason
from makegood_chassis.access.request import Accesses
from makegood_chassis.auth import Authenticator, Caller, InvalidToken, Role, TokenKeysUnavailable
from makegood_chassis.http.context import SCOPE_KEY, RequestContext
from makegood_chassis.http.problems import MOST_ERRORS, Problem, not_found, pointer

if TYPE_CHECKING:
    from makegood_chassis.service import Service

__all__ = [
    "AboutNobody",
    "Access",
    "Caller",
    "Denial",
    "Grant",
    "Operation",
    "Relation",
    "Rights",
    "Role",
    "authenticate",
    "operation",
]

Relation = Literal["any", "self", "party"]
"""`any`: the role alone is enough. `self`: the thing is about the caller. `party`: the caller is the member (role member)
or the provider (role provider) of the room or session."""


@dataclass(frozen=True, slots=True)
class Grant:
    role: Role
    relation: Relation = "any"


@dataclass(frozen=True, slots=True)
class Denial:
    """A role that may not do this and gets a problem of its own (`slug`, a 403) instead of `forbidden`."""

    role: Role
    slug: str


Rights = Mapping[str, tuple[Grant | Denial, ...]]
"""Operation, such as `session.confirm` → who may, and who is told in particular that they may not.

Every operation is about people, so that support and ops must say why (SEC-5), unless its entry is `AboutNobody`."""


class AboutNobody(tuple[Grant | Denial, ...]):
    """The rights of an operation that is not about people, such as plans, policies and venues: it needs no reason."""

    __slots__ = ()


def asks_why(entries: tuple[Grant | Denial, ...]) -> bool:
    """Whether support and ops must send `X-Access-Reason` for the operation."""
    return not isinstance(entries, AboutNobody) and any(
        isinstance(entry, Grant) and entry.role in _ELEVATED for entry in entries
    )


_ELEVATED: Final = frozenset({"support", "ops"})
"""Roles that may access other people's data because of the role alone, and must say why."""


@dataclass(frozen=True, slots=True)
class Access:
    """A caller whose role may do this. The relation to the resource must still be checked."""

    caller: Caller
    operation: str
    grants: tuple[Grant, ...]
    accesses: Accesses | None = None
    """The request's accesses, for the access log."""

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
        """As `noted_role`; raises the 404 problem if there is none, so that strangers learn nothing."""
        role = self.noted_role(person_id=person_id, member_id=member_id, provider_id=provider_id)
        if role is None:
            raise not_found(what)
        return role

    def noted_role(
        self,
        *,
        person_id: str | None = None,
        member_id: str | None = None,
        provider_id: str | None = None,
        entity: str | None = None,
    ) -> Role | None:
        """As `role_for`. Also notes for the access log whose data it is, and who gets it or is refused (SEC-5)."""
        role = self.role_for(person_id=person_id, member_id=member_id, provider_id=provider_id)
        if role is None:
            self.refuse(person_id, member_id, provider_id)
        elif role == "provider" and member_id is not None:
            self.note(member_id, role=role, entity=entity)
        elif role in _ELEVATED:
            self.note(person_id, member_id, provider_id, role=role, entity=entity)
        return role

    def note(self, *people: str | None, role: Role | None = None, entity: str | None = None) -> None:
        """Notes for the access log that these people's data is shown or changed. For what `require` does not see:
        lists, and things that the request creates. `entity`: which part of it, such as `session:<id>`.
        """
        if self.accesses is not None:
            others = (person for person in people if person is not None and person != self.caller.subject)
            self.accesses.note(role, others, entity)

    def refuse(self, *people: str | None) -> None:
        """Notes for the access log that the request is refused, as the caller may not make it."""
        if self.accesses is not None:
            self.accesses.refuse(*people)

    def require_other(self, *people: str) -> None:
        """Raises the 403 problem `conflict-of-interest` if the caller is one of the people that this is about; else notes them."""
        if self.caller.subject in people:
            self.refuse(*people)
            raise Problem("conflict-of-interest")
        self.note(*people)


ACCESS_KEY: Final = "makegood.access"
"""The key in a request's scope of what `Operation` returned to the gate."""


class Operation:
    """The dependency that `operation` returns. It has its name, so that the app can check the routes against the table."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, request: Request) -> Access:
        scope = request.scope
        if (found := scope.get(ACCESS_KEY)) is not None:  # the gate has called it before the route
            return found  # type: ignore[no-any-return]
        caller = await authenticate(request)
        state = scope["app"].state
        rights: RightsOfRoles = state.rights_of_roles
        grants, elevated = rights.granted(self.name, caller.roles)
        role = grants[0].role if grants else min(caller.roles, default="none")
        context: RequestContext = scope[SCOPE_KEY]
        accesses = context.accesses = Accesses(
            scope["method"], scope["path_params"], context.request_id, caller.subject, role, self.name, elevated
        )
        if not grants:
            accesses.refuse()
            raise rights.denied(self.name, caller.roles)
        if elevated:
            try:
                accesses.reason = read_reason(scope["headers"])
            except Problem:
                accesses.refuse()
                raise
        if scope["query_string"]:
            _check_parameters(request, state.parameters[id(scope["route"])])
        return Access(caller, self.name, grants, accesses)


class RightsOfRoles:
    """The table of rights, by the roles of a caller. It remembers its answers, because each request asks."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self._granted: dict[tuple[str, frozenset[Role]], tuple[tuple[Grant, ...], bool]] = {}

    def granted(self, operation: str, roles: frozenset[Role]) -> tuple[tuple[Grant, ...], bool]:
        """What the roles may do of the operation, and whether support or ops are among them and it is about people."""
        known = self._granted.get((operation, roles))
        if known is None:
            entries = self._rights[operation]
            grants = tuple(entry for entry in entries if isinstance(entry, Grant) and entry.role in roles)
            known = grants, asks_why(entries) and any(grant.role in _ELEVATED for grant in grants)
            self._granted[operation, roles] = known
        return known

    def denied(self, operation: str, roles: frozenset[Role]) -> Problem:
        """The problem for roles to which nothing is granted."""
        for entry in self._rights[operation]:
            if isinstance(entry, Denial) and entry.role in roles:
                return Problem(entry.slug)
        return Problem("forbidden", "Your role may not do this.")


def _check_parameters(request: Request, known: Mapping[str, bool]) -> None:
    """Refuses unknown parameters, and repeated ones that the route takes once: none may be silently ignored."""
    sent = request.query_params
    wrong = dict.fromkeys(sent.keys() - known.keys(), "There is no such parameter.")
    if len(sent.multi_items()) > len(sent):
        counts = Counter(name for name, _ in sent.multi_items())
        for name, times in counts.items():
            if times > 1 and not known.get(name, True):
                wrong[name] = "Send this parameter once."
    if wrong:
        raise Problem(
            "validation",
            "The request is not valid. See `errors`.",
            errors=[
                {"in": "query", "pointer": pointer([name]), "detail": wrong[name]}
                for name in sorted(wrong)[:MOST_ERRORS]
            ],
        )


@cache
def operation(name: str) -> Operation:
    """FastAPI dependency of a route: `access: Annotated[Access, Depends(operation("session.confirm"))]`.

    Raises 401 without a valid token, 403 for a role that may not do it, 400 for support and ops who give no reason for
    accessing a person's data (`access-reason-required`), and 422 for an unknown query parameter. The table is the app's
    (`create_app(rights=…)`). An operation that is not in it fails at start, and so does a route without one.
    """
    return Operation(name)


async def authenticate(request: Request) -> Caller:
    """The caller, identified by the access token. Raises the 401 problem, or 503 while tokens cannot be checked."""
    context: RequestContext = request.scope[SCOPE_KEY]
    if context.caller is not None:
        return context.caller
    sent = [value for name, value in request.scope["headers"] if name == b"authorization"]
    if not sent:
        raise _unauthenticated("The request has no access token.", "Bearer")
    scheme, _, token = sent[0].decode("latin-1").partition(" ")
    if len(sent) > 1 or scheme.lower() != "bearer" or not token:
        raise _unauthenticated("Send exactly one `Authorization: Bearer` header.", 'Bearer error="invalid_request"')
    state = request.scope["app"].state
    authenticator: Authenticator = state.authenticator
    service: Service = state.service
    try:
        caller = authenticator.remembered(token) or await authenticator.verify(token.strip())
        if not service.revocations.loaded:  # no request is admitted before the revocations are known
            await service.revocations.load(service.database)
            caller = await authenticator.verify(token.strip())
    except InvalidToken as error:
        raise invalid_token(str(error)) from error
    except TokenKeysUnavailable as error:
        raise no_keys() from error
    context.caller = caller
    return caller


def _unauthenticated(detail: str, challenge: str) -> Problem:
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def invalid_token(why: str) -> Problem:
    """The 401 problem for a token that is not valid, or no longer valid."""
    return _unauthenticated(f"The access token is not valid: {why}.", 'Bearer error="invalid_token"')


def no_keys() -> Problem:
    """The 503 problem while tokens cannot be checked."""
    return Problem("unavailable", "We can't check access tokens right now. Try again.", headers={"Retry-After": "2"})

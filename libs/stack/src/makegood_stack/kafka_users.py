"""Gives the users of the contracts their rights on a Kafka cluster, and their passwords.

It speaks through kafka-python, because aiokafka knows neither ACLs nor SCRAM credentials.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError, NoError
from makegood_chassis.kafka_connection import KafkaConnection
from makegood_contracts.kafka_users import Right, User
from makegood_devtools.errors import UserError

_ITERATIONS: Final = 8192
_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was changed, and which rights the users have beyond those that they need (`User:name: right`)."""

    granted: int
    revoked: int
    surplus: list[str]


class KafkaAdmin:
    """Changes rights and credentials. `principal`: how the cluster names a user, with `{user}` for the name."""

    def __init__(self, client: Any, principal: str = "User:{user}") -> None:
        self._client = client
        self._principal = principal

    def grant(self, users: Iterable[User], *, revoke: bool = False) -> Outcome:
        """Grants what is missing. With `revoke`, takes away what the users do not need. Raises UserError if refused."""
        granted = revoked = 0
        surplus: list[str] = []
        for user in users:
            principal = self._principal.format(user=user.name)
            wanted = {as_acl(principal, right) for right in user.rights}
            present = set(self._present(principal))
            if missing := wanted - present:
                _check(self._client.create_acls(list(missing))["failed"])
                granted += len(missing)
            extra = sorted(present - wanted, key=_told)
            if extra and revoke:
                _check([error for *_, error in self._client.delete_acls(extra) if error is not NoError])
                revoked += len(extra)
            elif extra:
                surplus += map(_told, extra)
        return Outcome(granted, revoked, surplus)

    def _present(self, principal: str) -> list[ACL]:
        anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        acls, error = self._client.describe_acls(
            ACLFilter(principal, None, ACLOperation.ANY, ACLPermissionType.ANY, anything)
        )
        _check([] if error is NoError else [error])
        return list(acls)

    def set_passwords(self, passwords: Mapping[str, str]) -> None:
        """Sets each user's password (SCRAM-SHA-512). Raises UserError if refused."""
        if passwords:
            changes = [
                UserScramCredentialUpsertion(name, ScramMechanism.SCRAM_SHA_512, secret.encode(), _ITERATIONS)
                for name, secret in passwords.items()
            ]
            refused = {name: why for name, why in self._client.alter_user_scram_credentials(changes).items() if why}
            if refused:
                raise UserError(
                    "; ".join(f"the password of {name} was not set: {why}" for name, why in refused.items())
                )


@contextmanager
def admin(connection: KafkaConnection, principal: str = "User:{user}") -> Iterator[KafkaAdmin]:
    """Connects with a login that may alter the cluster. Raises UserError if the broker does not answer."""
    try:
        arguments = {**connection.arguments(), "client_id": "makegood-users", "bootstrap_timeout_ms": 10_000}
        with closing(KafkaAdminClient(**arguments)) as client:
            yield KafkaAdmin(client, principal)
    except KafkaError as error:
        raise UserError(_advice(type(error))) from error


def as_commands(users: Iterable[User], principal: str = "User:{user}") -> Iterator[str]:
    """The same rights as commands for Kafka's own tools."""
    for user in users:
        yield f"# {user.about}"
        rights = sorted(user.rights, key=lambda right: (right.kind, right.operation, right.prefixed))
        for (kind, operation, prefixed), same in groupby(
            rights, key=lambda right: (right.kind, right.operation, right.prefixed)
        ):
            names = [word for right in same for word in (f"--{kind}", right.name)]
            pattern = ["--resource-pattern-type", "prefixed"] if prefixed else []
            words = ["--add", "--allow-principal", principal.format(user=user.name), "--operation", operation, *pattern]
            yield f'kafka-acls.sh --bootstrap-server "$BROKERS" --command-config admin.properties {shlex.join(words + names)}'


def as_acl(principal: str, right: Right) -> ACL:
    """The right as Kafka's ACL, from any host."""
    pattern = ResourcePattern(
        ResourceType[right.kind.upper()],
        right.name,
        ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL,
    )
    return ACL(
        principal, "*", ACLOperation[_CAPITAL.sub("_", right.operation).upper()], ACLPermissionType.ALLOW, pattern
    )


def _told(acl: ACL) -> str:
    pattern = acl.resource_pattern
    name = (
        f"{pattern.resource_name}*"
        if pattern.pattern_type is ACLResourcePatternType.PREFIXED
        else pattern.resource_name
    )
    action = f"{acl.permission_type.name} {acl.operation.name}".lower()
    return f"{acl.principal}: {action} {pattern.resource_type.name.lower()} {name} from {acl.host}"


def _check(errors: Iterable[type[KafkaError]]) -> None:
    for error in errors:
        raise UserError(_advice(error))


def _advice(error: type[KafkaError]) -> str:
    advice = {
        "SecurityDisabledError": "the brokers check no rights; set authorizer.class.name on them first",
        "ClusterAuthorizationFailedError": "this login may not set rights; use one that may alter the cluster",
        "SaslAuthenticationFailedError": "the login or its password is wrong",
    }
    return f"Kafka refused: {advice.get(error.__name__, error.__name__)}"

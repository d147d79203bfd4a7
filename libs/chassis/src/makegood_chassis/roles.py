"""Which roles use a setting. A process needs only what its own role uses; whatever else it is given must still be possible."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

SERVE: Final = "serve"
WORK: Final = "work"
MIGRATE: Final = "migrate"
EVERY: Final = (SERVE, WORK, MIGRATE)

ROLE: Final[ContextVar[str]] = ContextVar("role", default="")
"""The role of the process while its settings are read. Empty if no process is starting."""

ROLES_KEY: Final = "makegood-roles"
REQUIRED_KEY: Final = "makegood-required"


def used_by(*roles: str, required: bool = False) -> JsonDict:
    """`json_schema_extra` of a field that only these roles use. `required`: they cannot start without it, or if it is empty."""
    return {ROLES_KEY: list(roles), **({REQUIRED_KEY: True, "minLength": 1} if required else {})}


def roles_of(info: FieldInfo) -> tuple[str, ...]:
    """The roles that use a setting."""
    return tuple(_extra(info).get(ROLES_KEY, EVERY))


def is_required(info: FieldInfo) -> bool:
    """Whether a role that uses the setting cannot start without it."""
    return info.is_required() or bool(_extra(info).get(REQUIRED_KEY))


def is_used(info: FieldInfo) -> bool:
    """Whether the process that is starting uses the setting. The role `all` is `serve` and `work`."""
    role = ROLE.get()
    return not role or bool({SERVE, WORK} & set(roles_of(info)) if role == "all" else role in roles_of(info))


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}

"""Secrets from files: a secret setting can come from the file in `<VARIABLE>_FILE`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

SUFFIX: Final = "_FILE"
_LONGEST: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class UnreadableSecret:
    """Replaces a secret whose file cannot be used. `reason` is advice."""

    reason: str


def is_secret(info: FieldInfo) -> bool:
    """Whether a setting's value must never be shown."""
    return info.annotation is SecretStr or SecretStr in get_args(info.annotation)


def variable(name: str, info: FieldInfo) -> str:
    """The environment variable of a setting."""
    return str(info.validation_alias or name).upper()


def from_file(name: str, environment: Mapping[str, str] | None = None) -> str | UnreadableSecret | None:
    """The secret in the file that `<name>_FILE` names, without the newline at its end. None if no file is named."""
    given = os.environ if environment is None else environment
    path = given.get(name + SUFFIX, "")
    if not path:
        return None
    if given.get(name, ""):
        return UnreadableSecret(f"{name} and {name}{SUFFIX} are both set; unset one of them")
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LONGEST + 1)
        value = content.decode().rstrip("\r\n")
    except OSError as error:
        return UnreadableSecret(
            f"{name}{SUFFIX} names a file that cannot be read ({error.strerror}); check its path and permissions"
        )
    except UnicodeDecodeError:
        return UnreadableSecret(
            f"{name}{SUFFIX} names a file that is not text in UTF-8; write the secret into it as text"
        )
    if len(content) > _LONGEST:
        return UnreadableSecret(
            f"{name}{SUFFIX} names a file of more than {_LONGEST >> 10} kB; it should hold the secret alone"
        )
    if not value:
        return UnreadableSecret(f"{name}{SUFFIX} names an empty file; write the secret into it")
    return value


class SecretFiles(PydanticBaseSettingsSource):
    """The source of pydantic-settings that reads the files. It comes before the environment."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        self._environment = {name.upper(): value for name, value in os.environ.items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value = from_file(variable(field_name, field), self._environment) if is_secret(field) else None
        return value, str(field.validation_alias or field_name), False

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name, info in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(info, name)
            if value is not None:
                found[key] = value
        return found

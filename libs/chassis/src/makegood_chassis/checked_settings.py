"""Settings that are checked together, so that one message at start names everything that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self, cast
from urllib.parse import unquote

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from makegood_chassis.roles import is_required, is_used
from makegood_chassis.secret_files import SecretFiles, UnreadableSecret, is_secret, variable

_DEVELOPMENT: Final = "makegood-development"
UNSAFE: Final = "unsafe"
"""Type of the errors that come from `faults`."""


_PASSWORD: Final = re.compile(r"//[^/@:]*:([^@]*)@")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the process cannot start: the variable, and advice that never quotes its value."""

    variable: str
    advice: str


def in_development(value: str) -> JsonDict:
    """`json_schema_extra` of a field that has this default in development and none in production."""
    return {_DEVELOPMENT: value}


def development_default(info: FieldInfo) -> str:
    """That default. Empty for a field without one."""
    extra = info.json_schema_extra
    return str(extra.get(_DEVELOPMENT, "")) if isinstance(extra, dict) else ""


class CheckedSettings(BaseSettings):
    """A secret is a `SecretStr`: it can come from a file too (`<VARIABLE>_FILE`), and nothing ever shows it."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    environment: Literal["development", "production"] = Field(
        "production",
        validation_alias="MAKEGOOD_ENVIRONMENT",
        description="`development` lets the product's clock be moved and accepts unencrypted connections; never use it "
        "for real people.",
    )

    def faults(self) -> Iterator[Fault]:
        """What cannot work, or must not be in production. Subclasses begin with `yield from super().faults()`.

        Some fields may be empty here because their value was already refused. An empty value is a fault only if it is
        the field's default.
        """
        yield from ()

    def without_secrets(self, text: str) -> str:
        """`text`, such as an error of a library, with `***` for each secret of these settings and each password within one."""
        hidden: set[str] = set()
        for name, info in type(self).model_fields.items():
            if is_secret(info) and isinstance(value := getattr(self, name), SecretStr):
                secret = value.get_secret_value()
                password = _PASSWORD.search(secret)
                within = (password[1], unquote(password[1])) if password else ()
                hidden |= {secret, repr(secret)[1:-1], *within}
        for secret in sorted(hidden - {""}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def variable_of(self, field: str) -> str:
        """The variable that a field comes from."""
        return variable(field, type(self).model_fields[field])

    @property
    def development(self) -> bool:
        return self.environment == "development"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, SecretFiles(settings_cls), env_settings

    @field_validator("*", mode="before")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        if isinstance(value, UnreadableSecret):
            raise ValueError(value.reason)
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _all_faults_together(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        wrong: list[InitErrorDetails] = []
        values = cls._with_defaults_of_development(values)
        try:
            made = handler(values)
        except ValidationError as error:
            wrong = [
                InitErrorDetails(type=each["type"], loc=each["loc"], input=None, ctx=each.get("ctx", {}))
                for each in error.errors(include_url=False)
            ]
            made = cls._as_far_as_valid(values, {str(each["loc"][0]) for each in wrong if each.get("loc")})
        for name, info in cls.model_fields.items():
            if is_required(info) and not info.is_required() and is_used(info) and not getattr(made, name):
                empty = InitErrorDetails(
                    type="string_too_short", loc=(variable(name, info),), input="", ctx={"min_length": 1}
                )
                missing = InitErrorDetails(type="missing", loc=(variable(name, info),), input=None)
                wrong.append(empty if cls._given(values, name) else missing)
        named = {str(each["loc"][0]).upper() for each in wrong if each.get("loc")}
        needless = {
            variable(name, info)
            for name, info in cls.model_fields.items()
            if not is_used(info) and not any(cls._given(values, name))
        }
        for fault in made.faults():
            if fault.variable not in named | needless:
                told = PydanticCustomError(UNSAFE, "{advice}", {"advice": fault.advice})
                wrong.append(InitErrorDetails(type=told, loc=(fault.variable,), input=None))
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong, hide_input=True)
        return made

    @classmethod
    def _given(cls, values: dict[str, Any], name: str) -> list[Any]:
        """The value of a field, if there is one."""
        return [values[key] for key in (variable(name, cls.model_fields[name]), name) if key in values]

    @classmethod
    def _with_defaults_of_development(cls, values: dict[str, Any]) -> dict[str, Any]:
        if "development" not in (values.get("MAKEGOOD_ENVIRONMENT"), values.get("environment")):
            return values
        fields = {variable(name, info): (name, info) for name, info in cls.model_fields.items()}
        defaults = {key: development_default(info) for key, (name, info) in fields.items() if name not in values}
        return {key: value for key, value in defaults.items() if value} | values

    @classmethod
    def _as_far_as_valid(cls, values: dict[str, Any], refused: set[str]) -> Self:
        """The settings with those values that are valid by themselves. The others have their default, or nothing."""
        valid: dict[str, Any] = {}
        for name, info in cls.model_fields.items():
            given = cls._given(values, name)
            if given and not refused & {name, variable(name, info)}:
                kind: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
                valid[name] = TypeAdapter(kind).validate_python(given[0])
            elif info.is_required():
                valid[name] = SecretStr("") if is_secret(info) else ""
        made: Any = cls.model_construct(**valid)
        return cast(Self, made)


def advice(settings: type[CheckedSettings], error: ValidationError) -> str:
    """One line for each fault: `VARIABLE: what is wrong (what it is for)`. It never contains a value, which may be a
    secret.
    """
    return "\n".join(_line(settings, problem) for problem in error.errors(include_url=False, include_input=False))


def _line(settings: type[CheckedSettings], problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    message = problem["msg"].removeprefix("Value error, ")
    for key, info in settings.model_fields.items():
        if name in (key, variable(key, info)):
            about = f" ({info.description})" if info.description and problem["type"] != UNSAFE else ""
            return f"{variable(key, info)}: {_plainly(problem, variable(key, info), info) or message}{about}"
    return f"{name}: {message}" if name else message


def _plainly(problem: Any, name: str, info: FieldInfo) -> str:
    """Pydantic's own errors as advice. Empty for the others."""
    if problem["type"] == "missing":
        return "is required: set it" + (
            f", or {name}_FILE to the path of a file that holds it" if is_secret(info) else ""
        )
    if problem["type"] == "string_too_short" and problem["ctx"]["min_length"] == 1:
        return "must not be empty"
    return ""

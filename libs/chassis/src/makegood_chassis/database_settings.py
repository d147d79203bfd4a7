"""Settings of the connections to PostgreSQL."""

from __future__ import annotations

from typing import Final

from pydantic import Field, PositiveInt, SecretStr, ValidationInfo, field_validator

from makegood_chassis.checked_settings import CheckedSettings
from makegood_chassis.database_link import Pooler
from makegood_chassis.secret_files import variable

OWNER: Final = (
    "The same database with the login that owns its tables, used only by `migrate`; empty: the service's own login. "
    "Production: required for `migrate`, not allowed elsewhere."
)
PRUNER: Final = (
    "The same database with the login that deletes expired rows (role `work`); empty: the service's own login. "
    "Production: required for `migrate`, `work` and `all`, and a separate login."
)
DIRECT: Final = (
    "The same database past a pooler in transaction mode such as PgBouncer, with the service's own login; set it if the other "
    "address is the pooler's. Empty: there is no pooler."
)


class DatabaseSettings(CheckedSettings):
    """The service's database, with a login for each job."""

    database_url: SecretStr = Field(
        description="PostgreSQL of this service, `postgresql://login:secret@host:port/database`."
    )
    owner_database_url: SecretStr = Field(SecretStr(""), description=OWNER)
    pruner_database_url: SecretStr = Field(SecretStr(""), description=PRUNER)
    direct_database_url: SecretStr = Field(SecretStr(""), description=DIRECT)
    prepared_statements: bool = Field(
        True,
        validation_alias="DATABASE_PREPARED_STATEMENTS",
        description="`false` if the pooler does not keep track of prepared statements: PgBouncer before 1.21, or without "
        "`max_prepared_statements`.",
    )
    database_pool: PositiveInt = Field(
        16, validation_alias="DATABASE_POOL", description="Maximum connections of one process to PostgreSQL."
    )

    @field_validator("database_url", "owner_database_url", "pruner_database_url", "direct_database_url")
    @classmethod
    def _postgresql_only(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        if not url.get_secret_value() and info.field_name != "database_url":
            return url
        if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError(
                "must be a postgresql:// address, for example postgresql://booking:secret@127.0.0.1/makegood_booking"
            )
        return url

    @property
    def pooler(self) -> Pooler | None:
        """What is between the service and PostgreSQL, if anything."""
        direct = self.direct_database_url.get_secret_value()
        return Pooler(direct, self.prepared_statements) if direct else None

    def limited(self, field: str) -> str:
        """The variable of the database address in this field, if its login must be limited."""
        return "" if self.development else self.variable_of(field)

    def databases(self) -> dict[str, str]:
        """The address of each database login, by its variable."""
        urls = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if name.endswith("database_url") and isinstance(value, SecretStr):
                urls[variable(name, info)] = value.get_secret_value()
        return urls

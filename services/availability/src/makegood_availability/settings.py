"""Settings of the availability service."""

from __future__ import annotations

from makegood_chassis.database_settings import DIRECT, OWNER, PRUNER
from makegood_chassis.roles import MIGRATE, SERVE, WORK, used_by
from makegood_chassis.settings import AccessLogSettings
from pydantic import Field, SecretStr


class AvailabilitySettings(AccessLogSettings):
    """The settings that every service has, with this service's database."""

    database_url: SecretStr = Field(
        validation_alias="AVAILABILITY_DATABASE_URL",
        description="PostgreSQL of the availability service, `postgresql://login:secret@host:port/database`.",
    )
    owner_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(MIGRATE),
        validation_alias="AVAILABILITY_OWNER_DATABASE_URL",
        description=OWNER,
    )
    pruner_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(WORK, MIGRATE),
        validation_alias="AVAILABILITY_PRUNER_DATABASE_URL",
        description=PRUNER,
    )
    direct_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="AVAILABILITY_DIRECT_DATABASE_URL",
        description=DIRECT,
    )

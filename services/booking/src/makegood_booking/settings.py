"""Settings of the booking service."""

from __future__ import annotations

from makegood_chassis.settings import OWNER, PRUNER, AccessLogSettings
from makegood_contracts.currencies import currency_codes
from pydantic import Field, SecretStr, field_validator


class BookingSettings(AccessLogSettings):
    """What booking takes from the environment."""

    database_url: SecretStr = Field(
        validation_alias="BOOKING_DATABASE_URL",
        description="PostgreSQL of booking, `postgresql://login:secret@host:port/database`.",
    )
    owner_database_url: SecretStr = Field(
        SecretStr(""), validation_alias="BOOKING_OWNER_DATABASE_URL", description=OWNER
    )
    pruner_database_url: SecretStr = Field(
        SecretStr(""), validation_alias="BOOKING_PRUNER_DATABASE_URL", description=PRUNER
    )
    currencies: str = Field(
        "",
        validation_alias="CURRENCIES",
        description="Currencies in which extensions are charged, as in `USD,EUR`; empty: every currency of ISO 4217.",
    )

    @field_validator("currencies")
    @classmethod
    def _of_iso_4217(cls, value: str) -> str:
        unknown = sorted(_codes(value) - currency_codes())
        if unknown:
            raise ValueError(f"must name currencies of ISO 4217, as in USD,EUR; not {', '.join(unknown)}")
        return value

    @property
    def currency_codes(self) -> frozenset[str]:
        """The currencies in which extensions are charged."""
        return _codes(self.currencies) or currency_codes()


def _codes(value: str) -> frozenset[str]:
    return frozenset(code.strip() for code in value.split(",") if code.strip())

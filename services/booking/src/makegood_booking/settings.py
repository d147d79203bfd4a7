"""Settings of the booking service."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final

from makegood_chassis.checked_settings import Fault
from makegood_chassis.database_settings import DIRECT, OWNER, PRUNER
from makegood_chassis.production import weakness
from makegood_chassis.roles import MIGRATE, SERVE, WORK, used_by
from makegood_chassis.settings import AccessLogSettings
from makegood_contracts.currencies import currency_codes
from pydantic import Field, SecretStr, field_validator

SHORTEST_KEY: Final = 32


class BookingSettings(AccessLogSettings):
    """The settings of booking, from the environment."""

    database_url: SecretStr = Field(
        validation_alias="BOOKING_DATABASE_URL",
        description="PostgreSQL of booking, `postgresql://login:secret@host:port/database`.",
    )
    owner_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(MIGRATE),
        validation_alias="BOOKING_OWNER_DATABASE_URL",
        description=OWNER,
    )
    pruner_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(WORK, MIGRATE),
        validation_alias="BOOKING_PRUNER_DATABASE_URL",
        description=PRUNER,
    )
    direct_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="BOOKING_DIRECT_DATABASE_URL",
        description=DIRECT,
    )
    currencies: str = Field(
        "",
        validation_alias="CURRENCIES",
        description="Currencies in which extensions can be charged, such as `USD,EUR`. Empty: every currency of ISO 4217.",
    )

    join_link_key: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(SERVE),
        validation_alias="JOIN_LINK_KEY",
        description="Signs join links. 32 random characters or more, the same for all processes of booking. A new key ends the "
        "existing links: people join again. Required in production. Empty in development: each process makes its own.",
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        key = self.join_link_key.get_secret_value()
        if 0 < len(key) < SHORTEST_KEY or not (key or self.development):
            yield Fault("JOIN_LINK_KEY", f"set at least {SHORTEST_KEY} random characters: openssl rand -base64 32")
        elif key and not self.development and (why := weakness(key, "join", "link", "key", "booking")):
            yield Fault("JOIN_LINK_KEY", why)

    @property
    def join_key(self) -> bytes:
        """The key that signs join links."""
        return self.join_link_key.get_secret_value().encode() or secrets.token_bytes(SHORTEST_KEY)

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

"""Settings of the credits service."""

from __future__ import annotations

from makegood_chassis.settings import AccessLogSettings
from pydantic import Field


class CreditsSettings(AccessLogSettings):
    """What credits takes from the environment."""

    database_url: str = Field(
        validation_alias="CREDITS_DATABASE_URL",
        description="PostgreSQL of credits, `postgresql://login:secret@host:port/database`.",
    )

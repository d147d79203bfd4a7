"""Settings of the booking service."""

from __future__ import annotations

from makegood_chassis.settings import ServiceSettings
from pydantic import Field


class BookingSettings(ServiceSettings):
    """What booking takes from the environment."""

    database_url: str = Field(
        validation_alias="BOOKING_DATABASE_URL",
        description="PostgreSQL of booking, `postgresql://login:secret@host:port/database`.",
    )

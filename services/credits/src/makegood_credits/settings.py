"""Settings of the credits service."""

from __future__ import annotations

from typing import Literal, Self

from makegood_chassis.settings import AccessLogSettings
from pydantic import Field, SecretStr, model_validator


class CreditsSettings(AccessLogSettings):
    """What credits takes from the environment."""

    database_url: SecretStr = Field(
        validation_alias="CREDITS_DATABASE_URL",
        description="PostgreSQL of credits, `postgresql://login:secret@host:port/database`.",
    )
    payment_provider: Literal["", "development", "stripe", "none"] = Field(
        "",
        validation_alias="PAYMENT_PROVIDER",
        description="`stripe`, `none`, or `development`, whose page lets anybody decide whether a payment goes through "
        "(refused in production); empty: `development` in development, else `none`.",
    )
    stripe_secret_key: SecretStr = Field(
        SecretStr(""), validation_alias="STRIPE_SECRET_KEY", description="Stripe's secret API key, `sk_…`."
    )
    stripe_webhook_secret: SecretStr = Field(
        SecretStr(""),
        validation_alias="STRIPE_WEBHOOK_SECRET",
        description="Signing secret of the web-hook endpoint `/v1/webhooks/payments` at Stripe, `whsec_…`.",
    )
    stripe_api_base: str = Field(
        "https://api.stripe.com", validation_alias="STRIPE_API_BASE", description="Address of Stripe's API."
    )

    @model_validator(mode="after")
    def _payments_can_work(self) -> Self:
        if self.payment_provider == "development" and not self.development:
            raise ValueError(
                "PAYMENT_PROVIDER=development lets anybody pay with nothing: in production say stripe or none"
            )
        if self.payment_provider == "stripe" and not (self.stripe_secret_key and self.stripe_webhook_secret):
            raise ValueError("PAYMENT_PROVIDER=stripe needs STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET")
        return self

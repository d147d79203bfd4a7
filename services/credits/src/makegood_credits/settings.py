"""Settings of the credits service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from makegood_chassis import production
from makegood_chassis.checked_settings import Fault
from makegood_chassis.database_settings import DIRECT, OWNER, PRUNER
from makegood_chassis.roles import MIGRATE, SERVE, WORK, used_by
from makegood_chassis.settings import AccessLogSettings
from pydantic import Field, SecretStr

STRIPE: Final = "api.stripe.com"


class CreditsSettings(AccessLogSettings):
    """The settings of credits, from the environment."""

    database_url: SecretStr = Field(
        validation_alias="CREDITS_DATABASE_URL",
        description="PostgreSQL of credits, `postgresql://login:secret@host:port/database`.",
    )
    owner_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(MIGRATE),
        validation_alias="CREDITS_OWNER_DATABASE_URL",
        description=OWNER,
    )
    pruner_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(WORK, MIGRATE),
        validation_alias="CREDITS_PRUNER_DATABASE_URL",
        description=PRUNER,
    )
    direct_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="CREDITS_DIRECT_DATABASE_URL",
        description=DIRECT,
    )
    payment_provider: Literal["", "development", "stripe", "none"] = Field(
        "",
        validation_alias="PAYMENT_PROVIDER",
        description="`stripe`, `none`, or `development`, whose page lets anybody decide whether a payment succeeds "
        "(refused in production). Empty: `development` in development, else `none`.",
    )
    stripe_secret_key: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="STRIPE_SECRET_KEY",
        description="Stripe's secret API key, `sk_…`.",
    )
    stripe_webhook_secret: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(SERVE),
        validation_alias="STRIPE_WEBHOOK_SECRET",
        description="Signing secret of the webhook endpoint `/v1/webhooks/payments` at Stripe, `whsec_…`.",
    )
    stripe_api_base: str = Field(
        "https://api.stripe.com",
        validation_alias="STRIPE_API_BASE",
        min_length=1,
        description="Address of Stripe's API. Production: only this one.",
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        strict = not self.development
        if self.payment_provider == "development" and strict:
            yield Fault(
                "PAYMENT_PROVIDER", "development lets anybody pay without money; in production set stripe or none"
            )
        if self.payment_provider == "stripe" and not self.stripe_secret_key:
            yield Fault("STRIPE_SECRET_KEY", "PAYMENT_PROVIDER=stripe needs it")
        if self.payment_provider == "stripe" and not self.stripe_webhook_secret:
            yield Fault("STRIPE_WEBHOOK_SECRET", "PAYMENT_PROVIDER=stripe needs it")
        yield from production.web_address("STRIPE_API_BASE", self.stripe_api_base, production=strict, only=STRIPE)
        if strict:
            for name, secret, starts in (
                ("STRIPE_SECRET_KEY", self.stripe_secret_key.get_secret_value(), ("sk_", "rk_")),
                ("STRIPE_WEBHOOK_SECRET", self.stripe_webhook_secret.get_secret_value(), ("whsec_",)),
            ):
                if secret and not secret.startswith(starts):
                    yield Fault(name, f"begins with {' or '.join(starts)} at Stripe; copy it from Stripe's dashboard")
                elif secret and (why := production.weakness(secret, *starts)):
                    yield Fault(name, why)

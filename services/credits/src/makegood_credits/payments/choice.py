"""Chooses the payment provider of an installation."""

from __future__ import annotations

from typing import Final

from makegood_credits.payments.development import DevelopmentPayments
from makegood_credits.payments.port import PaymentProvider
from makegood_credits.settings import CreditsSettings

DEVELOPMENT_SECRET: Final = "development"  # noqa: S105 - in development anybody may sign
PAGE: Final = "/dev/checkouts"


def provider_of(settings: CreditsSettings) -> PaymentProvider | None:
    """The provider that the settings name. None: nothing can be paid here."""
    chosen = settings.payment_provider or ("development" if settings.development else "none")
    if chosen == "development":
        return DevelopmentPayments(DEVELOPMENT_SECRET, settings.public_base_url.rstrip("/") + PAGE)
    if chosen == "stripe":
        from makegood_credits.payments.stripe_checkout import StripePayments  # imported only if it is used

        return StripePayments(
            settings.stripe_secret_key.get_secret_value(),
            settings.stripe_webhook_secret.get_secret_value(),
            settings.links_start,
            settings.stripe_api_base,
        )
    return None

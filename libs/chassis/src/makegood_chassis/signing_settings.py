"""The settings behind signed events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import Field, SecretStr, field_validator

from makegood_chassis import production
from makegood_chassis.checked_settings import CheckedSettings, Fault
from makegood_chassis.messaging.signatures import Signer
from makegood_chassis.roles import WORK, used_by

_UNSIGNED: Final = "is required: without it anyone who can reach Kafka can forge events (see the operators' guide)"


class SigningSettings(CheckedSettings):
    """A service's private key, and the address of all services' public keys."""

    event_signing_key: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(WORK),
        validation_alias="EVENT_SIGNING_KEY",
        description="Ed25519 private key (PKCS #8, PEM) that signs this service's events: `openssl genpkey -algorithm ed25519`. "
        "Required in production.",
    )
    event_keys_url: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="EVENT_KEYS_URL",
        description="JWKS with the public keys of all services: http(s) address or file. Events without a valid signature are "
        "refused. Required in production. In development set both of these or neither.",
    )

    @field_validator("event_signing_key")
    @classmethod
    def _can_sign(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value():
            Signer.of(key.get_secret_value())
        return key

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        signs, verifies = bool(self.event_signing_key.get_secret_value()), bool(self.event_keys_url)
        needed = signs or verifies or not self.development
        if needed and not signs:
            yield Fault("EVENT_SIGNING_KEY", _UNSIGNED)
        if needed and not verifies:
            yield Fault("EVENT_KEYS_URL", _UNSIGNED)
        if self.event_keys_url.startswith(("http://", "https://")):
            yield from production.web_address(
                "EVENT_KEYS_URL", self.event_keys_url, production=not self.development, loopback=True
            )
        elif verifies and (why := production.unreadable(self.event_keys_url.removeprefix("file://"))):
            yield Fault("EVENT_KEYS_URL", f"must be an http(s) address or a file: {why}")

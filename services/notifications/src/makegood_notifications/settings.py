"""Settings of the notifications service, beside those that every service takes."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Annotated, Literal, Self

from makegood_chassis.settings import AccessLogSettings, Port
from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator

Hours = Annotated[float, Field(gt=0, le=24 * 14)]


class NotificationsSettings(AccessLogSettings):
    """Durations are seconds where the name says nothing else."""

    database_url: SecretStr = Field(
        validation_alias="NOTIFICATIONS_DATABASE_URL",
        description="PostgreSQL of this service, `postgresql://login:secret@host:port/database`.",
    )
    smtp_host: str = Field("127.0.0.1", validation_alias="SMTP_HOST", description="Mail server that takes e-mails.")
    smtp_port: Port = Field(1025, validation_alias="SMTP_PORT", description="Its port.")
    smtp_username: str = Field("", validation_alias="SMTP_USERNAME", description="Login there; empty: none.")
    smtp_password: SecretStr = Field(SecretStr(""), validation_alias="SMTP_PASSWORD", description="Its password.")
    smtp_tls: Literal["none", "starttls", "tls"] = Field(
        "none", validation_alias="SMTP_TLS", description="How the connection is secured."
    )
    smtp_connections: PositiveInt = Field(
        8, validation_alias="SMTP_CONNECTIONS", description="Most connections of one process to the mail server."
    )
    smtp_timeout: PositiveFloat = Field(
        20.0, validation_alias="SMTP_TIMEOUT", description="Longest wait for one answer of the mail server, seconds."
    )
    mail_from: str = Field(
        "Makegood <no-reply@makegood.invalid>",
        validation_alias="MAIL_FROM",
        description="Sender of e-mails, and organiser of invitations.",
    )
    mail_give_up_hours: Hours = Field(
        72.0,
        validation_alias="MAIL_GIVE_UP_HOURS",
        description="How long an e-mail that the mail server puts off is tried again.",
    )

    whatsapp_url: str = Field(
        "",
        validation_alias="WHATSAPP_URL",
        description="Start of WhatsApp's Business Cloud API, `https://graph.facebook.com`; empty: no WhatsApp.",
    )
    whatsapp_version: str = Field(
        "v23.0", validation_alias="WHATSAPP_VERSION", pattern=r"^v\d+\.\d+$", description="Version of that API."
    )
    whatsapp_phone_number_id: str = Field(
        "", validation_alias="WHATSAPP_PHONE_NUMBER_ID", description="Id of the sending phone number there."
    )
    whatsapp_token: SecretStr = Field(
        SecretStr(""), validation_alias="WHATSAPP_TOKEN", description="Access token for it."
    )

    @field_validator("mail_from")
    @classmethod
    def _an_address(cls, value: str) -> str:
        name, address = parseaddr(value)
        if "@" not in address or not address.isascii() or not (name + address).isprintable():
            raise ValueError("must be an e-mail address, for example `Makegood <no-reply@example.org>`")
        return value

    @model_validator(mode="after")
    def _whole_account(self) -> Self:
        if self.whatsapp_url and not (self.whatsapp_phone_number_id and self.whatsapp_token):
            raise ValueError("WHATSAPP_URL needs WHATSAPP_PHONE_NUMBER_ID and WHATSAPP_TOKEN")
        if self.whatsapp_url and not self.development and not self.whatsapp_url.startswith("https://"):
            raise ValueError("WHATSAPP_URL must begin with https://, or the token travels in the clear")
        return self

    @model_validator(mode="after")
    def _no_secret_in_the_clear(self) -> Self:
        if not self.development and self.smtp_username and self.smtp_tls == "none":
            raise ValueError("SMTP_USERNAME needs SMTP_TLS=starttls or tls, or the password travels in the clear")
        return self

"""Settings of the notifications service, in addition to those of every service."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parseaddr
from typing import Annotated, Final, Literal

from makegood_chassis import production
from makegood_chassis.checked_settings import Fault, in_development
from makegood_chassis.database_settings import DIRECT, OWNER, PRUNER
from makegood_chassis.roles import MIGRATE, SERVE, WORK, used_by
from makegood_chassis.settings import AccessLogSettings, Port
from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator

WHATSAPP: Final = "graph.facebook.com"
DEVELOPMENT_SMTP_PORT: Final = 1025

Hours = Annotated[float, Field(gt=0, le=24 * 14)]

_OTHER_WAY: Final = {(465, "starttls"): "tls", (25, "tls"): "starttls", (587, "tls"): "starttls"}
"""Port and SMTP_TLS that cannot work together (RFC 8314), and what works. A process would wait for an answer for ever."""


class NotificationsSettings(AccessLogSettings):
    """Durations are in seconds unless the name says otherwise."""

    database_url: SecretStr = Field(
        validation_alias="NOTIFICATIONS_DATABASE_URL",
        description="PostgreSQL of this service, `postgresql://login:secret@host:port/database`.",
    )
    owner_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(MIGRATE),
        validation_alias="NOTIFICATIONS_OWNER_DATABASE_URL",
        description=OWNER,
    )
    pruner_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(WORK, MIGRATE),
        validation_alias="NOTIFICATIONS_PRUNER_DATABASE_URL",
        description=PRUNER,
    )
    direct_database_url: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(SERVE, WORK),
        validation_alias="NOTIFICATIONS_DIRECT_DATABASE_URL",
        description=DIRECT,
    )
    person_streams: PositiveInt = Field(
        5,
        validation_alias="PERSON_STREAMS",
        description="Maximum number of streams (`GET /v1/stream`) of one person. One more closes the oldest.",
    )
    streams_at_once: PositiveInt = Field(
        1000,
        validation_alias="STREAMS_AT_ONCE",
        description="Maximum number of streams that one process serves. Further ones are answered with 503.",
    )
    smtp_host: str = Field(
        "",
        json_schema_extra=in_development("127.0.0.1") | used_by(WORK),
        validation_alias="SMTP_HOST",
        description="Mail server for outgoing e-mails. Production: required.",
    )
    smtp_port: Port = Field(
        DEVELOPMENT_SMTP_PORT, json_schema_extra=used_by(WORK), validation_alias="SMTP_PORT", description="Its port."
    )
    smtp_username: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="SMTP_USERNAME",
        description="Login there. Empty: none. Production: required unless the server is on the loopback.",
    )
    smtp_password: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(WORK),
        validation_alias="SMTP_PASSWORD",
        description="Its password.",
    )
    smtp_tls: Literal["none", "starttls", "tls"] = Field(
        "none",
        json_schema_extra=used_by(WORK),
        validation_alias="SMTP_TLS",
        description="How the connection is secured. Production: `starttls` or `tls` unless the server is on the loopback and needs "
        "no login.",
    )
    smtp_ca_file: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="SMTP_CA_FILE",
        description="PEM file of the authorities that sign its certificate. Empty: those that the system trusts.",
    )
    smtp_connections: PositiveInt = Field(
        8,
        validation_alias="SMTP_CONNECTIONS",
        description="Maximum number of connections of one process to the mail server.",
    )
    smtp_timeout: PositiveFloat = Field(
        20.0, validation_alias="SMTP_TIMEOUT", description="Longest wait for one reply of the mail server, seconds."
    )
    mail_from: str = Field(
        "Makegood <no-reply@makegood.invalid>",
        json_schema_extra=used_by(WORK),
        validation_alias="MAIL_FROM",
        description="Sender of e-mails, and organiser of invitations. Production: required.",
    )
    mail_give_up_hours: Hours = Field(
        72.0,
        validation_alias="MAIL_GIVE_UP_HOURS",
        description="How long to retry a message that the mail server or WhatsApp does not accept. After that it has failed.",
    )

    contact_confirm_hours: Hours = Field(
        48.0,
        validation_alias="CONTACT_CONFIRM_HOURS",
        description="How long the link that confirms a changed e-mail address is valid, hours of product time.",
    )
    erasure_wait_days: float = Field(
        7.0,
        ge=0,
        le=30,
        validation_alias="ERASURE_WAIT_DAYS",
        description="How long an erasure waits and can be withdrawn, days of product time.",
    )
    whatsapp_url: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="WHATSAPP_URL",
        description="Start of WhatsApp's Business Cloud API, `https://graph.facebook.com`; empty: no WhatsApp. "
        "Production: only that address.",
    )
    whatsapp_version: str = Field(
        "v23.0", validation_alias="WHATSAPP_VERSION", pattern=r"^v\d+\.\d+$", description="Version of that API."
    )
    whatsapp_phone_number_id: str = Field(
        "",
        json_schema_extra=used_by(WORK),
        validation_alias="WHATSAPP_PHONE_NUMBER_ID",
        description="Id of the sending phone number there.",
    )
    whatsapp_token: SecretStr = Field(
        SecretStr(""),
        json_schema_extra=used_by(WORK),
        validation_alias="WHATSAPP_TOKEN",
        description="Access token for it.",
    )

    @field_validator("mail_from")
    @classmethod
    def _an_address(cls, value: str) -> str:
        name, address = parseaddr(value)
        if "@" not in address or not address.isascii() or not (name + address).isprintable():
            raise ValueError("must be an e-mail address, for example `Makegood <no-reply@example.org>`")
        return value

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        for name, value in (
            ("WHATSAPP_PHONE_NUMBER_ID", self.whatsapp_phone_number_id),
            ("WHATSAPP_TOKEN", self.whatsapp_token.get_secret_value()),
        ):
            if self.whatsapp_url and not value:
                yield Fault(name, "WHATSAPP_URL needs it")
        if bool(self.smtp_username) != bool(self.smtp_password):
            missing = "SMTP_PASSWORD" if self.smtp_username else "SMTP_USERNAME"
            yield Fault(missing, "SMTP_USERNAME and SMTP_PASSWORD go together; set both or neither")
        if self.smtp_ca_file and (why := production.not_certificates(self.smtp_ca_file)):
            yield Fault("SMTP_CA_FILE", why)
        elif (
            self.smtp_ca_file
            and self.smtp_tls == "none"
            and (self.development or production.is_loopback(self.smtp_host))
        ):
            yield Fault("SMTP_CA_FILE", "SMTP_TLS=none uses no certificates; set starttls or tls, or unset this")
        if (other := _OTHER_WAY.get((self.smtp_port, self.smtp_tls))) is not None:
            yield Fault("SMTP_TLS", f"mail servers do not speak this on port {self.smtp_port}; use {other}")
        yield from production.web_address(
            "WHATSAPP_URL", self.whatsapp_url, production=not self.development, only=WHATSAPP
        )
        if not self.development:
            yield from self._unsafe_channels()

    def _unsafe_channels(self) -> Iterator[Fault]:
        """The values that mail and WhatsApp settings must not have in production."""
        away = not production.is_loopback(self.smtp_host)
        if not self.smtp_host:
            yield Fault("SMTP_HOST", "is required in production: the mail server for outgoing e-mails")
        elif not away and self.smtp_port == DEVELOPMENT_SMTP_PORT and self.smtp_tls == "none":
            yield Fault("SMTP_PORT", "is the development mail server, which shows every e-mail to anybody")
        if self.smtp_tls == "none" and self.smtp_host and (away or self.smtp_username):
            yield Fault("SMTP_TLS", "none exposes e-mails and login to the network; set starttls or tls")
        if away and self.smtp_host and not self.smtp_username and not self.smtp_password:
            yield Fault("SMTP_USERNAME", "a remote mail server needs a login (SMTP_USERNAME, SMTP_PASSWORD)")
        for name, secret, login in (
            ("SMTP_PASSWORD", self.smtp_password.get_secret_value(), self.smtp_username),
            ("WHATSAPP_TOKEN", self.whatsapp_token.get_secret_value(), self.whatsapp_phone_number_id),
        ):
            if secret and (why := production.weakness(secret, login)):
                yield Fault(name, why)
        if parseaddr(self.mail_from)[1].endswith(".invalid"):
            yield Fault(
                "MAIL_FROM",
                "is required in production: an address that people may see and that your mail server may send from",
            )

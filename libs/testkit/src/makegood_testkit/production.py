"""An environment in which every service starts in production. Tests change it to show what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PASSWORD = "kX9-vT2qLm7_Rb4wZc"  # noqa: S105 - of no server
"""Accepted in production, but the server does not exist."""
_SIGNING_KEY = (
    Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()
)


def production_values(service: str) -> dict[str, Any]:
    """The same as arguments of the settings' class, for tests without connections: there is no authority's file."""
    values = production_environment(service, Path("unused"))
    name = service.upper()
    urls = {
        f"{name}_DATABASE_URL": f"postgresql://{service}:{PASSWORD}@127.0.0.1:1/none",
        f"{name}_PRUNER_DATABASE_URL": f"postgresql://{service}_pruner:{PASSWORD}@127.0.0.1:1/none",
    }
    without = ("KAFKA_SSL_CAFILE", "REDIS_CA_FILE", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return {name: value for name, value in values.items() if name not in without} | urls


def production_environment(service: str, authority: Path) -> dict[str, str]:
    """The variables that a service needs in production. `authority`: PEM file that signs its servers' certificates."""
    database = f"db.example.org:5432/makegood_{service}?sslmode=verify-full&sslrootcert={authority}"
    values = {
        "MAKEGOOD_ENVIRONMENT": "production",
        f"{service.upper()}_DATABASE_URL": f"postgresql://{service}:{PASSWORD}@{database}",
        f"{service.upper()}_PRUNER_DATABASE_URL": f"postgresql://{service}_pruner:{PASSWORD}@{database}",
        "DATA_KEYS": f"2026-11:{'A' * 43}=",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka-1.example.org:9093,kafka-2.example.org:9093",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": service,
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CAFILE": str(authority),
        "REDIS_URL": f"rediss://{service}:{PASSWORD}@redis.example.org:6379/0",
        "REDIS_CA_FILE": str(authority),
        "JWKS_URL": "https://identity.example.org/.well-known/jwks.json",
        "EVENT_SIGNING_KEY": _SIGNING_KEY,
        "EVENT_KEYS_URL": "https://identity.example.org/.well-known/event-keys.json",
        "TOKEN_ISSUER": "https://identity.example.org",
        "PUBLIC_BASE_URL": "https://api.example.org",
        "CLIENT_APP_URL": "https://app.example.org",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel.example.org:4318",
    }
    if service == "booking":
        values["JOIN_LINK_KEY"] = PASSWORD * 2
    if service == "credits":
        values |= {
            "PAYMENT_PROVIDER": "stripe",
            "STRIPE_SECRET_KEY": f"sk_live_{PASSWORD}",
            "STRIPE_WEBHOOK_SECRET": f"whsec_{PASSWORD}",
        }
    if service == "notifications":
        values |= {
            "SMTP_HOST": "smtp.example.org",
            "SMTP_PORT": "587",
            "SMTP_TLS": "starttls",
            "SMTP_USERNAME": "care",
            "SMTP_PASSWORD": PASSWORD,
            "MAIL_FROM": "Care <no-reply@example.org>",
            "WHATSAPP_URL": "https://graph.facebook.com",
            "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
            "WHATSAPP_TOKEN": f"EAAG{PASSWORD}",
        }
    return values

"""The settings of the job that makes topics: what cannot work, or would tell others a password, stops it at once."""

from __future__ import annotations

from typing import Any, cast

import pytest
from makegood_chassis.checked_settings import advice
from makegood_stack.topic_settings import TopicSettings
from pydantic import ValidationError

WHOLE = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "SCHEMA_REGISTRY_URL": "https://registry.example.org/apis/ccompat/v7/",
    "SCHEMA_REGISTRY_USERNAME": "topics",
    "SCHEMA_REGISTRY_PASSWORD": "vM3yQ8sLw0TzR5kH",
}


def settings(values: dict[str, str]) -> TopicSettings:
    return TopicSettings(**cast(Any, values))


def faults(**changes: str) -> dict[str, str]:
    """The advice by variable."""
    try:
        settings({**WHOLE, **changes})
    except ValidationError as error:
        return dict(line.split(": ", 1) for line in advice(TopicSettings, error).splitlines())
    return {}


def test_a_registry_with_tls_and_a_login_is_taken() -> None:
    registry = settings(WHOLE).registry
    assert registry is not None
    assert (registry.url, registry.username) == ("https://registry.example.org/apis/ccompat/v7", "topics")
    assert WHOLE["SCHEMA_REGISTRY_PASSWORD"] not in repr(registry)


def test_without_an_address_there_is_none() -> None:
    assert settings({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092"}).registry is None


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SCHEMA_REGISTRY_URL", "http://registry.example.org", "https:// in production"),
        ("SCHEMA_REGISTRY_URL", "https://topics:secret@registry.example.org", "must not contain a login"),
        ("SCHEMA_REGISTRY_URL", "registry:8081", "must be an address"),
        ("SCHEMA_REGISTRY_PASSWORD", "", "is required with SCHEMA_REGISTRY_USERNAME"),
        ("SCHEMA_REGISTRY_PASSWORD", "topics", "shorter than 12 characters"),
        ("SCHEMA_REGISTRY_CA_FILE", "/missing.pem", "cannot be read"),
    ],
)
def test_what_cannot_work_or_is_unsafe_is_refused(variable: str, value: str, expected: str) -> None:
    found = faults(**{variable: value})
    assert found.keys() == {variable}
    assert expected in found[variable]


def test_a_password_needs_a_name() -> None:
    assert faults(SCHEMA_REGISTRY_USERNAME="").keys() == {"SCHEMA_REGISTRY_USERNAME"}
    assert faults(SCHEMA_REGISTRY_USERNAME="", SCHEMA_REGISTRY_PASSWORD="") == {}

"""The JSON Schema (2020-12) of each event's payload."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, get_args

import msgspec

from makegood_contracts.envelope import EXAMPLE_BASE_URL, schema_uri
from makegood_contracts.events import Event

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema_of(kind: type[Event], base_url: str = EXAMPLE_BASE_URL) -> dict[str, Any]:
    """The payload's schema, with topic, key and classification as `x-…` members. Additional fields are allowed: readers ignore
    fields they do not know. `base_url` is the gateway's address, without a trailing slash."""
    generated = msgspec.json.schema(kind)
    definitions: dict[str, Any] = dict(generated["$defs"])
    body = definitions.pop(kind.__name__)
    for field in msgspec.structs.fields(kind):
        if datetime in (field.type, *get_args(field.type)):
            _mark_instant(body["properties"][field.encode_name])
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "$id": schema_uri(kind, base_url),
        **body,
        "x-type": kind.type,
        "x-topic": kind.topic.name,
        "x-key": kind.topic.key,
        "x-classification": kind.classification,
    }
    if definitions:
        schema["$defs"] = definitions
    return schema


def _mark_instant(schema: dict[str, Any]) -> None:
    """Instants are RFC 3339 strings with an offset; msgspec's schema only says that they are strings."""
    for part in schema.get("anyOf", [schema]):
        if part.get("type") == "string":
            part["format"] = "date-time"

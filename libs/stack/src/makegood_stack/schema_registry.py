"""Registers the schemas of topics, each as the subject `<topic>-value`, so that the registry refuses what is not compatible.

Any registry with Confluent's API will do.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec
from makegood_contracts.publishing.registry_documents import document_of
from makegood_contracts.topics import TOPICS
from makegood_devtools.errors import UserError

COMPATIBILITY: Final = "FULL_TRANSITIVE"
_TIMEOUT: Final = 30.0
"""Seconds for one answer."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Where a registry is, and how to log in. Without a username there is no login; without a `ca_file` the system's counts."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""


def documents(prefix: str = "") -> dict[str, dict[str, Any]]:
    """The schemas by subject. Topics without events of their own, such as dead letters, have none."""
    made = {f"{prefix}{topic.name}-value": document_of(topic) for topic in TOPICS}
    return {subject: document for subject, document in made.items() if document is not None}


def register(registry: Registry, schemas: Mapping[str, Mapping[str, Any]]) -> None:
    """Registers schemas by subject. What is registered already stays as it is. Raises UserError if one is refused, which names each."""
    login = httpx.BasicAuth(registry.username, registry.password) if registry.username else None
    trusted = ssl.create_default_context(cafile=registry.ca_file or None)
    refused = []
    with httpx.Client(base_url=registry.url, auth=login, verify=trusted, timeout=_TIMEOUT, trust_env=False) as client:
        for subject, schema in schemas.items():
            # First, so that a registry whose own level is lower never takes an incompatible version.
            _told(client, "PUT", f"/config/{quote(subject)}", {"compatibility": COMPATIBILITY})
            version = {"schemaType": "JSON", "schema": msgspec.json.encode(schema).decode()}
            answer = _told(client, "POST", f"/subjects/{quote(subject)}/versions", version)
            if answer.status_code == httpx.codes.CONFLICT:
                refused.append(f"{subject}: {_message(answer)}")
    if refused:
        raise UserError("\n".join(["the schema registry refuses incompatible changes:", *refused]))


def _told(client: httpx.Client, method: str, path: str, content: Mapping[str, str]) -> httpx.Response:
    try:
        answer = client.request(method, path, json=content)
    except httpx.TransportError as error:
        raise UserError(
            f"the schema registry at {client.base_url} does not answer: {error or type(error).__name__}"
        ) from None
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise UserError(
            f"the schema registry refuses the login ({answer.status_code}): check SCHEMA_REGISTRY_USERNAME and its rights"
        )
    if not answer.is_success and answer.status_code != httpx.codes.CONFLICT:
        raise UserError(f"the schema registry answers {answer.status_code} to {method} {path}: {_message(answer)}")
    return answer


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, LookupError, TypeError):
        return answer.text[:500] or "without a reason"

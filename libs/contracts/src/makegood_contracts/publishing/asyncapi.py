"""The AsyncAPI 3 document: all topics with their keys, messages and senders."""

from __future__ import annotations

from typing import Any, Final

from makegood_contracts.envelope import CONTENT_TYPE, EXAMPLE_BASE_URL
from makegood_contracts.events import EVENT_TYPES, Event
from makegood_contracts.publishing.examples import golden_of
from makegood_contracts.topics import EVENT_TOPICS, STATE_TOPICS, TOPICS, Topic

_ABOUT: Final = (
    "Events that Makegood's services publish, for each other and for other consumers. They are CloudEvents 1.0 in Kafka binary "
    "mode: attributes are `ce_` headers, the payload is JSON in the record value. Events with the same key stay in order. "
    "Fields are only ever added; ignore fields you do not know. No topic has names, addresses or free text. Topics whose names "
    "end in `.state.v1` are compacted: they keep the latest state of each entity, and a record without a value is a tombstone."
)
HEADERS: Final[dict[str, str]] = {
    "ce_specversion": "CloudEvents version.",
    "ce_id": "The event's id. If an event is delivered twice, both have the same id.",
    "ce_source": "The service that published the event.",
    "ce_type": "The event's type and version.",
    "ce_subject": "The entity's id, the same as the record key.",
    "ce_time": "When the event was published, in real time.",
    "ce_dataschema": "The JSON Schema of the payload.",
    "ce_correlationid": "Id of the request or deadline that started the chain of events.",
    "ce_causationid": "Id of the direct cause: a request, deadline or event.",
    "ce_sequence": "Counts the events of the entity, in steps of one. Of a state: rises, with gaps.",
    "ce_dataclassification": "public, internal or pseudonymous.",
    "content-type": "Media type of the payload.",
}

_OPTIONAL = {
    "traceparent": "W3C trace context.",
    "makegood_signature": "Detached signature by the topic's owner (Ed25519 over a SHA-256 Merkle root): key id, sides, path "
    "and signature, separated by dots. The guide for data teams explains how to verify it.",
    "makegood_redrive": "How many times the event was sent again from the dead letters. Not covered by the signature.",
}


def document(base_url: str = EXAMPLE_BASE_URL) -> dict[str, Any]:
    """The document as plain data. `base_url` is the address of the gateway that serves the schemas, without a trailing
    slash."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Makegood events", "version": "1", "description": _ABOUT},
        "defaultContentType": CONTENT_TYPE,
        "channels": {_id(topic): _channel(topic) for topic in TOPICS},
        "operations": {f"{topic.owner}.sends.{_id(topic)}": _operation(topic) for topic in TOPICS},
        "components": {
            "messages": {_name(kind): _message(kind, base_url) for kind in _kinds()} | {"DeadLetter": _dead_letter()},
            "messageTraits": {"CloudEvent": _trait()},
        },
    }


def _kinds(topic: Topic | None = None) -> list[type[Event]]:
    return [kind for _, kind in sorted(EVENT_TYPES.items()) if topic is None or kind.topic is topic]


def _id(topic: Topic) -> str:
    return topic.name.replace(".", "-")


def _name(kind: type[Event]) -> str:
    """The event's name, prefixed with its service if several services publish an event of that name."""
    shared = sum(other.__name__ == kind.__name__ for other in EVENT_TYPES.values()) > 1
    return f"{kind.topic.owner}.{kind.__name__}" if shared else kind.__name__


def _names(topic: Topic) -> list[str]:
    return [_name(kind) for kind in _kinds(topic)] if topic in (*EVENT_TOPICS, *STATE_TOPICS) else ["DeadLetter"]


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"{topic.about} Owned by {topic.owner}; keyed by {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(topic)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [topic.settings["cleanup.policy"]],
                    "retention.ms": int(topic.settings["retention.ms"]),
                    **({"delete.retention.ms": int(topic.settings["delete.retention.ms"])} if topic.compacted else {}),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(topic: Topic) -> dict[str, Any]:
    channel = f"#/channels/{_id(topic)}"
    return {
        "action": "send",
        "summary": f"{topic.owner} publishes: {topic.about}",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _names(topic)],
    }


def _message(kind: type[Event], base_url: str) -> dict[str, Any]:
    golden = golden_of(kind, base_url)
    return {
        "name": kind.type,
        "title": kind.__name__,
        "summary": (kind.__doc__ or "").strip(),
        "contentType": CONTENT_TYPE,
        "traits": [{"$ref": "#/components/messageTraits/CloudEvent"}],
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./schemas/{kind.type}.json"},
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": kind.topic.key}, "bindingVersion": "0.5.0"}},
        "examples": [{"name": kind.__name__, "headers": golden["headers"], "payload": golden["payload"]}],
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "dead-letter",
        "title": "Dead letter",
        "summary": "A record that could not be processed, unchanged. Additional headers say why and where it came from.",
        "contentType": CONTENT_TYPE,
        "payload": {},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": "the record's original key"}, "bindingVersion": "0.5.0"}
        },
    }


def _trait() -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"type": "string", "description": about} for name, about in HEADERS.items()}
    return {
        "headers": {
            "type": "object",
            "required": list(HEADERS),
            "properties": properties
            | {name: {"type": "string", "description": about} for name, about in _OPTIONAL.items()},
        }
    }

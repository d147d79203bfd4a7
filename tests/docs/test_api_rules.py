"""The rules of the house for every operation: what generated clients in any language rely on."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from makegood_chassis.http.components import resolved
from makegood_chassis.http.merging import Collision, merged
from makegood_chassis.http.problem_models import problem_schemas
from makegood_chassis.http.tags import TAGS
from makegood_contracts.problems import PROBLEMS
from makegood_contracts.publishing.places import OPENAPI
from makegood_testkit.api_document import COMMAND, documents, render

Schema = dict[str, Any]
WHOLE: Schema = json.loads(render())
SCHEMAS: Schema = WHOLE["components"]["schemas"]
OPERATIONS: dict[str, Schema] = {
    f"{method.upper()} {path}": resolved(operation, WHOLE)
    for path, methods in WHOLE["paths"].items()
    for method, operation in methods.items()
}
each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
VERBS = frozenset(
    [
        "add",
        "adjust",
        "approve",
        "book",
        "buy",
        "cancel",
        "change",
        "check",
        "close",
        "confirm",
        "correct",
        "create",
        "decline",
        "dispute",
        "enrol",
        "erase",
        "export",
        "extend",
        "follow",
        "join",
        "leave",
        "list",
        "open",
        "pay",
        "post",
        "publish",
        "read",
        "receive",
        "reject",
        "remove",
        "replace",
        "report",
        "request",
        "reschedule",
        "restart",
        "revoke",
        "save",
        "search",
        "send",
        "subscribe",
        "unsubscribe",
        "verify",
        "void",
        "withdraw",
    ]
)
KEYWORDS = frozenset(
    [
        "$ref",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "contentMediaType",
        "contentSchema",
        "default",
        "deprecated",
        "description",
        "discriminator",
        "enum",
        "examples",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "oneOf",
        "pattern",
        "prefixItems",
        "properties",
        "required",
        "title",
        "type",
        "uniqueItems",
    ]
)
"""Of JSON Schema 2020-12 and OpenAPI 3.1. A word of another language (`ge`) says nothing to anybody who reads the document."""
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
WITHOUT_TOKEN = {
    "receivePaymentEvent",
    "readCalendarFeed",
    "verifyJoinLink",
    "readUnsubscribePage",
    "unsubscribeFromMails",
}
"""Their callers prove themselves by a signature, by the secret in the address, or by the link that they come with."""


def _schemas(schema: Any, place: str) -> Iterator[tuple[str, Schema]]:
    """Every schema in a schema, with its place."""
    if not isinstance(schema, dict):
        return
    yield place, schema
    for key in ("items", "additionalProperties", "contentSchema"):
        yield from _schemas(schema.get(key), f"{place}.{key}")
    for key in ("anyOf", "allOf", "oneOf", "prefixItems"):
        for each in schema.get(key, ()):
            yield from _schemas(each, place)
    for name, inner in schema.get("properties", {}).items():
        yield from _schemas(inner, f"{place}.{name}")


def _everything() -> Iterator[tuple[str, Schema]]:
    for name, schema in SCHEMAS.items():
        yield from _schemas(schema, name)
    for place, operation in OPERATIONS.items():
        for parameter in operation.get("parameters", ()):
            yield from _schemas(parameter["schema"], f"{place}?{parameter['name']}")
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (each for body in bodies for each in body.get("content", {}).values()):
            yield from _schemas(content["schema"], place)


def test_the_published_document_is_fresh() -> None:
    assert OPENAPI.read_text() == render(), f"run: {COMMAND}"


def test_operation_ids_are_verbs_and_unique() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [name for name in names if not re.fullmatch(r"[a-z]+([A-Z][a-z0-9]*)+", name)] == []
    assert [name for name in names if re.split("[A-Z]", name)[0] not in VERBS] == [], (
        "name the handler by a verb of VERBS"
    )
    assert "bookSession" in names


@each_operation
def test_every_operation_is_described_and_has_one_tag(operation: Schema) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert len(operation["tags"]) == 1
    assert operation["tags"][0] in TAGS
    expected: list[Any] = [] if operation["operationId"] in WITHOUT_TOKEN else [{"token": []}]
    assert operation["security"] == expected


def test_tags_are_declared_in_the_order_of_the_house() -> None:
    assert [tag["name"] for tag in WHOLE["tags"]] == list(TAGS)
    assert all(tag["description"] == TAGS[tag["name"]] for tag in WHOLE["tags"])


def test_one_scheme_authorizes_all() -> None:
    assert list(WHOLE["components"]["securitySchemes"]) == ["token"]


def test_whoever_signs_instead_finds_the_header() -> None:
    hook = WHOLE["paths"]["/v1/webhooks/payments"]["post"]
    assert {each["name"] for each in resolved(hook, WHOLE)["parameters"]} == {"Stripe-Signature", "Makegood-Signature"}


def test_every_enum_has_a_name() -> None:
    inline = [f"{place}: {schema['enum']}" for place, schema in _everything() if len(schema.get("enum", ())) > 1]
    named = [name for name, schema in SCHEMAS.items() if "enum" in schema]
    assert [place for place in inline if place.partition(":")[0] not in named] == [], (
        "name it in the service's api/enums.py"
    )
    assert {"SessionStatus", "Modality", "ReasonCode"} <= set(named)


def test_components_have_names_for_types() -> None:
    assert [name for name in SCHEMAS if not re.fullmatch(r"[A-Z][A-Za-z0-9]+", name)] == []


def test_one_name_is_one_thing() -> None:
    paths: Schema = {"tags": [], "paths": {}}
    one = {**paths, "components": {"schemas": {"SlotView": {"type": "object"}}}}
    other = {**paths, "components": {"schemas": {"SlotView": {"type": "string"}}}}
    assert merged([one, one])["components"]["schemas"] == {"SlotView": {"type": "object"}}
    with pytest.raises(Collision, match="SlotView"):
        merged([one, other])


def test_schemas_speak_json_schema() -> None:
    assert [
        f"{place}: {set(schema) - KEYWORDS}" for place, schema in _everything() if not set(schema) <= KEYWORDS
    ] == []
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)


def _texts(schema: Schema, value: Any, place: str) -> Iterator[tuple[str, str, set[str]]]:
    """Every text of an example: where it stands, what it says, and the formats that its schema allows there."""
    schema = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    choices = [each for key in ("anyOf", "oneOf") for each in schema.get(key, ())]
    if choices and not isinstance(value, str):
        fitting = [each for each in choices if each != {"type": "null"}]
        for each in fitting[:1] if value is not None else ():
            yield from _texts(each, value, place)
    elif isinstance(value, str):
        yield place, value, {str(each.get("format")) for each in (schema, *choices)}
    elif isinstance(value, list) and "items" in schema:
        for each in value:
            yield from _texts(schema["items"], each, place)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in schema.get("properties", {}):
                yield from _texts(schema["properties"][key], inner, f"{place}.{key}")


def test_instants_and_days_have_their_format() -> None:
    found = [
        text
        for name, schema in SCHEMAS.items()
        for each in schema.get("examples", ())
        for text in _texts(schema, each, name)
    ]
    problems = {"$ref": "#/components/schemas/Problem"}
    found += [text for problem in PROBLEMS.values() for text in _texts(problems, problem.body, "Problem")]
    instants = [text for text in found if INSTANT.fullmatch(text[1])]
    assert len(instants) > 60
    assert [text for text in instants if text[2] != {"date-time"} and "date-time" not in text[2]] == []
    assert [text for text in found if DAY.fullmatch(text[1]) and "date" not in text[2]] == []


def test_what_is_named_like_an_instant_is_one() -> None:
    """Also where no example shows it."""
    named = [
        (place, each)
        for place, schema in _everything()
        for each in (schema, *schema.get("anyOf", ()))
        if re.search(r"[.?]\w+(_at|_until)$", place) and each.get("type") == "string"
    ]
    assert len(named) > 40
    assert [place for place, each in named if each.get("format") != "date-time"] == []


@pytest.mark.parametrize("slug", sorted(PROBLEMS))
def test_problems_have_no_member_that_is_not_documented(slug: str) -> None:
    schemas = {name: {**schema, "additionalProperties": False} for name, schema in problem_schemas().items()}
    document = {"$ref": "#/components/schemas/Problem", "components": {"schemas": {**SCHEMAS, **schemas}}}
    Draft202012Validator(document).validate(PROBLEMS[slug].body)


def test_the_policy_in_a_problem_is_that_of_its_address() -> None:
    def shape(name: str) -> dict[str, Any]:
        kept = ("type", "format", "$ref")
        return {
            member: {key: schema[key] for key in kept if key in schema}
            for member, schema in SCHEMAS[name]["properties"].items()
        }

    assert shape("ProblemPolicy") == shape("SessionPolicyView")


@each_operation
def test_every_json_answer_is_a_named_type(operation: Schema) -> None:
    """Generated clients make nothing of `{}`, and of a text they make a failure."""
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            if media_type.endswith("json"):
                assert str(content["schema"].get("$ref", "")).startswith("#/components/schemas/"), (status, media_type)


def test_an_appointment_is_no_text() -> None:
    answer = WHOLE["paths"]["/v1/sessions/{session_id}/fhir"]["get"]["responses"]["200"]
    assert answer["content"] == {"application/fhir+json": {"schema": {"$ref": "#/components/schemas/AppointmentView"}}}


def test_each_service_has_its_own_document_too() -> None:
    assert set(documents()) == {"booking", "availability", "credits", "notifications"}
    assert sum(len(document["paths"]) for document in documents().values()) == len(WHOLE["paths"])

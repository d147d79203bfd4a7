"""The OpenAPI document of each service shows what every request and every answer looks like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from makegood_chassis.http.components import resolved
from makegood_testkit.api_document import documents

Document = dict[str, Any]
PROBLEM = "application/problem+json"
DOCUMENTS = list(documents().values())
OPERATIONS = [
    pytest.param(document, resolved(operation, document), id=f"{method.upper()} {path}")
    for document in DOCUMENTS
    for path, methods in document["paths"].items()
    for method, operation in methods.items()
]


def _names(schema: Any) -> Iterator[str]:
    """The components that a body is one of."""
    if "$ref" in schema:
        yield str(schema["$ref"]).rpartition("/")[2]
    for choice in schema.get("anyOf", ()):
        yield from _names(choice)


def _contents(operation: Document) -> Iterator[Document]:
    yield operation.get("requestBody", {}).get("content", {})
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield answer.get("content", {})


def _unbounded(schema: Any, document: Document, path: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Where a request takes a list of any length."""
    if isinstance(schema, list):
        for choice in schema:
            yield from _unbounded(choice, document, path, seen)
        return
    if not isinstance(schema, dict):
        return
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name:
        if name not in seen:
            yield from _unbounded(document["components"]["schemas"][name], document, name, seen | {name})
        return
    if schema.get("type") == "array" and "maxItems" not in schema:
        yield path
    for key in ("anyOf", "allOf", "oneOf", "items", "prefixItems"):
        yield from _unbounded(schema.get(key, []), document, path, seen)
    for field, inner in schema.get("properties", {}).items():
        yield from _unbounded(inner, document, f"{path}.{field}", seen)


@pytest.mark.rule("SEC-6")
@pytest.mark.parametrize(("document", "operation"), OPERATIONS)
def test_no_request_takes_a_list_of_any_length(document: Document, operation: Document) -> None:
    """Each item that does not fit costs time, so 20,000 of them would cost too much."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert list(_unbounded(content.get("schema", {}), document, "body")) == []


@pytest.mark.parametrize(("document", "operation"), OPERATIONS)
def test_every_request_and_answer_has_an_example_that_fits(document: Document, operation: Document) -> None:
    schemas = document["components"]["schemas"]
    for content in _contents(operation):
        for name in _names(content.get("application/json", {}).get("schema", {})):
            examples = schemas[name].get("examples")
            assert examples, f"{name} has no example"
            schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
            for example in examples:
                Draft202012Validator(schema).validate(example)


@pytest.mark.parametrize(("document", "operation"), OPERATIONS)
def test_every_problem_has_an_example_that_fits_and_its_headers(document: Document, operation: Document) -> None:
    schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    always = {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After", "504": "Retry-After"}
    problems = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
    needed = set(always) if operation.get("security") else set(always) - {"401"}
    assert needed <= set(problems)
    for status, answer in problems.items():
        assert "X-Request-Id" in answer["headers"]
        assert always.get(status, "X-Request-Id") in answer["headers"]
        examples = answer["content"][PROBLEM]["examples"]
        assert examples
        for example in examples.values():
            Draft202012Validator(schema).validate(example["value"])
            assert str(example["value"]["status"]) == status


@pytest.mark.rule("BOOK-4")
def test_a_rules_conflict_shows_its_reasons() -> None:
    booking_document = next(document for document in DOCUMENTS if "/v1/sessions" in document["paths"])
    booking = resolved(booking_document["paths"]["/v1/sessions"]["post"], booking_document)
    answer = booking["responses"]["409"]
    examples = answer["content"][PROBLEM]["examples"]
    assert [reason["code"] for reason in examples["slot-taken"]["value"]["reasons"]] == ["slot-taken"]
    assert "reasons" not in examples["idempotency-in-flight"]["value"]


def test_conditions_and_waits_are_declared_where_they_count() -> None:
    takes: dict[str, set[str]] = {"If-Match": set(), "Prefer": set()}
    for document in DOCUMENTS:
        for path, methods in document["paths"].items():
            for method, shared in methods.items():
                operation = resolved(shared, document)
                sent = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "header"}
                assert ("412" in operation["responses"]) == ("If-Match" in sent)
                for name in sent & takes.keys():
                    takes[name].add(f"{method.upper()} {path}")
                    if name == "Prefer":
                        assert "Preference-Applied" in operation["responses"]["202"]["headers"]
                        assert "Location" in operation["responses"]["202"]["headers"]
    assert takes["Prefer"] >= {
        "POST /v1/sessions",
        "POST /v1/sessions/{session_id}/cancel",
        "POST /v1/sessions/{session_id}/decline",
    }
    news = {"sessions", "rooms", "venues", "rooms/{room_id}/messages", "members/{member_id}/adjustments"}
    assert not takes["If-Match"] & {f"POST /v1/{path}" for path in news}
    assert takes["If-Match"] >= {"POST /v1/sessions/{session_id}/confirm", "PUT /v1/venues/{venue_id}"}

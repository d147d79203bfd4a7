"""The columns of exported tables, and which of them are about a person."""

from __future__ import annotations

import pytest
from makegood_contracts.publishing.tables import columns_of
from makegood_contracts.topics import Topic

pytest.importorskip("pyarrow", reason="the extra `data` is missing: make data")

import pyarrow as pa
from makegood_cli.export.columns import ENVELOPE, schema_of
from makegood_cli.export.personal import PEOPLE, WORDS, pseudonymised
from makegood_cli.export.running import EXPORTED

TYPES = {
    "string": pa.string(), "instant": pa.timestamp("us", tz="UTC"), "date": pa.date32(), "integer": pa.int64(),
    "boolean": pa.bool_(),
}  # fmt: skip


@pytest.mark.parametrize("topic", EXPORTED, ids=lambda topic: str(topic.name))
def test_columns_are_those_of_the_data_contract_after_the_envelope(topic: Topic) -> None:
    schema = schema_of(topic)
    assert schema.names[: len(ENVELOPE)] == ENVELOPE.names
    contract = {column.name: column.kind.name for column in columns_of(topic)}
    assert set(schema.names[len(ENVELOPE) :]) == contract.keys()
    for name, kind in contract.items():
        found = schema.field(name).type
        assert found == TYPES[kind] if kind in TYPES else pa.types.is_nested(found), name


@pytest.mark.rule("NOTE-5")
def test_no_field_that_names_a_person_stays_after_an_erasure() -> None:
    """A new field with a person's id, or with words or keys of theirs, has to be named in `personal`."""
    left = set()
    for topic in EXPORTED:
        for column in columns_of(topic):
            names_somebody = "`sub`" in column.meaning.text or column.name.endswith("_by")
            theirs = column.kind.longest is not None or "key" in column.name or "token" in column.meaning.text.lower()
            if column.kind.name == "string" and not column.kind.values and (names_somebody or theirs):
                left.add(column.name)
    assert left - {*PEOPLE, *WORDS} == set()


def test_ids_inside_of_nested_values_and_addresses_are_replaced() -> None:
    kind = pa.list_(pa.struct([("href", pa.string()), ("ids", pa.list_(pa.string()))]))
    table = pa.table(
        {
            "member_id": ["anna", "ben", None],
            "public_key": ["k1", "k2", "k3"],
            "nested": pa.array([[{"href": "/v1/members/anna/credits", "ids": ["anna", "annabel"]}], None, []], kind),
        }
    )
    done = pseudonymised(table, {"anna": "erased-1"}).to_pydict()
    assert done["member_id"] == ["erased-1", "ben", None]
    assert done["public_key"] == [None, "k2", "k3"]
    assert done["nested"] == [[{"href": "/v1/members/erased-1/credits", "ids": ["erased-1", "annabel"]}], None, []]
    assert pseudonymised(table, {"carl": "erased-2"}) is table

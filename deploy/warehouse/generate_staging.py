"""Writes the part of the warehouse that repeats the contracts: `python deploy/warehouse/generate_staging.py [--check]`.

That is the staging models, one for each event topic, with descriptions and tests of their columns; a documentation block for
each field (`{{ doc('booking_sessions__starts_at') }}`); and the closed sets of values, for tests of other models.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from makegood_contracts.publishing.meanings import unit_of
from makegood_contracts.publishing.tables import Column, Kind, columns_of, events_of
from makegood_contracts.topics import ACCESS, EVENT_TOPICS, Topic

HERE: Final = Path(__file__).resolve().parent
COMMAND: Final = "python deploy/warehouse/generate_staging.py"
STAGED: Final = tuple(topic for topic in EVENT_TOPICS if topic not in ACCESS.values())
"""What a data team may read. Access logs are for auditors."""

_TYPES: Final = {
    "string": "VARCHAR",
    "instant": "TIMESTAMPTZ",
    "date": "DATE",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
}
ENVELOPE: Final = {
    "ce_id": ("VARCHAR", "The event's id. It is unique here, although Kafka may deliver an event twice."),
    "fact": ("VARCHAR", "What happened: the event's short name, such as `ProviderMissed`."),
    "ce_subject": ("VARCHAR", "The id of the entity, which is also the record's key."),
    "ce_sequence": ("BIGINT", "The entity's own counter. It gives the order of its events."),
    "ce_time": ("TIMESTAMPTZ", "When the event was made, in real time."),
    "kafka_partition": ("INTEGER", "The partition that the record is in."),
    "kafka_offset": ("BIGINT", "The record's place in its partition."),
}
"""The columns of every topic that the warehouse uses, with their types and meanings."""


def files() -> dict[str, str]:
    """The content of every generated file, by path relative to this folder."""
    made = {f"models/staging/{model_name(topic)}.sql": _sql(topic) for topic in STAGED}
    made["models/staging/_sources.yml"] = _yaml({"sources": [_source()]})
    made["models/staging/_staging.yml"] = _yaml({"models": [_model(topic) for topic in STAGED]})
    made["models/staging/_fields.md"] = "\n".join(_blocks())
    made["macros/contract_values.sql"] = _values()
    return made


def stale() -> list[str]:
    """Paths of generated files that are missing, differ, or belong to no topic any more."""
    made = files()
    there = {f"models/staging/{path.name}" for path in (HERE / "models/staging").glob("stg_*__*.sql")}
    return sorted(
        path
        for path in made.keys() | there
        if path not in made or not (HERE / path).is_file() or (HERE / path).read_text() != made[path]
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is stale")
    old = stale()
    if parser.parse_args(arguments).check:
        if old:
            sys.stdout.write("\n".join(["These files are stale. Regenerate them with", f"    {COMMAND}", *old, ""]))
        return 1 if old else 0
    made = files()
    for path in old:
        if path in made:
            (HERE / path).write_text(made[path])
        else:
            (HERE / path).unlink()
    sys.stdout.write(f"{len(old)} files written\n" if old else "everything is up to date\n")
    return 0


def short_name(topic: Topic) -> str:
    """`booking.sessions.v1` is `booking_sessions`."""
    return topic.name.rsplit(".", 1)[0].replace(".", "_").replace("-", "_")


def model_name(topic: Topic) -> str:
    """`booking.sessions.v1` is `stg_booking__sessions`."""
    return "stg_" + short_name(topic).replace("_", "__", 1)


def table_name(topic: Topic) -> str:
    """The topic's table in an export, such as `booking_sessions_v1`."""
    return topic.name.replace(".", "_").replace("-", "_")


def sql_type(kind: Kind) -> str:
    """The type of DuckDB that an export gives a field."""
    if kind.name == "array" and kind.items is not None:
        return f"{sql_type(kind.items)}[]"
    if kind.name == "object":
        return "STRUCT(" + ", ".join(f'"{each.name}" {sql_type(each.kind)}' for each in kind.fields) + ")"
    return _TYPES[kind.name]


def _sql(topic: Topic) -> str:
    columns = "\n".join(f"    '{each.name}': '{sql_type(each.kind)}'," for each in columns_of(topic))
    return (
        f"-- Made by `{COMMAND}` from the contract of {topic.name}.\n"
        f"{{{{ events('{table_name(topic)}', {{\n{columns}\n}}) }}}}\n"
    )


def _source() -> dict[str, Any]:
    return {
        "name": "export",
        "description": "What `makegood topics export --format duckdb` wrote: one table for each topic.",
        "database": "export",
        "schema": "main",
        "tables": [{"name": table_name(topic), "description": topic.about} for topic in STAGED],
    }


def _model(topic: Topic) -> dict[str, Any]:
    return {
        "name": model_name(topic),
        "description": f"{topic.about} One row for each event of `{topic.name}`, without repeated and withdrawn ones.",
        "columns": [
            *(
                {"name": name, "description": about, "data_tests": ["not_null", *_envelope_tests(topic, name)]}
                for name, (_, about) in ENVELOPE.items()
            ),
            *(_column(topic, each) for each in columns_of(topic)),
        ],
    }


def _envelope_tests(topic: Topic, name: str) -> Iterator[Any]:
    if name == "ce_id":
        yield "unique"
    elif name == "ce_sequence":
        yield "no_gaps"
    elif name == "fact":
        yield _one_of(kind.__name__ for kind in events_of(topic))


def _one_of(values: Iterable[str]) -> dict[str, Any]:
    return {"accepted_values": {"arguments": {"values": list(values)}}}


def _column(topic: Topic, column: Column) -> dict[str, Any]:
    tests: list[Any] = ["not_null"] if column.required else []
    if column.kind.values:
        tests.append(_one_of(column.kind.values))
    made: dict[str, Any] = {"name": column.name, "description": f"{{{{ doc('{short_name(topic)}__{column.name}') }}}}"}
    return made | ({"data_tests": tests} if tests else {})


def _blocks() -> Iterator[str]:
    for topic in STAGED:
        for column in columns_of(topic):
            unit = unit_of(column.name, column.meaning) if column.kind.name in ("integer", "number", "array") else ""
            text = f"{column.meaning.text} Unit: {unit}." if unit else column.meaning.text
            yield f"{{% docs {short_name(topic)}__{column.name} %}}\n{text}\n{{% enddocs %}}\n"


def _values() -> str:
    lines = [
        f"    '{short_name(topic)}__{column.name}': {list(column.kind.values)!r},"
        for topic in STAGED
        for column in columns_of(topic)
        if column.kind.values
    ]
    return (
        f"{{#- Made by `{COMMAND}`: the closed sets of values in the contracts. -#}}\n"
        "{% macro contract_values(field) %}\n{% set values = {\n" + "\n".join(lines) + "\n} %}\n"
        "{{ return(values[field]) }}\n{% endmacro %}\n"
    )


def _yaml(content: dict[str, Any]) -> str:
    head = f"# Made by `{COMMAND}` from the contracts.\n"
    return head + str(yaml.safe_dump({"version": 2, **content}, sort_keys=False, allow_unicode=True, width=120))


if __name__ == "__main__":
    raise SystemExit(main())

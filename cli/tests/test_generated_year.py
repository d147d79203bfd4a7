"""`makegood generate-year`: what the year is like, without a broker."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from itertools import islice
from typing import Any

import jsonschema
import pytest
from makegood_cli.year.world import year_of
from makegood_contracts.envelope import Received, Record
from makegood_contracts.events import EVENT_TYPES
from makegood_contracts.publishing.schemas import schema_of

from .year_checks import ENDINGS, erased, faults, name, received, texts

START = date(2025, 1, 1)
MEMBERS = 120


Events = list[tuple[str, Received[Any]]]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(year_of(1, MEMBERS, START).records())


@pytest.fixture(scope="module")
def events(records: list[Record]) -> Events:
    return received(records)


def test_the_same_seed_makes_the_same_bytes_and_another_seed_does_not(records: list[Record]) -> None:
    first = list(islice(records, 2000))
    assert list(islice(year_of(1, MEMBERS, START).records(), 2000)) == first
    assert list(islice(year_of(2, MEMBERS, START).records(), 2000)) != first


@pytest.mark.rule("CRED-1")
@pytest.mark.rule("MISS-2")
def test_the_year_keeps_the_rules(events: Events) -> None:
    assert list(islice(faults(events), 10)) == []


def test_every_kind_of_event_fits_its_published_schema(records: list[Record]) -> None:
    samples: dict[str, list[Record]] = {}
    for record in records:
        found = samples.setdefault(dict(record.headers)["ce_type"], [])
        if len(found) < 50:
            found.append(record)
    for kind, some in samples.items():
        schema = jsonschema.Draft202012Validator(schema_of(EVENT_TYPES[kind]))
        for record in some:
            schema.validate(json.loads(record.value))


def test_there_is_no_text_in_it_but_what_the_platform_itself_says(records: list[Record], events: Events) -> None:
    assert {field for _, field, _ in texts(events)} == {"detail"}
    assert not [record for record in records if b"@" in record.value]


def test_it_has_everything_that_questions_are_asked_about(events: Events) -> None:
    facts = Counter(name(one) for _, one in events)
    assert facts.keys() >= ENDINGS.keys() | {
        "SessionMoved", "WaitlistJoined", "WaitlistOffered", "WaitlistEnded", "TimeOffAdded", "RoomRestarted",
        "RoomClosed", "EnrolmentEnded", "CreditExpired", "CreditForfeited", "InvoicePaid", "InvoiceOverdue",
        "InvoiceVoided", "MessageFailed", "MessagePosted", "PersonErased",
    }  # fmt: skip
    assert erased(events)
    share = facts["ProviderMissed"] / (facts["ProviderMissed"] + facts["SessionCompleted"] + facts["MemberNoShow"])
    assert 0.005 < share < 0.1
    # Fewer people come in summer than in spring.
    months = Counter(one.event.starts_at.month for _, one in events if name(one) == "SessionCompleted")
    assert months[7] + months[8] < 0.85 * (months[4] + months[5])

"""NOTE-3: what each message says must be so when it is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from makegood_notifications.domain.deliveries import CurrentState, no_longer_true
from makegood_notifications.domain.notices import Content, Details

from .conftest import START, told

LATER = START + timedelta(hours=1)
ANY: dict[str, Any] = {
    "session_id": "s",
    "room_id": "r",
    "member_id": "m",
    "provider_id": "p",
    "length_minutes": 30,
    "modality": "video",
}


@pytest.mark.rule("NOTE-3")
@pytest.mark.parametrize(
    ("template", "state", "expected"),
    [
        ("session-confirmed", CurrentState("confirmed", START, LATER), False),
        ("session-confirmed", CurrentState("confirmed", LATER, LATER), True),
        ("session-confirmed", CurrentState("confirmed", START, LATER, "v"), True),
        ("session-confirmed", CurrentState("reserved", START, LATER), False),
        ("session-confirmed", CurrentState("completed", START, LATER), True),
        ("session-confirmed", CurrentState(), False),
        ("session-extended", CurrentState("completed", START, LATER), False),
        ("session-extended", CurrentState("confirmed", START, START), True),
        ("provider-missed", CurrentState("provider_missed", START, LATER), False),
        ("provider-missed", CurrentState("completed", START, LATER), True),
        ("outcome-corrected", CurrentState("completed", START, LATER), False),
        ("outcome-corrected", CurrentState("cancelled", START, LATER), True),
        ("reminder", CurrentState(), True),
        ("reminder", CurrentState("confirmed", START, LATER), False),
        ("to-provider-confirm", CurrentState("confirmed", START, LATER), True),
        ("to-provider-outcome", CurrentState("confirmed", START, LATER), False),
        ("to-provider-outcome", CurrentState("completed", START, LATER), True),
        ("to-provider-outcome", CurrentState("provider_missed", START, LATER), True),
        ("waitlist-offered", CurrentState(offer_open=False), True),
        ("to-provider-changed", CurrentState(room_open=True), True),
        ("to-provider-changed", CurrentState(room_open=False), False),
        ("erasure-requested", CurrentState(erasure_pending=False), True),
        ("erasure-requested", CurrentState(erasure_pending=True), False),
        ("erasure-taken-back", CurrentState(erasure_pending=True), True),
        ("invoice-issued", CurrentState("cancelled", START, LATER), False),
    ],
    ids=str,
)
def test_each_template_has_its_truth(template: str, state: CurrentState, expected: bool) -> None:
    said = Content(**ANY, starts_at=START, ends_at=LATER, time_zone="UTC", details=Details(outcome="completed"))
    assert no_longer_true(told(template, said), state, START - timedelta(days=1)) is expected


AS_SAID: dict[str, Any] = {"starts_at": START, "ends_at": LATER, "venue_id": "v", "time_zone": "UTC"}
OTHERWISE: dict[str, Any] = {
    "starts_at": START - timedelta(hours=1), "ends_at": LATER + timedelta(minutes=15), "venue_id": "w",
}  # fmt: skip
SAY_WHEN_AND_WHERE = {  # and how the session stands that they tell of
    **dict.fromkeys(
        ["session-confirmed", "session-moved-by-member", "session-moved-by-provider", "session-zone-changed",
         "session-extended", "to-provider-moved", "to-provider-scheduled", "reminder", "to-provider-reminder",
         "reconfirm-asked", "to-provider-outcome"],
        "confirmed",
    ),
    "to-provider-confirm": "reserved",
}  # fmt: skip


@pytest.mark.rule("NOTE-3", "NOTE-1")
@pytest.mark.parametrize("template", SAY_WHEN_AND_WHERE)
@pytest.mark.parametrize("changed", [None, *OTHERWISE])
def test_whatever_is_said_of_time_and_place_must_be_so(template: str, changed: str | None) -> None:
    said = Content(**{**ANY, "modality": "in_person"}, **AS_SAID)
    now = CurrentState(SAY_WHEN_AND_WHERE[template], **AS_SAID)
    if changed is not None:
        now = replace(now, **{changed: OTHERWISE[changed]})
    assert no_longer_true(told(template, said), now, START - timedelta(days=1)) is (changed is not None)


@pytest.mark.rule("NOTE-3", "RESC-5")
@pytest.mark.parametrize(
    ("template", "details", "expected"),
    [
        ("session-zone-changed", None, True),
        ("to-provider-scheduled", Details(change="rezoned"), True),
        ("to-provider-scheduled", Details(change="confirmed"), False),
        ("session-confirmed", None, False),  # the times that it says are right, and it names the zone
    ],
)
def test_news_of_a_zone_that_was_changed_again_is_not_sent(
    template: str, details: Details | None, expected: bool
) -> None:
    said = Content(**ANY, **{**AS_SAID, "time_zone": "Asia/Tokyo"}, details=details)
    stands = CurrentState("confirmed", **AS_SAID)
    assert no_longer_true(told(template, said), stands, START - timedelta(days=1)) is expected


@pytest.mark.rule("NOTE-3", "RESC-1")
@pytest.mark.parametrize("template", ["session-moved-by-member", "to-provider-moved", "session-zone-changed"])
def test_that_the_provider_has_yet_to_confirm_is_not_said_once_they_have(template: str) -> None:
    said = Content(**ANY, **AS_SAID, tentative=True)
    for status, expected in (("reserved", False), ("confirmed", True)):
        assert (
            no_longer_true(told(template, said), CurrentState(status, **AS_SAID), START - timedelta(days=1)) is expected
        )

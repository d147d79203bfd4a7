"""Request and response bodies."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from makegood_calendar.hours import overlaps
from makegood_chassis.http.models import Day, Instant, RequestModel, View, Whole, example
from makegood_chassis.http.names import Name
from makegood_contracts.events import Modality, Specialty
from makegood_contracts.reasons import ReasonCode
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from makegood_availability.api.parameters import Zone
from makegood_availability.domain.waitlist import LONGEST_WAIT, WaitlistStatus
from makegood_availability.store.bodies import minutes_of

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
From = Annotated[str, Field(alias="from", pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["09:00"])]
To = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", examples=["17:00"])]

MOST_RANGES: Final = 14
"""Ranges of hours in one day."""


def _whole(value: Any) -> Any:
    """Without this, a choice of integers would also accept `15.0`."""
    if type(value) is not int:
        raise ValueError("Input should be a whole number")
    return value


SlotStep = Literal[5, 10, 15, 20, 30, 60]
Step = Annotated[SlotStep, BeforeValidator(_whole)]


def _once(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("must not repeat a value")
    return values


class HoursRange(RequestModel):
    """Hours of one day, in local time. `to` may be `24:00`; hours from `00:00` of the next day continue them."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)

    from_: From
    to: To

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if minutes_of(self.from_) >= minutes_of(self.to):
            raise ValueError(
                "`to` must be later than `from`. Split hours past midnight in two: the first range ends at 24:00"
            )
        return self

    @property
    def minutes(self) -> tuple[int, int]:
        return minutes_of(self.from_), minutes_of(self.to)


class WeekdayHours(HoursRange):
    """Hours of one weekday."""

    day: Weekday


class DateHours(RequestModel):
    """Hours of one date, in place of its weekday's. Without any, the date is closed."""

    date: Day
    hours: Annotated[list[HoursRange], Field(max_length=MOST_RANGES)]

    @model_validator(mode="after")
    def _apart(self) -> Self:
        _check_day(self.hours, f"on {self.date}")
        return self


class SessionType(RequestModel):
    """A length that the provider offers, and the modalities in which it can take place."""

    length_minutes: Annotated[Whole, Field(ge=5, le=480, examples=[45])]
    modalities: Annotated[list[Modality], Field(min_length=1, max_length=4), AfterValidator(_once)]


def _check_day(ranges: list[Any], when: str) -> None:
    if len(ranges) > MOST_RANGES:
        raise ValueError(f"more than {MOST_RANGES} ranges of hours {when}")
    if overlaps([each.minutes for each in ranges]):
        raise ValueError(f"hours overlap {when}")


def _check_week(weekly: list[WeekdayHours]) -> list[WeekdayHours]:
    for day in {hours.day for hours in weekly}:
        _check_day([hours for hours in weekly if hours.day == day], f"on {day}")
    return weekly


def _dates_once(exceptions: list[DateHours]) -> list[DateHours]:
    _once([exception.date for exception in exceptions])
    return exceptions


def _lengths_once(types: list[SessionType]) -> list[SessionType]:
    _once([kind.length_minutes for kind in types])
    return types


Weekly = Annotated[list[WeekdayHours], Field(max_length=7 * MOST_RANGES), AfterValidator(_check_week)]


SCHEDULE: Final[dict[str, Any]] = {
    "time_zone": "America/New_York",
    "weekly": [{"day": "monday", "from": "09:00", "to": "17:00"}],
    "exceptions": [{"date": "2026-12-24", "hours": [{"from": "09:00", "to": "12:00"}]}],
    "buffer_before_minutes": 0,
    "buffer_after_minutes": 15,
    "minimum_notice_minutes": 120,
    "horizon_days": 90,
    "slot_step_minutes": 15,
    "specialty": "therapy",
    "session_types": [{"length_minutes": 45, "modalities": ["video", "audio"]}],
}
VENUE: Final[dict[str, Any]] = {
    "name": "Room 4",
    "place": "Hauptstraße 5, 10115 Berlin",
    "time_zone": "Europe/Berlin",
    "weekly": [{"day": "friday", "from": "08:00", "to": "24:00"}],
}
TIME_OFF: Final[dict[str, Any]] = {
    "starts_at": "2026-12-24T11:00:00Z",
    "ends_at": "2026-12-26T23:00:00Z",
    "note": "Holidays",
}
WAITLIST: Final[dict[str, Any]] = {
    "from": "2026-11-24T08:00:00Z",
    "to": "2026-11-27T18:00:00Z",
    "length_minutes": 45,
    "modality": "video",
}
"""Examples of the OpenAPI document."""


class ScheduleBody(RequestModel):
    """A provider's schedule (AVAIL-1). It replaces the previous one; booked sessions stay as they are."""

    model_config = example(**SCHEDULE)

    time_zone: Annotated[Zone, Field(examples=["America/New_York"])]
    weekly: Weekly
    exceptions: Annotated[list[DateHours], Field(max_length=400), AfterValidator(_dates_once)] = Field(
        default_factory=list
    )
    buffer_before_minutes: Annotated[Whole, Field(ge=0, le=240)] = 0
    buffer_after_minutes: Annotated[Whole, Field(ge=0, le=240)] = 0
    minimum_notice_minutes: Annotated[Whole, Field(ge=0, le=43_200)] = 0
    horizon_days: Annotated[Whole, Field(ge=1, le=365)] = 365
    slot_step_minutes: Step = 15
    specialty: Specialty = "therapy"
    session_types: Annotated[list[SessionType], Field(min_length=1, max_length=20), AfterValidator(_lengths_once)]


class ScheduleView(ScheduleBody):
    """The current schedule. `version` rises with each change of it or of time off."""

    has_etag: ClassVar[bool] = True
    model_config = example(**SCHEDULE, provider_id="dr-lee", version=1)

    provider_id: str
    version: int


SessionsInside = Literal["keep", "cancel"]


class TimeOffBody(RequestModel):
    """Time that the provider takes off. Only the provider and support can read the note."""

    model_config = example(**TIME_OFF, sessions="keep")

    starts_at: Instant
    ends_at: Instant
    note: Annotated[str | None, Field(max_length=500)] = None
    sessions: Annotated[
        SessionsInside | None, Field(description="What to do with sessions in it that have not begun.")
    ] = None

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if self.starts_at >= self.ends_at:
            raise ValueError("`ends_at` must be later than `starts_at`")
        return self


class TimeOffView(View):
    """Time off of the provider."""

    model_config = example(id="019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11", **TIME_OFF)

    id: str
    starts_at: Instant
    ends_at: Instant
    note: str | None


class InsideView(View):
    """A session that lies in the time off."""

    session_id: str
    starts_at: Instant
    ends_at: Instant


class SlotView(View):
    """A slot that can be booked. `local_start` is in the requested time zone, by default the provider's."""

    model_config = example(
        starts_at="2026-11-24T09:00:00Z", ends_at="2026-11-24T09:30:00Z", local_start="2026-11-24T10:00"
    )

    starts_at: Instant
    ends_at: Instant
    local_start: Annotated[str, Field(examples=["2026-11-24T10:00"])]


AvailabilityMessage = Literal[
    "Slot available", "Provider is not available", "Venue is not available", "Member is not available"
]


class AvailabilityView(View):
    """Whether this session could take place (RESC-2)."""

    model_config = example(available=True, message="Slot available")

    available: bool
    message: AvailabilityMessage


class WaitlistBody(RequestModel):
    """A time that a member waits for: a session of this kind that starts at or after `from` and before `to` (AVAIL-6)."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True, **example(**WAITLIST)
    )

    from_: Annotated[Instant, Field(alias="from")]
    to: Instant
    length_minutes: Annotated[Whole, Field(ge=5, le=480, examples=[45])]
    modality: Modality

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if self.from_ >= self.to:
            raise ValueError("`to` must be later than `from`")
        if self.to - self.from_ > LONGEST_WAIT:
            raise ValueError(f"`to` may be at most {LONGEST_WAIT.days} days after `from`")
        return self


class OfferView(View):
    """A slot that is held for the member until `lapses_at`. To accept the offer, book the slot."""

    starts_at: Instant
    ends_at: Instant
    lapses_at: Instant
    venue_id: Annotated[str | None, Field(description="In person: the venue that is held with the slot.")] = None


class ObstacleRemedyView(View):
    """What helps, in the words of bookability."""

    action: str
    href: str | None = None


class ObstacleView(View):
    """Why the member could not book what opened, in the words of bookability."""

    code: ReasonCode
    detail: str
    remedy: ObstacleRemedyView


class WaitlistView(View):
    """An entry of the waitlist. `position`: its place in the provider's waitlist, 1 for the first; null once it is no longer open.

    `reasons`: why the member could not book a slot that opened. They keep their place.
    """

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        populate_by_name=True,
        serialize_by_alias=True,
        **example(
            id="019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11",
            room_id="019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a12",
            **WAITLIST,
            status="offered",
            position=1,
            offer={
                "starts_at": "2026-11-24T09:00:00Z",
                "ends_at": "2026-11-24T09:45:00Z",
                "lapses_at": "2026-11-23T12:00:00Z",
            },
        ),
    )

    id: str
    room_id: str
    from_: Annotated[Instant, Field(alias="from")]
    to: Instant
    length_minutes: int
    modality: Modality
    status: WaitlistStatus
    position: int | None
    offer: OfferView | None = None
    reasons: Annotated[list[ObstacleView], Field(default_factory=list)]


class VenueBody(RequestModel):
    """A place for sessions in person. Without hours it is always open."""

    model_config = example(**VENUE)

    name: Name
    place: Annotated[
        Name | None, Field(description="Where it is, in one line, such as a street and a town. It appears in messages.")
    ] = None
    time_zone: Annotated[Zone, Field(examples=["Europe/Berlin"])]
    weekly: Weekly | None = None


class VenueView(VenueBody):
    """A venue."""

    has_etag: ClassVar[bool] = True
    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={"examples": [{"id": "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11", **VENUE, "version": 1}]},
    )

    id: str
    name: str
    place: str | None = None
    version: int


class CheckInCodeView(View):
    """The code that the venue shows."""

    has_etag: ClassVar[bool] = True
    model_config = example(venue_id="019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11", code="7K3M-9QXT")

    venue_id: str
    code: Annotated[str, Field(description="Case, spaces and hyphens make no difference.")]

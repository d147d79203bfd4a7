"""Request and answer models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from makegood_chassis.http.models import Flag, Instant, RequestModel, View, Whole, example
from makegood_contracts.events import Actor, Modality
from pydantic import Field

from makegood_booking.api.moving_models import MoveView, VenueId
from makegood_booking.api.reason_models import ActionView, ReasonView
from makegood_booking.domain.actions import Reader, actions
from makegood_booking.domain.bookability import MemberContext
from makegood_booking.domain.policy import Policy
from makegood_booking.domain.presence import AbsentParty
from makegood_booking.domain.remedies import RemedyContext
from makegood_booking.domain.rooms import Room, RoomStatus
from makegood_booking.domain.session import CreditState, Session, Status
from makegood_booking.domain.time import local_text

PersonId = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:@-]+$", description="`sub` of the person's token.")
]
LocalTime = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d$", examples=["2026-11-24T10:00"])]

SESSION_ID: Final = "019ab0c7-51f2-7c11-8a3e-52d9a0c6e7b4"
ROOM_ID: Final = "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11"
POLICY: Final[dict[str, Any]] = {
    "id": "default",
    "version": 1,
    "notice_hours": 24,
    "confirm_hours": 24,
    "join_minutes": 10,
    "grace_minutes": 15,
    "no_show_minutes": 15,
    "cooling_off_minutes": 15,
    "together_minutes": 5,
    "inactivity_days": 25,
    "offer_minutes": 120,
}
MORE_OF_POLICY: Final[dict[str, Any]] = {
    "confirm_short_hours": 2,
    "short_notice_hours": 26,
    "reconfirm_hours": 48,
    "reminder_hours": [24, 1],
    "answer_hours": 24,
    "hold_minutes": 15,
    "decide_minutes": 5,
    "horizon_days": 366,
    "shortest_minutes": 5,
    "longest_minutes": 480,
    "adjustment_limit": 10,
    "co_pay_due_days": 14,
    "invoice_limit_minor": 100_000,
    "free_change_days": 30,
}
POLICY_TEXT: Final = "Cancel at least 24 hours before the start to keep the credit."
SESSION: Final[dict[str, Any]] = {
    "id": SESSION_ID,
    "room_id": ROOM_ID,
    "member_id": "anna",
    "provider_id": "dr-lee",
    "status": "reserved",
    "starts_at": "2026-11-24T09:00:00Z",
    "ends_at": "2026-11-24T09:30:00Z",
    "length_minutes": 30,
    "modality": "video",
    "time_zone": "Europe/Berlin",
    "local_start": "2026-11-24T10:00",
    "venue_id": None,
    "confirm_by": "2026-11-23T18:00:00Z",
    "policy": POLICY,
    "credit": {"state": "held"},
    "reason": None,
    "absent_party": None,
    "move": None,
    "version": 2,
    "reasons": [],
    "actions": [
        {
            "action": "cancel",
            "allowed": True,
            "from": None,
            "until": "2026-11-23T09:00:00Z",
            "costs": None,
            "reason": None,
        },
        {
            "action": "join",
            "allowed": False,
            "from": "2026-11-24T08:50:00Z",
            "until": None,
            "costs": None,
            "reason": "not-confirmed",
        },
    ],
}
"""Examples of the OpenAPI document."""


class Nothing(RequestModel):
    """A body without fields; it may be left out."""

    model_config = example()


class RoomRequest(RequestModel):
    """Who share the room."""

    model_config = example(member_id="anna", provider_id="dr-lee")

    member_id: PersonId
    provider_id: PersonId


class BookRequest(RequestModel):
    """A session that a member wants (BOOK-1)."""

    model_config = example(
        room_id=ROOM_ID,
        starts_at="2026-11-24T10:00:00+01:00",
        length_minutes=30,
        modality="video",
        time_zone="Europe/Berlin",
    )

    room_id: Annotated[str, Field(min_length=1, max_length=128)]
    starts_at: Annotated[Instant, Field(description="An instant in the future, with any offset.")]
    length_minutes: Annotated[Whole, Field(ge=5, le=480)]
    modality: Modality
    time_zone: Annotated[
        str, Field(min_length=1, max_length=64, description="IANA time zone in which the session is always shown.")
    ]
    venue_id: Annotated[
        VenueId | None,
        Field(description="With `in_person`, and only then."),
    ] = None


class JoinRequest(RequestModel):
    """How a party checks in to a session in person (JOIN-3); empty for any other session."""

    model_config = example(venue_code="7K3M-9QXT")

    venue_code: Annotated[str | None, Field(min_length=1, max_length=32, description="As the venue shows it.")] = None
    both: Annotated[Flag, Field(description="By the provider: the member is there, too. Needs no code.")] = False


class PolicyTerms(View):
    """The numbers of a policy."""

    model_config = example(**POLICY)

    id: str
    version: int
    notice_hours: int
    confirm_hours: int
    join_minutes: int
    grace_minutes: int
    no_show_minutes: int
    cooling_off_minutes: int
    together_minutes: int
    inactivity_days: int
    offer_minutes: int


class PolicyView(PolicyTerms):
    """A policy with its text, which can be read before booking (BOOK-3)."""

    has_etag = True
    model_config = example(**POLICY, **MORE_OF_POLICY, text=POLICY_TEXT)

    confirm_short_hours: int
    short_notice_hours: int
    reconfirm_hours: int
    reminder_hours: tuple[int, ...]
    answer_hours: Annotated[
        int, Field(description="So long after its end the provider is waited for to say how a session in person went.")
    ]
    hold_minutes: int
    decide_minutes: int
    horizon_days: int
    shortest_minutes: int
    longest_minutes: int
    adjustment_limit: Annotated[
        int, Field(description="Credits that one person of support adjusts within a day; more needs a second person.")
    ]
    co_pay_due_days: Annotated[int, Field(description="A co-pay is due so many days after its session.")]
    invoice_limit_minor: Annotated[
        int,
        Field(description="What the invoices of a session's extensions come to at most, in the currency's minor unit."),
    ]
    free_change_days: Annotated[
        int, Field(description="Once within so many days a change of provider frees sessions within the notice, too.")
    ]
    text: str

    @classmethod
    def of(cls, policy: Policy) -> PolicyView:
        return cls.model_validate(policy)


class SessionPolicyView(View):
    """What cancelling means for this session now, for its member (CANC-1)."""

    model_config = example(
        cancellable=True,
        free_until="2026-11-23T09:00:00Z",
        forfeits_now=False,
        notice_hours=24,
        text=POLICY_TEXT,
    )

    cancellable: bool
    free_until: Annotated[Instant, Field(description="Until then the member cancels without loss.")]
    forfeits_now: Annotated[bool, Field(description="Whether the member who cancels now loses the credit.")]
    notice_hours: int
    text: str


class CreditView(View):
    state: CreditState


class SessionView(View):
    """A session."""

    has_etag = True
    model_config = example(**SESSION)

    id: str
    room_id: str
    member_id: str
    provider_id: str
    status: Status
    starts_at: Instant
    ends_at: Instant
    length_minutes: int
    modality: Modality
    time_zone: str
    local_start: Annotated[LocalTime, Field(description="The start in `time_zone`, wherever the reader is (BOOK-2).")]
    venue_id: str | None
    confirm_by: Annotated[Instant | None, Field(description="Until when the provider confirms (CONF-2).")]
    policy: PolicyTerms
    credit: CreditView
    reason: Annotated[str | None, Field(description="Of a rejected session: the first reason's code.")]
    absent_party: AbsentParty | None
    move: Annotated[
        MoveView | None, Field(description="Another time that is being decided, or was refused last (RESC-1, EXT-1).")
    ]
    version: int
    reasons: Annotated[
        list[ReasonView], Field(description="Of a rejected session: every reason, as bookability words them (BOOK-8).")
    ]
    actions: Annotated[
        list[ActionView],
        Field(description="What the reader may do now, and when or why not (BOOK-10). It changes as time passes, too."),
    ]

    @classmethod
    def of(
        cls,
        session: Session,
        reader: Reader,
        now: datetime,
        at: RemedyContext | None = None,
        context: MemberContext | None = None,
    ) -> SessionView:
        """As the reader sees it now. `at`: what the remedies of a rejected session depend on; `known`: whether a missed one can
        be rebooked."""
        booked = session.booked
        return cls.model_construct(
            id=booked.session_id,
            room_id=booked.room_id,
            member_id=booked.member_id,
            provider_id=booked.provider_id,
            status=session.status,
            starts_at=booked.starts_at,
            ends_at=booked.ends_at,
            length_minutes=booked.length_minutes,
            modality=booked.modality,
            time_zone=booked.time_zone,
            local_start=local_text(booked.starts_at, booked.time_zone),
            venue_id=booked.venue_id,
            confirm_by=session.confirm_by,
            policy=_terms(booked.policy),
            credit=_CREDIT[session.credit],
            reason=session.reasons[0].code if session.reasons else None,
            absent_party=session.absent_party,
            move=MoveView.of(session),
            version=session.version,
            reasons=[ReasonView.of(reason, at or about(session)) for reason in session.reasons],
            actions=[ActionView.of(action) for action in actions(session, reader, now, context)],
        )


def about(session: Session, purchasable: bool | None = None) -> RemedyContext:
    """Whom a refusal of this session's time is about; `purchasable`: as credits answered."""
    booked = session.booked
    can = session.purchasable if purchasable is None else purchasable
    return RemedyContext(booked.room_id, booked.member_id, booked.provider_id, purchasable=bool(can))


class JoinView(View):
    """Where the party's media client connects. What stands after `#` lets its bearer in as this party: keep it private."""

    has_etag = True
    model_config = example(
        join_url=f"http://127.0.0.1:8080/join/{SESSION_ID}#eyJhbGciOiJIUzI1NiJ9.e30.c2ln", session=SESSION
    )

    join_url: Annotated[str | None, Field(description="None for a session in person.")]
    session: SessionView


class HistoryItem(View):
    """Something that happened to the session."""

    model_config = example(at="2026-11-23T10:12:00Z", type="SessionConfirmed", by="provider", detail=None)

    at: Instant
    type: Annotated[str, Field(examples=["SessionConfirmed"])]
    by: Actor
    detail: str | None


class RoomView(View):
    """A room."""

    has_etag = True
    model_config = example(
        id=ROOM_ID,
        member_id="anna",
        provider_id="dr-lee",
        status="active",
        created_at="2026-11-20T08:00:00Z",
        last_activity_at="2026-11-23T09:00:00Z",
        version=1,
    )

    id: str
    member_id: str
    provider_id: str
    status: RoomStatus
    created_at: Instant
    last_activity_at: Annotated[Instant, Field(description="When the member was last active here, to the minute.")]
    version: int

    @classmethod
    def of(cls, room: Room) -> RoomView:
        return cls.model_validate(room)


_CREDIT: dict[str, CreditView] = {
    state: CreditView(state=state) for state in ("none", "held", "spent", "returned", "forfeited")
}
_TERMS: dict[tuple[str, int], PolicyTerms] = {}


def _terms(policy: Policy) -> PolicyTerms:
    found = _TERMS.get((policy.id, policy.version))
    if found is None:
        found = _TERMS[policy.id, policy.version] = PolicyTerms.model_validate(policy)
    return found

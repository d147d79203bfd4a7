"""Request and response bodies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, get_args

import msgspec
from makegood_chassis.http.answers import json_bytes
from makegood_chassis.http.models import Flag, Instant, RequestModel, View, Whole, example
from makegood_chassis.http.structs import struct_of
from makegood_contracts.events import Actor, Modality
from msgspec.structs import replace
from pydantic import Field

from makegood_booking.api.moving_models import MoveView, VenueId
from makegood_booking.api.reason_models import ROOM_ID, ActionView, ReasonView
from makegood_booking.domain.actions import Reader, actions
from makegood_booking.domain.attendance import as_of
from makegood_booking.domain.bookability import MemberContext
from makegood_booking.domain.booking import BookingRequest, request_session
from makegood_booking.domain.cancelling import cancellable, forfeits_now, free_until
from makegood_booking.domain.policy import STANDARD, Policy
from makegood_booking.domain.presence import AbsentParty
from makegood_booking.domain.remedies import RemedyContext
from makegood_booking.domain.rooms import Room, RoomStatus
from makegood_booking.domain.session import CreditState, Session, SessionStatus
from makegood_booking.domain.time import local_text

PersonId = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:@-]+$", description="The `sub` of the person's token."),
]
LocalTime = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d$", examples=["2026-11-24T10:00"])]

SESSION_ID: Final = "019ab0c7-51f2-7c11-8a3e-52d9a0c6e7b4"


def _show(model: type[View], view: View) -> dict[str, Any]:
    """Makes a view the example of its model in the OpenAPI document."""
    values: dict[str, Any] = msgspec.json.decode(json_bytes(view))
    model.model_config.update(example(**values))
    return values


class Nothing(RequestModel):
    """An empty body. It can be left out."""

    model_config = example()


class RoomRequest(RequestModel):
    """The two people who share the room."""

    model_config = example(member_id="anna", provider_id="dr-lee")

    member_id: PersonId
    provider_id: PersonId


class BookRequest(RequestModel):
    """The session to book."""

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
        str, Field(min_length=1, max_length=64, description="The IANA time zone in which the session is always shown.")
    ]
    venue_id: Annotated[VenueId | None, Field(description="Required for `in_person`. Not allowed otherwise.")] = None


class JoinRequest(RequestModel):
    """How to check in to an in-person session. Leave it empty for other sessions."""

    model_config = example(venue_code="7K3M-9QXT")

    venue_code: Annotated[
        str | None, Field(min_length=1, max_length=32, description="The code shown at the venue.")
    ] = None
    both: Annotated[
        Flag, Field(description="Check in the member as well. Only the provider can. It needs no code.")
    ] = False


class PolicyTerms(View):
    """The numbers of a policy that matter to the parties of a session."""

    id: str
    version: int
    notice_hours: int = Field(description="How long before the start members can still cancel or move without loss.")
    confirm_hours: int = Field(description="How long before the start the provider must have confirmed.")
    join_minutes: int = Field(description="How long before the start joining opens.")
    grace_minutes: int = Field(description="How long after the start an absent provider has missed the session.")
    no_show_minutes: int = Field(description="How long after the start an absent member is a no-show.")
    cooling_off_minutes: int = Field(description="How long after booking members can cancel without loss in any case.")
    together_minutes: int = Field(description="How long both must meet if the provider leaves first.")
    inactivity_days: int = Field(description="How long members can be inactive before they must restart therapy.")
    offer_minutes: int = Field(description="How long an offer from the waitlist is held.")


class PolicyView(PolicyTerms):
    """A policy and its text, which members can read before they book."""

    has_etag = True

    confirm_short_hours: int = Field(description="How long the provider has to confirm a booking at short notice.")
    short_notice_hours: int = Field(description="With less notice than this, a booking is at short notice.")
    reconfirm_hours: int = Field(description="How long before the start the provider is asked to reconfirm.")
    reminder_hours: tuple[int, ...] = Field(description="How long before the start both parties are reminded.")
    answer_hours: int = Field(description="How long after an in-person session its provider can report how it went.")
    hold_minutes: int = Field(description="How long after the request a slot or credit is held without a decision.")
    decide_minutes: int = Field(description="How long after the request an undecided booking is rejected.")
    horizon_days: int = Field(description="How far ahead sessions can be booked.")
    shortest_minutes: int = Field(description="The length of the shortest session.")
    longest_minutes: int = Field(description="The length of the longest session.")
    adjustment_limit: int = Field(description="How many credits a support agent can adjust alone in a day.")
    co_pay_due_days: int = Field(description="How long after its session a co-pay is due.")
    invoice_limit_minor: int = Field(
        description="The most that the invoices for extending a session can add up to, in the currency's minor unit."
    )
    free_change_days: int = Field(
        description="How long after a free change of provider another one, with sessions within the notice period, is not free."
    )
    text: str

    @classmethod
    def of(cls, policy: Policy) -> PolicyView:
        return cls.model_validate(policy)


class SessionPolicyView(View):
    """What it would mean for the member to cancel this session now."""

    cancellable: bool
    free_until: Annotated[Instant, Field(description="The member can cancel without loss until this time.")]
    forfeits_now: Annotated[bool, Field(description="Whether the member would lose the credit by cancelling now.")]
    notice_hours: int
    text: str

    @classmethod
    def of(cls, session: Session, now: datetime) -> SessionPolicyView:
        """BOOK-3, CANC-1."""
        session, policy = as_of(session, now)[0], session.policy
        return cls(
            cancellable=cancellable(session, now),
            free_until=free_until(session, now),
            forfeits_now=forfeits_now(session, now),
            notice_hours=policy.notice_hours,
            text=policy.text,
        )


class CreditView(View):
    state: CreditState


class SessionView(View):
    """A session."""

    has_etag = True

    id: str
    room_id: str
    member_id: str
    provider_id: str
    status: SessionStatus
    starts_at: Instant
    ends_at: Instant
    length_minutes: int
    modality: Modality
    time_zone: str
    local_start: Annotated[LocalTime, Field(description="The start in `time_zone`, wherever the reader is.")]
    venue_id: str | None
    confirm_by: Annotated[Instant | None, Field(description="The provider can confirm until this time.")]
    policy: PolicyTerms
    credit: CreditView
    reason: Annotated[str | None, Field(description="If the session was rejected: the code of the first reason.")]
    absent_party: AbsentParty | None
    move: Annotated[
        MoveView | None, Field(description="A change of time that is being decided, or the last one that was refused.")
    ]
    version: int
    reasons: Annotated[
        list[ReasonView], Field(description="If the session was rejected: all reasons, in the words of bookability.")
    ]
    actions: Annotated[
        list[ActionView],
        Field(
            description="What you may do with the session now and, for the rest, when or why not. It also changes as time passes."
        ),
    ]

    @classmethod
    def of(
        cls,
        session: Session,
        reader: Reader,
        now: datetime,
        remedies: RemedyContext | None = None,
        context: MemberContext | None = None,
    ) -> SessionView:
        """The view that the reader sees now. `remedies`: what the remedies of a rejected session depend on. `context`:
        whether a missed session can be rebooked.
        """
        booked, reasons = session.booked, session.reasons
        return _Session(
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
            reason=reasons[0].code if reasons else None,
            absent_party=session.absent_party,
            move=MoveView.of(session),
            version=session.version,
            reasons=[ReasonView.of(reason, remedies or remedy_context(session)) for reason in reasons],
            actions=actions(session, reader, now, context),
        )


def remedy_context(session: Session, purchasable: bool | None = None) -> RemedyContext:
    """What the remedies of a refusal of this session depend on. `purchasable`: as credits answered."""
    booked = session.booked
    can_buy = session.purchasable if purchasable is None else purchasable
    return RemedyContext(booked.room_id, booked.member_id, booked.provider_id, purchasable=bool(can_buy))


class JoinView(View):
    """Where to connect. The part of the link after `#` lets anyone who has it in as this party. Keep it private."""

    has_etag = True

    join_url: Annotated[str | None, Field(description="Null for an in-person session.")]
    session: SessionView

    @classmethod
    def of(cls, join_url: str | None, session: Session, reader: Reader, now: datetime) -> JoinView:
        return _Join(join_url=join_url, session=SessionView.of(session, reader, now))


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

    id: str
    member_id: str
    provider_id: str
    status: RoomStatus
    created_at: Instant
    last_activity_at: Annotated[
        Instant, Field(description="When the member was last active in this room, to the minute.")
    ]
    version: int

    @classmethod
    def of(cls, room: Room) -> RoomView:
        return _Room(
            id=room.id,
            member_id=room.member_id,
            provider_id=room.provider_id,
            status=room.status,
            created_at=room.created_at,
            last_activity_at=room.last_activity_at,
            version=room.version,
        )


_Room: Final = struct_of(RoomView)
_Session: Final = struct_of(SessionView)
_Join: Final = struct_of(JoinView)
_CREDIT: dict[str, msgspec.Raw] = {
    state: msgspec.Raw(json_bytes(CreditView(state=state))) for state in get_args(CreditState)
}
_TERMS: dict[tuple[str, int], msgspec.Raw] = {}


def _terms(policy: Policy) -> Any:
    """The terms as JSON; a version of a policy never changes."""
    found = _TERMS.get((policy.id, policy.version))
    if found is None:
        terms = json_bytes(PolicyTerms.model_validate(policy))
        found = _TERMS[policy.id, policy.version] = msgspec.Raw(terms)
    return found


_NOW: Final = datetime(2026, 11, 20, 8, tzinfo=UTC)
_ROOM: Final = Room(ROOM_ID, "anna", "dr-lee", "active", _NOW - timedelta(days=3), _NOW - timedelta(minutes=20), 1)
_START: Final = datetime(2026, 11, 24, 9, tzinfo=UTC)
_BOOKED: Final = request_session(
    SESSION_ID,
    BookingRequest(ROOM_ID, _START, 30, "video", "Europe/Berlin", None),
    _ROOM,
    "member",
    STANDARD,
    _NOW,
).session
_RESERVED: Final = replace(
    _BOOKED,
    status="reserved",
    version=2,
    slot="held",
    funding="credit",
    credit="held",
    confirm_by=STANDARD.confirm_by(_START, _NOW),
)
# Examples of the OpenAPI document: what the code makes of a session under the standard policy.
STANDARD_POLICY: Final = _show(PolicyView, PolicyView.of(STANDARD))
SESSION: Final = _show(SessionView, SessionView.of(_RESERVED, "member", _NOW))
_show(PolicyTerms, PolicyTerms.model_validate(STANDARD))
_show(SessionPolicyView, SessionPolicyView.of(_RESERVED, _NOW))
_show(RoomView, RoomView.of(_ROOM))
_show(
    JoinView,
    JoinView.of(
        f"http://127.0.0.1:8080/join/{SESSION_ID}#eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
        replace(_RESERVED, status="confirmed", version=3),
        "member",
        _START,
    ),
)

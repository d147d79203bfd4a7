"""Request and response bodies of moves and extensions."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal

from makegood_chassis.http.models import Day, Flag, Instant, RequestModel, View, Whole, example, within
from makegood_chassis.http.structs import struct_of
from makegood_contracts.currencies import checked_currency
from makegood_contracts.ids import is_id
from pydantic import AfterValidator, Field

from makegood_booking.domain.session import Session


def checked_id(text: str) -> str:
    """An id in its canonical form."""
    if not is_id(text):
        raise ValueError("is not a valid id")
    return text.lower()


_LAST_DAY: Final = date(2199, 12, 31)
"""The same limit as for the last day of coverage."""

DueDay = Annotated[Day, within(date.min, _LAST_DAY), Field(description=f"{_LAST_DAY} at the latest.")]
VenueId = Annotated[str, Field(max_length=128), AfterValidator(checked_id)]


class RescheduleRequest(RequestModel):
    """The new time, length or venue. What you leave out stays as it is."""

    model_config = example(starts_at="2026-11-25T10:00:00+01:00", accept_forfeit=False)

    starts_at: Annotated[Instant, Field(description="An instant in the future, with any offset.")]
    length_minutes: Annotated[
        Annotated[Whole, Field(ge=5, le=480)] | None, Field(description="A length that the plan includes.")
    ] = None
    venue_id: Annotated[VenueId | None, Field(description="Another venue. Only for in-person sessions.")] = None
    time_zone: Annotated[
        Annotated[str, Field(min_length=1, max_length=64)] | None,
        Field(description="The IANA time zone in which the session is shown from now on."),
    ] = None
    accept_forfeit: Annotated[
        Flag, Field(description="The member accepts that a late move forfeits the credit and costs another one.")
    ] = False
    notify_member: Annotated[
        Flag,
        Field(
            description="Whether to e-mail the member about the move. Changing only the time zone always updates the invitation."
        ),
    ] = True


class InvoiceRequest(RequestModel):
    """What the extension costs the member."""

    model_config = example(amount_minor=2500, currency="USD", due_on="2026-12-24")

    amount_minor: Annotated[
        Whole, Field(ge=1, le=100_000_000, description="In the currency's minor unit, such as cents.")
    ]
    currency: Annotated[
        str,
        Field(min_length=3, max_length=3, description="An ISO 4217 code that the platform accepts."),
        AfterValidator(checked_currency),
    ]
    due_on: DueDay


class ExtendRequest(RequestModel):
    """The new end of the session."""

    model_config = example(
        ends_at="2026-11-24T10:45:00+01:00", invoice={"amount_minor": 2500, "currency": "USD", "due_on": "2026-12-24"}
    )

    ends_at: Annotated[Instant, Field(description="Later than the current end, and whole minutes after the start.")]
    invoice: InvoiceRequest | None = None


MoveState = Literal["pending", "refused"]


class MoveView(View):
    """A move or extension that is being decided, or the last one that was refused."""

    model_config = example(
        starts_at="2026-11-25T09:00:00Z",
        ends_at="2026-11-25T09:30:00Z",
        length_minutes=30,
        venue_id=None,
        state="pending",
        reason=None,
    )

    starts_at: Instant
    ends_at: Instant
    length_minutes: int
    venue_id: str | None
    state: MoveState
    reason: Annotated[str | None, Field(description="If it was refused: the code of the first reason.")]

    @classmethod
    def of(cls, session: Session) -> MoveView | None:
        move = session.move
        if move is None:
            return None
        return _Move(
            starts_at=move.starts_at,
            ends_at=move.ends_at,
            length_minutes=move.length_minutes,
            venue_id=move.venue_id,
            state="pending" if move.pending else "refused",
            reason=move.reasons[0].code if move.reasons else None,
        )


_Move: Final = struct_of(MoveView)

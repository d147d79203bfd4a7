"""Booking on a real PostgreSQL, and what availability and credits answer it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import httpx
from makegood_booking.dependencies import Dependencies
from makegood_contracts.events import (
    CreditCorrected,
    CreditForfeited,
    CreditHeld,
    CreditRefused,
    CreditReturned,
    CreditSpent,
    Event,
    InvoiceVoided,
    MoveCreditHeld,
    MoveCreditRefused,
    SchedulePublished,
    SessionType,
    SettleCause,
    SlotHeld,
    SlotMoved,
    SlotMoveRefused,
    SlotRefused,
    SlotReleased,
    WeeklyHours,
)
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.ids import new_id
from makegood_contracts.reasons import Reason
from makegood_testkit.service import ServiceHarness

from .examples import NOW, START

Json = dict[str, Any]


class Answers:
    """The events with which availability and credits answer."""

    @staticmethod
    def slot_held(session: Json) -> SlotHeld:
        return SlotHeld(**_slot(session), hold_until=NOW + timedelta(minutes=15))

    @staticmethod
    def slot_refused(session: Json, *codes: str) -> SlotRefused:
        return SlotRefused(**_slot(session), reasons=_reasons(codes or ("slot-taken",)))

    @staticmethod
    def slot_lapsed(session: Json, cause: Any = "lapsed") -> SlotReleased:
        return SlotReleased(**_slot(session), cause=cause, reopened=True)

    @staticmethod
    def credit_held(session: Json, *, co_pay: bool = False) -> CreditHeld:
        return CreditHeld(
            session_id=session["id"],
            member_id=session["member_id"],
            hold_id=new_id(),
            funding="co_pay" if co_pay else "credit",
            plan_id="plan",
            available_after=3,
            hold_until=NOW + timedelta(minutes=15),
        )

    @staticmethod
    def credit_refused(session: Json, *codes: str, purchasable: bool = False) -> CreditRefused:
        return CreditRefused(
            session_id=session["id"],
            member_id=session["member_id"],
            reasons=_reasons(codes or ("no-session-credits",)),
            purchasable=purchasable,
        )

    @staticmethod
    def credit_returned(session: Json, cause: SettleCause) -> CreditReturned:
        return CreditReturned(**_movement(session), cause=cause, source="plan", expires_at=None)

    @staticmethod
    def credit_forfeited(session: Json, cause: SettleCause) -> CreditForfeited:
        return CreditForfeited(**_movement(session), cause=cause)

    @staticmethod
    def co_pay_void(session: Json, cause: SettleCause = "lapsed") -> InvoiceVoided:
        return InvoiceVoided(
            invoice_id=new_id(),
            member_id=session["member_id"],
            session_id=session["id"],
            amount_minor=2500,
            currency="USD",
            cause=cause,
        )

    @staticmethod
    def move_held(session: Json, move_id: str, how: Any = "kept", funding: Any = "credit") -> MoveCreditHeld:
        return MoveCreditHeld(
            session_id=session["id"],
            member_id=session["member_id"],
            move_id=move_id,
            hold_id=new_id(),
            how=how,
            funding=funding,
        )

    @staticmethod
    def move_unpaid(session: Json, move_id: str, *, purchasable: bool = False) -> MoveCreditRefused:
        return MoveCreditRefused(
            session_id=session["id"],
            member_id=session["member_id"],
            move_id=move_id,
            reasons=_reasons(["no-session-credits"]),
            purchasable=purchasable,
        )

    @staticmethod
    def slot_moved(session: Json, move_id: str, starts_at: datetime, ends_at: datetime) -> SlotMoved:
        return SlotMoved(
            **{**_slot(session), "starts_at": starts_at, "ends_at": ends_at},
            move_id=move_id,
            old_starts_at=datetime.fromisoformat(session["starts_at"]),
            old_ends_at=datetime.fromisoformat(session["ends_at"]),
            blocked_from=starts_at,
            blocked_until=ends_at,
        )

    @staticmethod
    def slot_stays(session: Json, move_id: str, *codes: str) -> SlotMoveRefused:
        return SlotMoveRefused(**_slot(session), move_id=move_id, reasons=_reasons(codes or ("slot-taken",)))

    @staticmethod
    def credit_corrected(session: Json, state: Any) -> CreditCorrected:
        return CreditCorrected(**_movement(session), state=state, source="plan", expires_at=None)

    @staticmethod
    def credit_spent(session: Json) -> CreditSpent:
        return CreditSpent(**_movement(session))


def _slot(session: Json) -> Json:
    return {
        "session_id": session["id"],
        "provider_id": session["provider_id"],
        "member_id": session["member_id"],
        "starts_at": datetime.fromisoformat(session["starts_at"]),
        "ends_at": datetime.fromisoformat(session["ends_at"]),
    }


def _movement(session: Json) -> Json:
    return {
        "entry_id": new_id(),
        "member_id": session["member_id"],
        "lot_id": new_id(),
        "amount": 1,
        "available_after": 4,
        "held_after": 0,
        "session_id": session["id"],
        "hold_id": new_id(),
    }


def _reasons(codes: Sequence[str]) -> list[Reason]:
    return [Reason(code=cast("Any", code), detail=f"Because of {code}.") for code in codes]


def first_schedule(provider: str) -> SchedulePublished:
    """Round the clock, of version 0."""
    return SchedulePublished(
        provider_id=provider,
        schedule_version=0,
        time_zone="UTC",
        specialty="therapy",
        session_types=[SessionType(length_minutes=30, modalities=["video"])],
        minimum_notice_minutes=0,
        horizon_days=365,
        weekly=tuple(WeeklyHours(weekday=day, start=0, until=1440) for day in range(7)),
    )


class BookingHarness(ServiceHarness[Dependencies]):
    """Booking, with a member, a provider and somebody of support."""

    async def moment_of(self, events: Sequence[Event]) -> datetime:
        """What lapsed is told once it can have."""
        lapsed = any(getattr(event, "cause", None) == "lapsed" for event in events)
        return max(self.clock.moment, NOW + timedelta(minutes=15)) if lapsed else self.clock.moment

    @property
    def member(self) -> httpx.AsyncClient:
        return self.client("member", "anna")

    @property
    def provider(self) -> httpx.AsyncClient:
        return self.client("provider", "dr-lee")

    @property
    def support(self) -> httpx.AsyncClient:
        return self.client("support", "sam")

    async def works(self, provider: str) -> None:
        """The provider has a schedule. What a test publishes itself, from version 1 on, takes its place."""
        await self.handle(first_schedule(provider))

    async def room(self, member: str = "anna", provider: str = "dr-lee") -> str:
        await self.works(provider)
        answer = await self.support.post("/v1/rooms", json={"member_id": member, "provider_id": provider})
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def booking_body(self, room_id: str, starts_at: datetime = START, **other: Any) -> Json:
        values = {
            "room_id": room_id,
            "starts_at": starts_at.isoformat(),
            "length_minutes": 30,
            "modality": "video",
            "time_zone": "Europe/Berlin",
            **other,
        }
        return {name: value for name, value in values.items() if value is not None}

    async def ask(self, starts_at: datetime = START, **other: Any) -> Json:
        """A session that was asked for; nobody has answered."""
        answer = await self.member.post(
            "/v1/sessions",
            json=self.booking_body(await self.room(), starts_at, **other),
            headers={"Idempotency-Key": new_id()},
        )
        assert answer.status_code == 202, answer.text
        found: Json = answer.json()
        return found

    async def reserved(self, starts_at: datetime = START, **other: Any) -> Json:
        session = await self.ask(starts_at, **other)
        await self.handle(Answers.slot_held(session))
        await self.handle(Answers.credit_held(session))
        return await self.read(session)

    async def confirmed(self, starts_at: datetime = START, **other: Any) -> Json:
        session = await self.reserved(starts_at, **other)
        answer = await self.provider.post(f"/v1/sessions/{session['id']}/confirm")
        assert answer.status_code == 200, answer.text
        await self.outbox()
        return plain(answer.json())

    async def read(self, session: Json) -> Json:
        """As support sees it, save what its reader may do (BOOK-10)."""
        answer = await self.support.get(f"/v1/sessions/{session['id']}")
        assert answer.status_code == 200, answer.text
        return plain(answer.json())

    async def session_of(self, kind: type[SessionFact]) -> Json:
        """The session of the first event of this type, once it is in the outbox."""
        return await self.read({"id": (await self.wait_for(kind)).session_id})


def plain(session: Json) -> Json:
    """A session without what depends on its reader (BOOK-10)."""
    return {name: value for name, value in session.items() if name != "actions"}

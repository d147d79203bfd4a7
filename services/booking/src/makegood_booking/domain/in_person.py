"""Sessions in person: checking in at the venue, and reporting afterwards how it went (JOIN-3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from makegood_contracts.check_in import is_code
from makegood_contracts.events import Party, SessionOutcome

from makegood_booking.domain.attendance import (
    OVER_ALREADY,
    Absent,
    after,
    as_of,
    completed,
    entry_refused,
    join,
    no_show,
    provider_missed,
)
from makegood_booking.domain.booking import InvalidField
from makegood_booking.domain.session import DONE, Refusal, Session, Transition, was_present

_NOT_ASKED: Final = Refusal("outcome-not-asked")
_CHECKED_IN: Final = Refusal("no-show-not-possible", "The member checked in.")
_NO_CODE: Final = "The venue does not show a code yet. The provider can check in both parties."


@dataclass(frozen=True, slots=True)
class CheckIn:
    """How a check-in is proved: by the code that the venue shows, or by the provider for both parties."""

    code: str | None = None
    both: bool = False


def check_in(
    session: Session, party: Party, asked: CheckIn, digest: str | None, now: datetime
) -> Transition | Refusal | InvalidField:
    """JOIN-3: checks in like joining (JOIN-1), with the code of the venue. Booking knows only the code's `digest`.

    The provider can check in both parties without the code. A party who was not there can dispute that (MISS-5).
    """
    booked = session.booked
    if booked.modality != "in_person":
        if asked.code is not None or asked.both:
            return InvalidField(
                "venue_code" if asked.code is not None else "both", "Only allowed for an in-person session."
            )
        return join(session, party, now)
    if asked.both and party != "provider":
        return InvalidField("both", "Only the provider can check in both parties.")
    if asked.code is None and not asked.both:
        return InvalidField("venue_code", "Required for an in-person session: the code shown at the venue.")
    refusal = entry_refused(as_of(session, now)[0], now)
    if refusal is not None:
        return refusal
    if asked.code is not None and (digest is None or not is_code(asked.code, booked.venue_id or "", digest)):
        return Refusal("check-in-code-wrong", _NO_CODE if digest is None else None)
    joined = join(session, party, now, "joined" if asked.code is None else "code")
    if not asked.both or isinstance(joined, Refusal):
        return joined
    other = join(joined.session, "member", now, "provider")
    return other if isinstance(other, Refusal) else after(joined.events, other)


def outcome_refused(session: Session, outcome: SessionOutcome) -> Refusal | Literal["done"] | None:
    """Why the provider cannot report this outcome for the session, as it is now. It is possible only once the provider
    was asked. Check-ins count: a member who checked in was there.
    """
    if session.over:
        return DONE if session.outcome_asked and session.status == outcome else OVER_ALREADY
    if not session.outcome_asked:
        return _NOT_ASKED
    return _CHECKED_IN if outcome == "member_no_show" and was_present(session, "member") else None


def say_outcome(session: Session, outcome: SessionOutcome, now: datetime) -> Transition | Refusal:
    """The provider reports how it went (JOIN-3)."""
    session, before = as_of(session, now)
    refusal = outcome_refused(session, outcome)
    if refusal is not None:
        return Transition(session, before) if refusal == DONE else refusal
    match outcome:
        case "completed":
            return after(before, completed(session, "provider"))
        case "member_no_show":
            return after(before, no_show(session, "provider"))
        case "provider_missed":
            absent: Absent = "provider" if was_present(session, "member") else "both"
            return after(before, provider_missed(session, absent, now, "provider", found_at=now))

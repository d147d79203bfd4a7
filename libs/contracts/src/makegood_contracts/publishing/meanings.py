"""What each field of the events means, for readers who only see the data: meaning, unit, and what it says about a person.

A field is found by its name, or by `<topic>:<name>` where a topic uses a common name for something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from makegood_contracts.topics import Topic

Sensitivity = Literal["personal", "health", "none"]
"""`health`: shows that somebody is in care, when, how, or how it went. `personal`: anything else that is about a person, ids
included. `none`: about nobody."""

_UNITS: Final = (("_minutes", "minutes"), ("_hours", "hours"), ("_days", "days"), ("_months", "months"))


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a field. `minimum` and `pattern` hold for every value, so they are checked on live data."""

    text: str
    sensitivity: Sensitivity
    unit: str = ""
    minimum: int | None = None
    pattern: str | None = None


def meaning_of(topic: Topic, field: str) -> Meaning:
    """The meaning of a field in a topic. Raises LookupError with advice if nobody has written it down."""
    found = _IN_TOPIC.get(f"{topic.name}:{field}") or _BY_NAME.get(field)
    if found is None:
        raise LookupError(f"{topic.name}, {field}: say what it means in {__name__}")
    return found


def _personal(text: str, unit: str = "", minimum: int | None = None, pattern: str | None = None) -> Meaning:
    return Meaning(text, "personal", unit, minimum, pattern)


def _health(text: str, unit: str = "", minimum: int | None = None) -> Meaning:
    return Meaning(text, "health", unit, minimum)


def _none(text: str, unit: str = "", minimum: int | None = None, pattern: str | None = None) -> Meaning:
    return Meaning(text, "none", unit, minimum, pattern)


def unit_of(field: str, meaning: Meaning) -> str:
    """The unit of a number; empty if it has none."""
    return meaning.unit or next((unit for end, unit in _UNITS if field.endswith(end)), "")


_SHA: Final = "^[0-9a-f]{64}$"

_BY_NAME: Final[dict[str, Meaning]] = {
    # Ids. Those of people are pseudonyms: names and addresses are in notifications alone.
    "session_id": _personal("The session."),
    "room_id": _personal("The room: the lasting pair of a member and a provider."),
    "member_id": _personal("The member, by the `sub` of their tokens."),
    "provider_id": _personal("The provider, by the `sub` of their tokens."),
    "person_id": _personal("The person that it is about, by the `sub` of their tokens."),
    "sender_id": _personal("Who wrote the message, by the `sub` of their tokens."),
    "new_room_id": _personal("The room that replaces this one."),
    "new_provider_id": _personal("The provider of the room that replaces this one."),
    "delivery_id": _personal("The delivery of one message to one person by one channel."),
    "message_id": _personal("The chat message."),
    "move_id": _personal("The move or extension. Its request, answers and outcome have the same id."),
    "hold_id": _personal("The hold of a credit or co-pay."),
    "lot_id": _personal("The lot: credits that arrived together and lapse together."),
    "entry_id": _personal("The entry of the ledger. Each has one event."),
    "invoice_id": _personal("The charge."),
    "purchase_id": _personal("The purchase that was refunded."),
    "enrolment_id": _personal("The enrolment: a member's plan from one day to another."),
    "proposal_id": _personal("The proposal of a slot to a member who waits. The answer has the same id."),
    "time_off_id": _personal("The provider's time off."),
    "plan_id": _personal("The plan, such as `eap-6`."),
    "venue_id": _health("The venue of an in-person session; none for other sessions."),
    "policy_id": _none("The policy."),
    # Who did it.
    "booked_by": _personal("Who asked for the booking: a role, not a person."),
    "cancelled_by": _personal("Who cancelled: a role, not a person."),
    "changed_by": _personal("Who changed it: a role, not a person."),
    "closed_by": _personal("Who closed the room: a role, not a person."),
    "confirmed_by": _personal("Who confirmed: a role, not a person."),
    "disputed_by": _personal("Who disputes the outcome: a role, not a person."),
    "marked_by": _personal("Who reported that the member did not come: a role, not a person."),
    "moved_by": _personal("Who asked for the move: a role, not a person."),
    "told_by": _personal("Who reported the outcome if nobody had checked in: a role; `system` if presence decided."),
    "party": _personal("Which of the two parties: a role, not a person."),
    "made_by": _personal("Who made the adjustment: the id of a member of support, or `system`."),
    "corrected_by": _personal("The member of support who corrected the outcome."),
    # The session.
    "status": _health("The status now."),
    "starts_at": _health("When it starts. The slot is [starts_at, ends_at)."),
    "ends_at": _health("When it ends."),
    "length_minutes": _health("The length, extensions included.", minimum=1),
    "extended_minutes": _health("How much of the length was added by extensions.", minimum=0),
    "modality": _health("How the two meet."),
    "time_zone": _personal("The IANA time zone in which people see the times.", pattern=r"^[A-Za-z_+\-/0-9]+$"),
    "specialty": _health("The provider's specialty. It decides which of the plan's lengths apply."),
    "session_version": _none("The entity's version after this change. Each change adds one.", minimum=1),
    "policy_version": _none("The version of the policy that applies.", minimum=1),
    "hold_until": _health("When a hold that was never settled lapses, in product time."),
    "confirm_by": _health("Until when the provider can confirm; none if no confirmation is needed."),
    "answer_by": _health("Until when the provider can say how the session went."),
    "decide_by": _health("From when on the request is no longer granted, in product time."),
    "remind_at": _health("When both parties are reminded."),
    "cancelled_at": _health("When it was cancelled."),
    "joined_at": _health("When the party joined."),
    "left_at": _health("When the party left."),
    "missed_at": _health("When the session counted as missed."),
    "moved_at": _health("When the session moved."),
    "corrected_at": _health("When the outcome was corrected."),
    "was_confirmed": _health("Whether the session had been confirmed when it was cancelled."),
    "confirmed": _health("Whether the session is confirmed at its new time. If not, the provider must confirm again."),
    "forfeits": _health("Whether the member loses the credit."),
    "no_show_forfeits": _health("Whether a member who does not come to this session loses the credit."),
    "caused_by_provider": _health("Whether the member acted because of what the provider had done."),
    "absent_party": _health("Who was not there. `both` counts as the provider's miss."),
    "outcome": _health("The outcome."),
    "old_outcome": _health("The outcome that was published before."),
    "claim": _health("What the party says about the outcome."),
    "sealed_remark": _health(
        "A remark for the other party, encrypted, in base64. Nobody but notifications can read it."
    ),
    "how": _health("How it came about."),
    "cause": _health("Why it happened."),
    "reasons": _health("Why it was refused: codes, with a sentence for people."),
    "new_starts_at": _health("The start that was asked for."),
    "new_ends_at": _health("The end that was asked for."),
    "new_length_minutes": _health("The length that was asked for.", minimum=1),
    "new_time_zone": _personal("The IANA time zone of the time that was asked for."),
    "new_venue_id": _health("The venue that was asked for."),
    "old_starts_at": _health("The start before the change."),
    "old_ends_at": _health("The end before the change."),
    "old_venue_id": _health("The venue before the change."),
    "old_time_zone": _personal("The IANA time zone before the change."),
    "notify_member": _none("Whether the member is told."),
    "tells_member": _none("Whether the member is told, because the reasons are new to them."),
    "invoice": _personal("A charge that the provider adds to the extension."),
    # Rooms.
    "room_version": _none("The room's version after this change. Each change adds one.", minimum=1),
    "opened_at": _health("When the room was opened."),
    "closed_at": _health("When the room was closed."),
    "restarted_at": _health("When the room was opened again."),
    "changed_at": _health("When the member changed the provider."),
    "erased": _personal("The party whose erasure closed the room."),
    # Slots, schedules and waitlists.
    "blocked_from": _health("Where the provider's blocked time begins, buffers included."),
    "blocked_until": _health("Where the provider's blocked time ends, buffers included."),
    "reopened": _none("Whether part of the slot is still ahead, so that others can book it."),
    "schedule_version": _none("The schedule's version after this change. Each change adds one.", minimum=1),
    "session_types": _personal("The lengths that the provider offers, each with its modalities."),
    "weekly": _personal("The provider's weekly hours."),
    "exceptions": _personal("Dates on which other hours apply."),
    "weekday": _personal("The day of the week; 0 is Monday.", minimum=0),
    "start": _personal("The start, after local midnight.", "minutes", minimum=0),
    "until": _personal("The end, after local midnight. It may be 1440.", "minutes", minimum=0),
    "day": _personal("The date."),
    "hours": _personal("The hours on that date; an empty list means closed."),
    "modalities": _none("How the two can meet."),
    "minimum_notice_minutes": _personal("How long before the start a slot can be booked at the latest.", minimum=0),
    "horizon_days": _personal("How far ahead slots are offered.", minimum=1),
    "buffer_before_minutes": _personal("Time kept free before each session.", minimum=0),
    "buffer_after_minutes": _personal("Time kept free after each session.", minimum=0),
    "slot_step_minutes": _personal("The distance between the starts of slots.", minimum=1),
    "cancels": _personal("Sessions in the provider's time off that the provider chose to cancel, by id."),
    "waits_from": _health("From when on the member would take a slot."),
    "waits_until": _health("Until when the member would take a slot, exclusive."),
    "lapses_at": _health("When the offer lapses."),
    "next_starts_at": _health("The first later start that the member could book."),
    # Credits and money.
    "amount": _personal("By how much the credits change; negative if they leave.", "credits"),
    "available": _personal("Credits that can pay for a session.", "credits", minimum=0),
    "held": _personal("Credits that are set aside for sessions that are not settled yet.", "credits", minimum=0),
    "available_after": _personal("The member's available credits afterwards.", "credits", minimum=0),
    "held_after": _personal("The member's held credits afterwards.", "credits", minimum=0),
    "source": _personal("Where the credits of the lot came from."),
    "expires_at": _personal("When the lot lapses; none: never."),
    "made_for_minutes": _personal("The credit was made good: it also pays for a session of this length.", minimum=1),
    "state": _health("What became of the session's credit."),
    "funding": _personal("What pays for the session."),
    "co_pay": _personal("What a session costs if the plan takes a co-pay."),
    "purchasable": _personal("Whether the plan sells single credits."),
    "amount_minor": _personal("An amount of money.", "minor units of `currency`", minimum=0),
    "currency": _personal("The currency, by ISO 4217.", pattern="^[A-Z]{3}$"),
    "due_on": _personal("The day until which it is to be paid."),
    "about": _personal("What the charge is for."),
    "paid_at": _personal("When it was paid."),
    "refunds": _personal("Whether the amount is paid back."),
    "was_due": _personal("Whether the charge had been issued. If not, it was still pending."),
    # Plans.
    "plan_kind": _personal("Who pays for the plan."),
    "starts_on": _personal("The first day of the coverage, as a date in `time_zone`."),
    "ends_on": _personal("The last day of the coverage, inclusive; none: open."),
    "ended_on": _personal("The day on which the enrolment ended early."),
    "lengths": _none("The session lengths that the plan pays for.", "minutes"),
    "psychiatry_lengths": _none("The session lengths that the plan pays for in psychiatry.", "minutes"),
    "live_credits": _none("Credits a period; none if the plan takes a co-pay.", "credits", minimum=0),
    "period_months": _none("The length of a period; none: the credits are granted once.", minimum=1),
    "reminder_channels": _none("The channels by which the provider may send a reminder."),
    # Messages, erasures and tokens.
    "channel": _personal("The channel of the delivery."),
    "template": _health("Which message it is. Its text is not published."),
    "delivered_at": _personal("When the channel accepted the message."),
    "failure": _personal("Why the message was given up."),
    "sent_at": _personal("When it was sent."),
    "erased_at": _personal("When the person was erased."),
    "public_key": _personal("The person's public key (X25519), in base64."),
    "jti": _personal("The token that was revoked; none: all of the person's tokens."),
    "revoked_at": _personal("When, in real time."),
    # Policies.
    "scope": _none("Where the policy applies."),
    "in_force_from": _none("When it came into force."),
    "notice_hours": _none("How long before the start cancelling is free.", minimum=0),
    "confirm_hours": _none("How long the provider has to confirm.", minimum=0),
    "join_minutes": _none("How long before the start a party can join.", minimum=0),
    "grace_minutes": _none("How long after the start the provider may still come.", minimum=0),
    "no_show_minutes": _none("How long after the start a member may still come.", minimum=0),
    "cooling_off_minutes": _none("How long after the booking cancelling is free.", minimum=0),
    "together_minutes": _none("How long both must be there for a session that took place.", minimum=0),
    "inactivity_days": _none("How long a room without activity takes bookings.", minimum=0),
    "offer_minutes": _none("How long an offer to a waiting member lasts.", minimum=0),
    "adjustment_limit": _none("Larger adjustments need two people.", "credits", minimum=0),
    "co_pay_due_days": _none("How long after the session its co-pay is due.", minimum=0),
    # Venues.
    "venue_version": _none("The venue's version after this change. Each change adds one.", minimum=1),
    "name": _none("The venue's name."),
    "place": _none("The venue's address in one line."),
    "code_digest": _none("The digest of the check-in code. The code is not published."),
    # Reasons.
    "code": _health("The reason for machines. Each is also the slug of a problem."),
    "detail": _health("The reason for people, without personal data."),
    "action": _health("What would help."),
    "href": _health("Where the API offers the remedy; none if it does not."),
    "available_from": _health("When the plan next grants credits that the session could use."),
    "credits": _health("How many credits the plan grants then.", "credits", minimum=0),
    # The access log.
    "chain": _none("The service that keeps the log."),
    "number": _none("The position in the log, counted from 1 without gaps.", minimum=1),
    "row_id": _none("The row in the service's log."),
    "at": _personal("When, in real time."),
    "caller": _personal("Who: the `sub` of their token."),
    "role": _personal("In which role."),
    "operation": _none("What they did, such as `session.read`."),
    "entity": _personal("To which part of the data, such as `session:<id>`; none if that is not known."),
    "reason": _personal("The code of the reason that support or ops gave; none for members and providers."),
    "times": _none("How many refusals the row counts; 1 for any other outcome.", minimum=1),
    "request_id": _none("The request."),
    "row_hash": _none("SHA-256 of the whole row, in hex.", pattern=_SHA),
    "hash": _none("SHA-256 of the previous `hash` followed by this row, in hex.", pattern=_SHA),
}

_IN_TOPIC: Final[dict[str, Meaning]] = {
    "availability.schedules.v1:specialty": _personal("The provider's specialty."),
    "availability.schedules.v1:time_zone": _personal("The IANA time zone of the provider's hours."),
    "availability.venues.v1:venue_id": _none("The venue."),
    "availability.venues.v1:time_zone": _none("The venue's IANA time zone."),
    "booking.rooms.state.v1:status": _personal("Whether the room takes bookings."),
    "credits.invoices.state.v1:status": _personal("What became of the charge."),
    "notifications.deliveries.state.v1:status": _personal("What became of the message."),
    "credits.ledger.v1:length_minutes": _personal("The session length for which the lot pays; none: any.", minimum=1),
    "credits.enrolments.v1:time_zone": _personal("The IANA time zone of the coverage's days."),
    "credits.enrolments.state.v1:time_zone": _personal("The IANA time zone of the coverage's days."),
    **{
        f"{service}.access.v1:outcome": _personal("What came of it.")
        for service in ("booking", "availability", "credits", "notifications")
    },
}

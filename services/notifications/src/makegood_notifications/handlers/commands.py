"""What the API asks for. Each command locks, applies the rule, saves, and publishes what changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from makegood_chassis import revocation
from makegood_chassis.database import Queries, UnitOfWork
from makegood_chassis.real_time import utc_now
from makegood_chassis.refusals import NotFound, RuleRefused
from makegood_contracts.events import MessagePosted, TokensRevoked
from makegood_contracts.ids import new_id

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.allowances import ADDRESS_CHANGE, REMINDER, TIME_REQUEST, Allowance
from makegood_notifications.domain.contacts import hash_of, same_address
from makegood_notifications.domain.notices import Details, Notice, Source
from makegood_notifications.domain.plans import Enrolment, ready_lengths, reminder_channels
from makegood_notifications.domain.reminders import HandChannel, why_no_reminder
from makegood_notifications.handlers.account import (
    ERASURE,
    ERASURE_REQUESTED,
    ERASURE_TAKEN_BACK,
    ask_to_confirm,
    erase,
    tell_of_erasure,
)
from makegood_notifications.handlers.notifier import Notifier
from makegood_notifications.handlers.refusals import TooSoon
from makegood_notifications.mail.unsubscribing import UnsubscribeLink
from makegood_notifications.store import (
    allowances,
    chat,
    contact_changes,
    contacts,
    erasures,
    feeds,
    plans,
    read_models,
    remarks,
    revocations,
)
from makegood_notifications.store.chat import Message
from makegood_notifications.store.contacts import Contact
from makegood_notifications.store.read_models import Room
from makegood_notifications.store.revocations import Revocation
from makegood_notifications.whatsapp.cloud_api import number_of

AdmitVersion = Callable[[int], None]
"""Gets the entity's version, and raises if the caller expected another one."""


@dataclass(frozen=True, slots=True)
class QueuedReminder:
    """A reminder that waits to be sent."""

    delivery_id: str
    subject: str


async def save_contact(
    unit: UnitOfWork,
    dependencies: Dependencies,
    person_id: str,
    wanted: Contact,
    keep_pending: str | None,
    admit: AdmitVersion,
) -> tuple[Contact, str | None]:
    """Replaces the contact. A changed address waits until it is confirmed, and the old one is used meanwhile.
    `keep_pending`: if this address is waiting, it continues to wait. Returns the contact and the waiting address.
    """
    before = await contacts.find(unit, person_id, lock=True)
    admit(before.version if before else 0)
    waits = before is not None and not same_address(before.email, wanted.email)
    contact = replace(wanted, email=before.email) if waits and before else wanted
    saved = await contacts.save(unit, person_id, contact, unit.now)
    if before is None:
        await remarks.publish_keys(unit, [person_id])
    pending = await contact_changes.pending(unit, person_id, unit.now)
    address = wanted.email if waits else keep_pending if keep_pending == pending else None
    if address is None:
        await contact_changes.drop(unit, person_id)
    elif address != pending:
        await _use(unit, ADDRESS_CHANGE, person_id)
        await ask_to_confirm(unit, dependencies, person_id, saved, address)
    return saved, address


async def confirm_address(unit: UnitOfWork, person_id: str, token: str) -> Contact:
    """Replaces the address by the waiting one, if `token` is the secret of its link."""
    contact = await contacts.find(unit, person_id, lock=True)
    if contact is None:
        raise NotFound("contact")
    email = await contact_changes.confirm(unit, person_id, hash_of(token))
    if email is None:
        raise RuleRefused("confirmation-invalid")
    return await contacts.save(unit, person_id, replace(contact, email=email), unit.now)


async def find_by_link(queries: Queries, dependencies: Dependencies, token: str) -> tuple[str, Contact]:
    """The person whose e-mail contained the link. It is refused if it is forged, or was made for an address that they
    no longer have.
    """
    link = UnsubscribeLink.parse(token)
    contact = await contacts.find(queries, link.person_id) if link is not None else None
    if link is None or contact is None or not link.fits(dependencies.master_keys, contact.email):
        raise NotFound("link")
    return link.person_id, contact


async def end_emails(unit: UnitOfWork, dependencies: Dependencies, token: str) -> tuple[str, Contact]:
    """Turns off the person's e-mails. Repeats are harmless."""
    person_id, contact = await find_by_link(unit, dependencies, token)
    return person_id, await contacts.end_mails(unit, person_id, unit.now) or contact


async def request_erasure(
    unit: UnitOfWork, dependencies: Dependencies, person_id: str, reason: str, by: str, admit: AdmitVersion
) -> None:
    """Erases the person after the waiting period (NOTE-5). If an erasure is already pending, it stays as it is."""
    contact = await contacts.find(unit, person_id, lock=True)
    admit(contact.version if contact else 0)
    due_at = unit.now + dependencies.erasure_waits
    if await erasures.request(unit, person_id, reason, by, due_at):
        unit.set_deadline(ERASURE, person_id, due_at)
        await tell_of_erasure(unit, dependencies, person_id, contact, ERASURE_REQUESTED, Details(erase_at=due_at))


async def erase_now(unit: UnitOfWork, person_id: str, reason: str, by: str, admit: AdmitVersion) -> None:
    """Erases the person without the wait."""
    contact = await contacts.find(unit, person_id, lock=True)
    admit(contact.version if contact else 0)
    await erase(unit, person_id, reason, by)
    unit.set_deadline(ERASURE, person_id, None)


async def withdraw_erasure(unit: UnitOfWork, dependencies: Dependencies, person_id: str, *, own: bool) -> None:
    """Withdraws a pending erasure. One that the person requested is withdrawn only if `own`. Without one, nothing
    happens.
    """
    contact = await contacts.find(unit, person_id, lock=True)
    if await erasures.take_back(unit, person_id, own=own):
        unit.set_deadline(ERASURE, person_id, None)
        await tell_of_erasure(unit, dependencies, person_id, contact, ERASURE_TAKEN_BACK, Details())
    elif (await erasures.state(unit, person_id)).state == "pending":
        raise RuleRefused("forbidden", "The person requested this erasure. Only they can withdraw it.")


async def post_message(
    unit: UnitOfWork, dependencies: Dependencies, room: Room, sender: str, text: str, template: str | None = None
) -> Message:
    """ROOM-4: writes one party's message into the room. Booking is told that they are active (ROOM-2)."""
    if room.status == "closed":
        raise RuleRefused("room-closed", "The room is closed. Its chat can only be read.")
    message = Message(new_id(), room.id, "text", template, text, sender, unit.now)
    posted = await chat.post(unit, message, sender, (room.member_id, room.provider_id))
    unit.publish(
        MessagePosted(message_id=message.id, room_id=room.id, sender_id=sender, sent_at=unit.now), sequence=posted
    )
    woken = {f"stream:{person}": True for person in (room.member_id, room.provider_id)}
    unit.after_commit(lambda: dependencies.signals.send(woken))
    return message


async def request_time(
    unit: UnitOfWork,
    dependencies: Dependencies,
    room: Room,
    enrolments: Sequence[Enrolment],
    length_minutes: int | None,
    sender: str,
) -> Message:
    """Posts the ready message that no time fits, with the lengths of the member's plan (AVAIL-5)."""
    specialty = await plans.specialty_of(unit, room.provider_id)
    lengths = ready_lengths(length_minutes, enrolments, specialty, unit.now)
    if isinstance(lengths, str):
        raise RuleRefused(lengths)
    await _use(unit, TIME_REQUEST, room.id)
    text = dependencies.wording.time_request(lengths, await contacts.locale(unit, room.member_id))
    return await post_message(unit, dependencies, room, sender, text, template="time-request")


async def remind(unit: UnitOfWork, dependencies: Dependencies, session_id: str, channel: HandChannel) -> QueuedReminder:
    """Reminds the member now, as their plan allows and they chose (REM-1)."""
    session = await read_models.find_session(unit, session_id)
    if session is None:
        raise NotFound("session")
    contact = await contacts.find(unit, session.member_id)
    enrolments = await plans.enrolments_of(unit, session.member_id)
    reachable = contact is not None and (
        contact.by_email if channel == "email" else contact.by_whatsapp and bool(number_of(contact.phone or ""))
    )
    channels = reminder_channels(enrolments, session.starts_at)
    why_not = why_no_reminder(session.status, session.starts_at, unit.now, channel, channels, reachable=reachable)
    if why_not is not None:
        raise RuleRefused(why_not)
    await _use(unit, REMINDER, f"{session.id}/{channel}")
    locale = contact.locale if contact else "en"
    source = Source(new_id(), unit.cause.correlation_id, unit.cause.traceparent, utc_now())
    notifier = Notifier(unit, dependencies)
    notice = Notice("reminder", "member", session.content(), source)
    delivery_id = notifier.queue(notice, channel, locale, due_at=unit.now)
    await notifier.send()
    return QueuedReminder(delivery_id, dependencies.wording.subject("reminder", locale))


async def create_calendar_feed(unit: UnitOfWork, person_id: str) -> str:
    """The secret of the person's calendar feed. An earlier one stops working."""
    secret = secrets.token_urlsafe(32)
    await feeds.save(unit, person_id, secret, unit.now)
    return secret


async def revoke_tokens(unit: UnitOfWork, person_id: str, jti: str | None, reason: str, made_by: str) -> Revocation:
    """Revokes the person's tokens, or the one token `jti`."""
    made = Revocation(new_id(), person_id, jti, reason, made_by, utc_now())
    await revocations.add(unit, made)
    # In this service it takes effect with this commit. The event tells the others.
    await revocation.keep(unit, [(person_id, jti or "", made.revoked_at)])
    unit.publish(
        TokensRevoked(person_id=person_id, jti=jti, revoked_at=made.revoked_at),
        sequence=await revocations.next_sequence(unit, person_id),
    )
    return made


async def _use(unit: UnitOfWork, allowance: Allowance, entity_id: str) -> None:
    """Uses the allowance once, in the transaction of what it allows."""
    next_at = await allowances.use(unit, allowance, entity_id)
    if next_at is not None:
        # This transaction may have begun before the one that used the allowance, and waited for it.
        raise TooSoon(next_at, min(next_at - unit.now, allowance.period))

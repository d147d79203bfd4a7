"""Messages that protect a person's account, which are sent whatever the person's preferences are, and erasures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_chassis.real_time import utc_now
from makegood_chassis.states.erasure import erase_states
from makegood_contracts.events import PersonErased
from makegood_contracts.ids import new_id

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.allowances import ERASURE_MAIL
from makegood_notifications.domain.contacts import CHANGED, CONFIRM, PURPOSE, hash_of, secret_of
from makegood_notifications.domain.notices import Details, Notice, Source, timeless_content
from makegood_notifications.handlers.notifier import Notifier
from makegood_notifications.store import allowances, contact_changes, erasures, personal_data
from makegood_notifications.store.contact_changes import ContactChange
from makegood_notifications.store.contacts import Contact
from makegood_notifications.store.revocations import next_sequence

ERASURE: Final = "erasure"
ERASURE_REQUESTED: Final = "erasure-requested"
ERASURE_TAKEN_BACK: Final = "erasure-taken-back"


async def on_erasure_due(batch: Sequence[Due], unit: UnitOfWork) -> None:
    """Erases people whose waiting period is over. An erasure that was withdrawn is not among them."""
    for person_id, reason, requested_by in await erasures.due(unit, [one.entity_id for one in batch]):
        await erase(unit, person_id, reason, requested_by)


async def erase(unit: UnitOfWork, person_id: str, reason: str, requested_by: str) -> None:
    """Erases the person in this service, and tells the others."""
    await personal_data.erase(unit, person_id, unit.now, reason, requested_by)
    await erase_states(unit, [person_id])
    unit.publish(PersonErased(person_id=person_id, erased_at=unit.now), sequence=await next_sequence(unit, person_id))


async def ask_to_confirm(
    unit: UnitOfWork, dependencies: Dependencies, person_id: str, contact: Contact, email: str
) -> None:
    """Keeps the new address until it is confirmed. Sends the link there, and a warning to the old address."""
    master_keys = unit.personal_data.master_keys
    change_id = new_id()
    secret = secret_of(master_keys.secret(PURPOSE), person_id, change_id)
    expires_at = unit.now + dependencies.confirm_within
    await contact_changes.save(
        unit, ContactChange(person_id, change_id, email, hash_of(secret), master_keys.current, expires_at)
    )
    details = Details(confirm_by=expires_at, change_id=change_id)
    await _mail(unit, dependencies, person_id, contact, (CONFIRM, CHANGED), details)


async def tell_of_erasure(
    unit: UnitOfWork,
    dependencies: Dependencies,
    person_id: str,
    contact: Contact | None,
    template: str,
    details: Details,
) -> None:
    """Mails the person once a day for each template, if they have a contact."""
    if contact is not None and await allowances.use(unit, ERASURE_MAIL, f"{person_id}/{template}") is None:
        await _mail(unit, dependencies, person_id, contact, (template,), details)


async def _mail(
    unit: UnitOfWork,
    dependencies: Dependencies,
    person_id: str,
    contact: Contact,
    templates: Sequence[str],
    details: Details,
) -> None:
    """Queues e-mails that are not about a session."""
    notifier = Notifier(unit, dependencies)
    content = timeless_content(person_id, unit.now, time_zone=contact.time_zone, details=details)
    for template in templates:
        source = Source(new_id(), unit.cause.correlation_id, unit.cause.traceparent, utc_now())
        notifier.queue(Notice(template, "member", content, source), "email", contact.locale)
    await notifier.send()

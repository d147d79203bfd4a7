"""Messages that protect a person's account: they go out whatever the person wants to be told."""

from __future__ import annotations

from datetime import UTC, datetime

from makegood_chassis.database import UnitOfWork
from makegood_contracts.envelope import Cause
from makegood_contracts.ids import new_id

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.allowances import ERASURE_MAIL
from makegood_notifications.domain.contacts import CHANGED, CONFIRM, PURPOSE, hash_of, secret_of
from makegood_notifications.domain.facts import Facts, More
from makegood_notifications.domain.origin import Origin
from makegood_notifications.store import allowances, contact_changes
from makegood_notifications.store.contact_changes import ContactChange
from makegood_notifications.store.contacts import Contact
from makegood_notifications.store.outgoing import Outgoing

ERASURE_REQUESTED = "erasure-requested"
ERASURE_TAKEN_BACK = "erasure-taken-back"


async def ask_to_confirm(
    unit: UnitOfWork, dependencies: Dependencies, person_id: str, contact: Contact, email: str, cause: Cause
) -> None:
    """Keeps the new address until it is confirmed; sends the link there, and a notice to the old one."""
    master_keys = unit.personal_data.master_keys
    change_id = new_id()
    secret = secret_of(master_keys.secret(PURPOSE), person_id, change_id)
    expires_at = unit.now + dependencies.confirm_within
    await contact_changes.save(
        unit, ContactChange(person_id, change_id, email, hash_of(secret), master_keys.current, expires_at)
    )
    more = More(confirm_by=expires_at, change_id=change_id)
    for template in (CONFIRM, CHANGED):
        await tell(unit, dependencies, person_id, contact, template, more, cause)


async def tell_of_erasure(
    unit: UnitOfWork,
    dependencies: Dependencies,
    person_id: str,
    contact: Contact | None,
    template: str,
    more: More,
    cause: Cause,
) -> None:
    """Once a day of each kind; whoever has no contact is not told."""
    if contact is not None and await allowances.use(unit, ERASURE_MAIL, f"{person_id}/{template}") is None:
        await tell(unit, dependencies, person_id, contact, template, more, cause)


async def tell(
    unit: UnitOfWork,
    dependencies: Dependencies,
    person_id: str,
    contact: Contact,
    template: str,
    more: More,
    cause: Cause,
) -> None:
    """Queues an e-mail that is about no session."""
    facts = Facts(None, "", person_id, "", unit.now, unit.now, 0, "", contact.time_zone, more=more)
    origin = Origin(new_id(), cause.correlation_id, cause.traceparent, datetime.now(UTC))
    outgoing = Outgoing()
    subject = dependencies.wording.subject(template, contact.locale)
    outgoing.delivery(new_id(), origin, person_id, "email", template, facts, subject=subject)
    await outgoing.write(unit)
    unit.after_commit(dependencies.email_worker.wake)

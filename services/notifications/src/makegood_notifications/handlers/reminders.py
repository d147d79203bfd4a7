"""Deadlines of messages that no event sends: reminders (REM-1), and the question to a provider who has not answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import Due
from makegood_chassis.real_time import utc_now
from makegood_contracts.events import SessionConfirmed, SessionMoved, SessionReserved
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.ids import new_id

from makegood_notifications.dependencies import Dependencies
from makegood_notifications.domain.announcements import REMINDERS, WAITS_FOR_CONFIRMATION, Announcements
from makegood_notifications.domain.notices import Details, Parties, Source
from makegood_notifications.domain.reminders import Reminder, ask_at, reminders, reminds
from makegood_notifications.handlers.notifier import Notifier
from makegood_notifications.store import contacts, read_models
from makegood_notifications.store.read_models import Session

REMINDER: Final = "reminder"
ASK: Final = "ask-to-confirm"
NEWS_PAUSE: Final = timedelta(seconds=1)
"""How long a due message is put off while later events are still being read."""


@dataclass(frozen=True, slots=True)
class _Message:
    """What is told about a session, and for a reminder its moment."""

    session: Session
    announcements: Announcements
    details: Details | None = None
    due_at: datetime | None = None


def set_deadlines(event: SessionFact, unit: UnitOfWork) -> None:
    """Sets the deadlines that follow from `event`. If the session changes, they stay, and check it when they are due."""
    if isinstance(event, SessionReserved):
        name = f"{event.session_id}/{event.confirm_by.timestamp():.6f}/{event.starts_at.timestamp():.6f}"
        unit.set_deadline(ASK, name, ask_at(unit.now, event.confirm_by))
    elif isinstance(event, SessionConfirmed | SessionMoved):
        for reminder, moment in reminders(event.session_id, event.starts_at, event.remind_at, unit.now):
            unit.set_deadline(REMINDER, reminder.text, moment)


async def on_reminder_due(batch: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Reminds both parties if the session is unchanged (REM-1). If several reminders of a session are due together,
    because no worker ran, one is sent.
    """
    batch = await _judged(REMINDER, batch, unit, dependencies)
    due: dict[str, dict[datetime, datetime]] = {}  # a session that moved may have one for each of its starts
    for reminder in sorted((Reminder.parse(one.entity_id) for one in batch), key=lambda one: one.due_at):
        due.setdefault(reminder.session_id, {})[reminder.starts_at] = reminder.due_at
    sessions = await read_models.find_sessions(unit, sorted(due))
    messages = [
        _Message(session, REMINDERS, due_at=due[session.id][session.starts_at])
        for session in sessions.values()
        if any(reminds(session.status, session.starts_at, start, unit.now) for start in due[session.id])
    ]
    await _tell(messages, unit, dependencies)


async def on_answer_due(batch: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> None:
    """Asks a provider who has not answered a booking.

    If the start was moved, the move itself told the provider until when to confirm (NOTE-3).
    """
    batch = await _judged(ASK, batch, unit, dependencies)
    due: dict[str, datetime] = {}
    starts: dict[str, datetime] = {}
    for one in batch:
        session_id, *moments = one.entity_id.split("/")
        due[session_id], starts[session_id] = (datetime.fromtimestamp(float(moment), UTC) for moment in moments)
    sessions = await read_models.find_sessions(unit, sorted(due))
    messages = [
        _Message(session, (WAITS_FOR_CONFIRMATION,), Details(confirm_by=due[session.id]))
        for session in sessions.values()
        if session.status == "reserved" and session.starts_at == starts[session.id] and unit.now < due[session.id]
    ]
    await _tell(messages, unit, dependencies)


async def _judged(kind: str, batch: Sequence[Due], unit: UnitOfWork, dependencies: Dependencies) -> list[Due]:
    """Those of which it is known whether they are still true (NOTE-3). The others wait for events that are still being
    read.
    """
    news = dependencies.news
    read, judged = await news.read_until(), []
    for one in batch:
        if news.suffices(read, one.entity_id):
            judged.append(one)
        else:
            unit.set_deadline(kind, one.entity_id, unit.now + NEWS_PAUSE)
    return judged


async def _tell(messages: Sequence[_Message], unit: UnitOfWork, dependencies: Dependencies) -> None:
    notifier = Notifier(unit, dependencies)
    people = {person for one in messages for person in (one.session.member_id, one.session.provider_id)}
    preferences = await contacts.preferences(unit, people) if people else {}
    for message in messages:
        session = message.session
        source = Source(new_id(), unit.cause.correlation_id, None, utc_now())
        content = session.content(message.details)
        parties = Parties.of(preferences, session.member_id, session.provider_id)
        for one in message.announcements:
            notifier.tell(one.notice(content, source), parties, due_at=message.due_at)
        notifier.session_changed(session.id, session.room_id, session.member_id, session.provider_id, session.version)
    await notifier.send()

"""Deadlines of messages that no event sends: reminders (REM-1), and the question to a provider who has not answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from makegood_chassis.database import UnitOfWork
from makegood_chassis.messaging.handlers import DeadlineHandlers, Due
from makegood_contracts.events import SessionConfirmed, SessionMoved, SessionReserved
from makegood_contracts.events.sessions import SessionFact
from makegood_contracts.ids import new_id

from makegood_notifications.domain.announcements import REMINDERS, WAITS_FOR_CONFIRMATION, Announcements
from makegood_notifications.domain.facts import More
from makegood_notifications.domain.origin import Origin
from makegood_notifications.domain.reminders import Reminder, ask_at, reminders, reminds
from makegood_notifications.handlers.telling import Notifier
from makegood_notifications.store import contacts, read_models
from makegood_notifications.store.contacts import DEFAULT_PREFERENCES
from makegood_notifications.store.news import News
from makegood_notifications.store.outgoing import Outgoing
from makegood_notifications.store.read_models import Session

REMINDER: Final = "reminder"
ASK: Final = "ask-to-confirm"
FOR_NEWS: Final = timedelta(seconds=1)
"""Pause of what is due while later news is still being read."""


def plan(event: SessionFact, unit: UnitOfWork) -> None:
    """Sets the deadlines that follow from `event`. One whose session changes is not taken away: it finds that out itself."""
    if isinstance(event, SessionReserved):
        name = f"{event.session_id}/{event.confirm_by.timestamp():.6f}/{event.starts_at.timestamp():.6f}"
        unit.set_deadline(ASK, name, ask_at(unit.now, event.confirm_by))
    elif isinstance(event, SessionConfirmed | SessionMoved):
        for reminder, moment in reminders(event.session_id, event.starts_at, event.remind_at, unit.now):
            unit.set_deadline(REMINDER, reminder.text, moment)


class Reminding:
    """Handlers of the two kinds of deadlines."""

    def __init__(self, notifier: Notifier, news: News) -> None:
        self._notifier = notifier
        self._news = news

    @property
    def handlers(self) -> DeadlineHandlers:
        return {REMINDER: self.remind, ASK: self.ask}

    async def remind(self, batch: Sequence[Due], unit: UnitOfWork) -> None:
        """REM-1: both parties are reminded, if the session stands as it did. Of several reminders of a session that have
        come due together (nobody was there to send the first) one goes out."""
        batch = await self._judged(REMINDER, batch, unit)
        due: dict[str, set[datetime]] = {}  # a session that moved may have one of each of its starts
        for reminder in (Reminder.parse(one.entity_id) for one in batch):
            due.setdefault(reminder.session_id, set()).add(reminder.starts_at)
        sessions = await read_models.find_sessions(unit, sorted(due))
        still = [
            (session, REMINDERS, None)
            for session in sessions.values()
            if any(reminds(session.status, session.starts_at, told, unit.now) for told in due[session.id])
        ]
        await self._tell(still, unit)

    async def ask(self, batch: Sequence[Due], unit: UnitOfWork) -> None:
        """A provider who has not answered a booking yet is asked to. NOTE-3: not of a start that was moved meanwhile, for the
        move itself told the provider until when to confirm."""
        batch = await self._judged(ASK, batch, unit)
        due: dict[str, datetime] = {}
        starts: dict[str, datetime] = {}
        for one in batch:
            session_id, *moments = one.entity_id.split("/")
            due[session_id], starts[session_id] = (datetime.fromtimestamp(float(moment), UTC) for moment in moments)
        sessions = await read_models.find_sessions(unit, sorted(due))
        still = [
            (session, (WAITS_FOR_CONFIRMATION,), More(confirm_by=due[session.id]))
            for session in sessions.values()
            if session.status == "reserved" and session.starts_at == starts[session.id] and unit.now < due[session.id]
        ]
        await self._tell(still, unit)

    async def _judged(self, kind: str, batch: Sequence[Due], unit: UnitOfWork) -> list[Due]:
        """NOTE-3: those of which it is known whether they are true. The others wait for news that is still being read."""
        read, judged = await self._news.read_until(), []
        for one in batch:
            if self._news.suffices(read, one.entity_id):
                judged.append(one)
            else:
                unit.set_deadline(kind, one.entity_id, unit.now + FOR_NEWS)
        return judged

    async def _tell(self, told: Sequence[tuple[Session, Announcements, More | None]], unit: UnitOfWork) -> None:
        outgoing = Outgoing()
        parties = {person for session, _, _ in told for person in (session.member_id, session.provider_id)}
        known = await contacts.preferences(unit, parties) if parties else {}
        for session, news, more in told:
            origin = Origin(new_id(), unit.cause.correlation_id, None, datetime.now(UTC))
            facts = session.told(more)
            member = known.get(session.member_id, DEFAULT_PREFERENCES)
            for message in news:
                person = member if message.to == "member" else known.get(session.provider_id, DEFAULT_PREFERENCES)
                self._notifier.tell(message, facts, origin, person, member.locale, unit, outgoing)
            data = {"session_id": session.id, "room_id": session.room_id, "version": session.version}
            outgoing.entry(session.member_id, session.provider_id, "session.changed", data)
        await self._notifier.write(outgoing, unit)

"""When people are reminded (REM-1), and when a provider is asked to answer a booking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

PATIENCE: Final = timedelta(minutes=10)
"""How long a new booking waits before an e-mail asks its provider, who may have seen it in the app by then."""

HandChannel = Literal["email", "whatsapp"]
ReminderRefusal = Literal["not-confirmed", "session-over", "reminder-not-possible"]


@dataclass(frozen=True, slots=True)
class Reminder:
    """One future reminder, a number of minutes before the start. `text` is its name as a deadline. It contains the
    start, so that a moved session has other reminders, and a session that is confirmed again has each only once.
    """

    session_id: str
    starts_at: datetime
    minutes: int

    @property
    def text(self) -> str:
        return f"{self.session_id}/{self.starts_at.timestamp():.6f}/{self.minutes}"

    @property
    def due_at(self) -> datetime:
        """Its moment, or up to a minute earlier."""
        return self.starts_at - timedelta(minutes=self.minutes + 1)

    @classmethod
    def parse(cls, text: str) -> Reminder:
        session_id, start, minutes = text.split("/")
        return cls(session_id, datetime.fromtimestamp(float(start), UTC), int(minutes))


def reminders(
    session_id: str, starts_at: datetime, moments: Iterable[datetime], now: datetime
) -> list[tuple[Reminder, datetime]]:
    """The session's future reminders, each with its moment."""
    ahead = sorted(moment for moment in moments if now < moment < starts_at)
    return [(Reminder(session_id, starts_at, (starts_at - moment) // timedelta(minutes=1)), moment) for moment in ahead]


def reminds(status: str, starts_at: datetime, told: datetime, now: datetime) -> bool:
    """REM-1: whether a reminder of a session at `told` is sent. It is not if the session was cancelled or moved, or has
    begun.
    """
    return status == "confirmed" and starts_at == told and now < starts_at


def ask_at(now: datetime, confirm_by: datetime) -> datetime:
    """When a provider who has not answered is asked to confirm: soon, and while there is still time."""
    return now + min(PATIENCE, max(confirm_by - now, timedelta()) / 4)


def why_no_reminder(
    status: str,
    starts_at: datetime,
    now: datetime,
    channel: HandChannel,
    plan_channels: Sequence[str],
    *,
    reachable: bool,
) -> ReminderRefusal | None:
    """Why the provider cannot remind the member by this channel now (REM-1). None if they can.

    `plan_channels` are those of the member's plan. `reachable`: the member has an address there and wants such messages.
    """
    if status in ("reserved", "requested"):
        return "not-confirmed"
    if status != "confirmed" or now >= starts_at:
        return "session-over"
    return None if channel in plan_channels and reachable else "reminder-not-possible"

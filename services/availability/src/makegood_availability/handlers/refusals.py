"""Why a command was refused, if the chassis has no such refusal. The API answers each with its problem (`api/refusals.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_chassis.refusals import CommandRefused

from makegood_availability.store.holds import UpcomingSession


class SessionsInTimeOff(CommandRefused):
    """The provider must say what happens to the sessions in their time off (AVAIL-1)."""

    def __init__(self, sessions: Sequence[UpcomingSession]) -> None:
        super().__init__(len(sessions))
        self.sessions = sessions

"""Why a command was refused. The API answers each with its problem (`api/refusals.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from makegood_availability.store.holds import UpcomingSession


class CommandRefused(Exception):
    """Raised inside the command's transaction, which then rolls back: nothing changes."""


class NotFound(CommandRefused):
    """The thing does not exist, or is not the caller's."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class FieldRefused(CommandRefused):
    """No request with this value can succeed."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class SessionsInTimeOff(CommandRefused):
    """The provider must say what becomes of the sessions in their time off (AVAIL-1)."""

    def __init__(self, sessions: Sequence[UpcomingSession]) -> None:
        super().__init__(len(sessions))
        self.sessions = sessions


class WaitlistRefused(CommandRefused):
    """Nobody can wait like this. `code` is the problem's slug."""

    def __init__(self, code: str, detail: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail

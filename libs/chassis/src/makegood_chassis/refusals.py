"""Why a command was refused: raised by handlers, and answered by the API (`http.app`) with a problem."""

from __future__ import annotations

from typing import Any


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


class RuleRefused(CommandRefused):
    """A rule forbids it now. `code` is the problem's slug; `detail` defaults to the catalogue's sentence; `members` are extension
    members of the problem."""

    def __init__(self, code: str, detail: str | None = None, **members: Any) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.members = members

"""Messages in words, as `wording` returns them, each in the form of its channel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AppointmentText:
    """A session as a calendar shows it."""

    summary: str
    where: str
    """The venue's name and place, or the address where the session is joined."""
    description: str
    link: str
    """The page in the client app to which it leads."""


@dataclass(frozen=True, slots=True)
class EmailText:
    """One e-mail as plain text and as HTML."""

    subject: str
    text: str
    html: str
    appointment: AppointmentText
    language: str


@dataclass(frozen=True, slots=True)
class ShortText:
    """A message for a channel of short messages: a template that is registered there, and the values for its variables."""

    template: str
    language: str
    text: str
    parameters: tuple[str, ...]
    """The values, in the order in which the registered text names them."""
    path: str
    """The path to which the button leads, below the client app's address."""


@dataclass(frozen=True, slots=True)
class InAppText:
    """A message as the app lists it."""

    title: str
    text: str
    link: str

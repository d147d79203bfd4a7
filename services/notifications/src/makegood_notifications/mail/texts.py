"""Messages in words, as `wording` answers them, each in the form that its channel takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AppointmentText:
    """A session as a calendar shows it."""

    summary: str
    where: str
    """The venue's name and place, or the address at which it is joined."""
    description: str
    link: str
    """Where it leads, in the client app."""


@dataclass(frozen=True, slots=True)
class EmailText:
    """One e-mail's two readings of the same lines."""

    subject: str
    text: str
    html: str
    appointment: AppointmentText
    language: str


@dataclass(frozen=True, slots=True)
class ShortText:
    """A message for a channel of short ones: a template registered there, and what fills its places."""

    template: str
    language: str
    text: str
    parameters: tuple[str, ...]
    """The values, in the order in which the registered text names them."""
    path: str
    """Where the button leads, below the client app's address."""


@dataclass(frozen=True, slots=True)
class InAppText:
    """A message as the app lists it."""

    title: str
    text: str
    link: str

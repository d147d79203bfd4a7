"""The forms of short messages. WhatsApp registers texts and buttons unchanged, so every variant is a template of its
own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from makegood_notifications.domain.deliveries import LEADS_TO_TIMES


@dataclass(frozen=True, slots=True)
class Form:
    """Which form of a short message it is. `rebookable`: it leads to other times, if its template does. `somewhere`: it
    says where the session takes place.
    """

    rebookable: bool = True
    somewhere: bool = True


OF_NO_SESSION: Final = ("waitlist-offered", "waitlist-passed-over")
"""Templates about a time without a session yet, which has no place unless it is in person."""


def forms(template: str) -> list[Form]:
    """The forms in which the template is registered."""
    if template in LEADS_TO_TIMES:
        return [Form(), Form(rebookable=False)]
    return [Form(), Form(somewhere=False)] if template in OF_NO_SESSION else [Form()]


def registered_name(template: str, form: Form | None = None) -> str:
    """The name under which WhatsApp knows a template."""
    form = form or Form()
    ending = "" if form.rebookable else "_closed"
    return f"makegood_{template.replace('-', '_')}{ending}{'' if form.somewhere else '_online'}"

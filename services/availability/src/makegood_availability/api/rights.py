"""Who may do what: the rows of the table of rights."""

from __future__ import annotations

from typing import Final

from makegood_chassis.http import access_log
from makegood_chassis.http.rights import AboutNobody, Grant, Rights

_ANYONE: Final = AboutNobody((Grant("member"), Grant("provider"), Grant("support"), Grant("ops")))
"""Everybody may see what is offered."""
_PROVIDER_OR_SUPPORT: Final = (Grant("provider", "self"), Grant("support"))

EXPENSIVE: Final = frozenset({"slots.search"})
"""Operations that each person may run one at a time."""

RIGHTS: Final[Rights] = {
    "schedule.publish": _PROVIDER_OR_SUPPORT,
    "schedule.read": _PROVIDER_OR_SUPPORT,
    "time-off.add": _PROVIDER_OR_SUPPORT,
    "time-off.read": _PROVIDER_OR_SUPPORT,
    "time-off.remove": _PROVIDER_OR_SUPPORT,
    "slots.search": _ANYONE,
    "slots.check": _ANYONE,
    "waitlist.join": (Grant("member", "party"),),
    "waitlist.leave": (Grant("member", "party"),),
    "waitlist.read": (Grant("member", "party"), Grant("provider", "party"), Grant("support")),
    "venues.read": _ANYONE,
    "venues.change": AboutNobody((Grant("ops"),)),
    "venues.code": AboutNobody((Grant("ops"),)),
    **access_log.RIGHTS,
}

"""Who may do what here: the table of rights of the interfaces, row by row."""

from __future__ import annotations

from typing import Final

from makegood_chassis.http.rights import Grant, Rights

_ANYONE: Final = (Grant("member"), Grant("provider"), Grant("support"), Grant("ops"))
_PROVIDER_OR_SUPPORT: Final = (Grant("provider", "self"), Grant("support"))

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
    "venues.change": (Grant("ops"),),
}

"""Who may do what: the rows of the table of rights."""

from __future__ import annotations

from typing import Final

from makegood_chassis.http import access_log
from makegood_chassis.http.rights import AboutNobody, Denial, Grant, Rights

_MEMBER: Final = Grant("member", "party")
_PROVIDER: Final = Grant("provider", "party")
_SUPPORT: Final = Grant("support")
_OPS: Final = Grant("ops")

EXPENSIVE: Final = frozenset({"room.bookability"})
"""Operations that each person may run one at a time."""

RIGHTS: Final[Rights] = {
    "policy.read": AboutNobody((Grant("member"), Grant("provider"), _SUPPORT, _OPS)),
    "policy.list": AboutNobody((_OPS,)),
    "policy.change": AboutNobody((_OPS,)),
    "room.open": (_SUPPORT, _OPS),
    "room.read": (_MEMBER, _PROVIDER, _SUPPORT),
    "room.list": (_MEMBER, _PROVIDER, _SUPPORT),
    "room.close": (_MEMBER, _PROVIDER, _SUPPORT),
    "room.restart": (_MEMBER, _SUPPORT),
    "room.change-provider": (_MEMBER, _SUPPORT),
    "room.bookability": (_MEMBER, _PROVIDER, _SUPPORT),
    "session.book": (_MEMBER, _PROVIDER, _SUPPORT),
    "session.read": (_MEMBER, _PROVIDER, _SUPPORT),
    "session.list": (_MEMBER, _PROVIDER, _SUPPORT),
    "session.policy": (_MEMBER, _PROVIDER, _SUPPORT),
    "session.history": (_MEMBER, _PROVIDER, _SUPPORT),
    "session.confirm": (_PROVIDER,),
    "session.decline": (_PROVIDER,),
    "session.no-show": (_PROVIDER,),
    "session.cancel": (_MEMBER, _PROVIDER, Denial("support", "support-may-not")),
    "session.reschedule": (_MEMBER, _PROVIDER, Denial("support", "support-may-not")),
    "session.extend": (_PROVIDER,),
    "session.outcome": (_PROVIDER,),
    "session.dispute": (_MEMBER, _PROVIDER),
    "session.correct": (_SUPPORT,),
    "session.join": (_MEMBER, _PROVIDER),
    "session.leave": (_MEMBER, _PROVIDER),
    **access_log.RIGHTS,
}

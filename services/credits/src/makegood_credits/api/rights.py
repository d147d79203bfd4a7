"""Who may do what: the rows of the table of rights."""

from __future__ import annotations

from typing import Final

from makegood_chassis.http import access_log
from makegood_chassis.http.rights import AboutNobody, Grant, Rights

_OWN: Final = (Grant("member", "self"), Grant("support"))

EXPENSIVE: Final = frozenset({access_log.OPERATION})
"""Operations that each person may run one at a time."""

RIGHTS: Final[Rights] = {
    "plan.list": AboutNobody((Grant("member"), Grant("provider"), Grant("support"), Grant("ops"))),
    "enrolment.set": (Grant("support"), Grant("ops")),
    "enrolment.read": _OWN,
    "credits.read": _OWN,
    "ledger.read": _OWN,
    "invoices.read": _OWN,
    "invoice.void": (Grant("support"),),
    "invoice.pay": (Grant("member", "self"),),
    "purchase.make": (Grant("member"),),
    "purchase.read": _OWN,
    "adjustment.make": (Grant("support"),),
    "adjustment.read": (Grant("support"),),
    "adjustment.decide": (Grant("support"),),
    **access_log.RIGHTS,
}

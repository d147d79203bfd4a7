"""Rare paths that some schedule must reach (`sometimes`), or the simulator shows less than it seems to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, get_args

from makegood_chassis.messaging.failpoints import Failpoint

Counts = Mapping[str, int]


def _any(*names: str) -> Callable[[Counts], bool]:
    return lambda counts: any(counts.get(name) for name in names)


SOMETIMES: Final[Mapping[str, Callable[[Counts], bool]]] = {
    **{f"a process dies at {point}": _any(f"died at {point}") for point in get_args(Failpoint)},
    "a request that was done and whose answer was lost is answered from its key": _any(
        "answered from its key after a lost answer"
    ),
    "a request that was not done and whose answer was lost is done": _any("done after a lost answer"),
    "an event is in the log twice": _any("duplicate in the log"),
    "an acknowledgement is lost": _any("passing RequestTimedOutError"),
    "a service cannot reach the log": _any("passing KafkaConnectionError"),
    "a slot is refused": _any("event SlotRefused"),
    "a credit is refused": _any("event CreditRefused"),
    "a hold lapses": _any("a slot lapsed"),
    "a session takes place": _any("event SessionCompleted"),
    "a provider misses a session": _any("event ProviderMissed"),
    "a member does not come": _any("event MemberNoShow"),
    "a session is not confirmed in time": _any("event SessionExpired"),
    "a session is declined": _any("event SessionDeclined"),
    "a cancellation forfeits": _any("event CreditForfeited"),
    "a co-pay becomes due": _any("event InvoiceIssued"),
    "a co-pay becomes void": _any("event InvoiceVoided"),
    "a session is moved": _any("event SessionMoved"),
    "a move is refused": _any("event SessionMoveRefused"),
    "a session is extended": _any("event SessionExtended"),
    "a waiting member is offered a slot": _any("event WaitlistOffered"),
    "a waiting member is passed over": _any("event WaitlistCandidatePassedOver"),
    "an offer lapses": _any("event WaitlistOfferLapsed"),
    "an outcome is corrected": _any("event OutcomeCorrected"),
    "the credit of a corrected session follows": _any("event CreditCorrected"),
}
"""Name → whether schedules with these counts reached it."""


def never(counts: Counter[str]) -> list[str]:
    """The rare paths that were not reached."""
    return [name for name, reached in SOMETIMES.items() if not reached(counts)]

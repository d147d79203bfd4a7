"""Failpoints: named points between two steps that a process could die between.

They lie between the steps of consume → effect → outbox → send → mark → offset commit, and between a message's delivery
and its record. Some lie just behind the answer of a server: a hook that raises a time-out there makes an effect whose
answer is lost. In a running process they do nothing. Tests install a hook that raises or kills, to prove that no step
can be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

Failpoint = Literal[
    "consumer.polled",
    "consumer.inbox",
    "consumer.handled",
    "unit.flushed",
    "unit.committed",
    "statement.committed",
    "lease.renewed",
    "consumer.before_offsets",
    "consumer.after_offsets",
    "relay.fetched",
    "relay.sending",
    "relay.sent",
    "relay.deleted",
    "deadlines.taken",
    "delivery.attempted",
    "mail.answered",
    "whatsapp.answered",
    "payment.answered",
]

Hook = Callable[[Failpoint], None]

_hooks: Final[list[Hook]] = []


def reached(point: Failpoint) -> None:
    for hook in _hooks:
        hook(point)


def install(hook: Hook) -> Callable[[], None]:
    """Calls `hook` at every failpoint from now on. Returns a function that removes it again."""
    _hooks.append(hook)
    return lambda: _hooks.remove(hook)

"""`<service>.access.v1`: who looked at or changed whose data in a service (SEC-5), outside that service's reach.

Every service tells the same fact on a topic of its own, so each has its own event type of the one name `AccessRecorded`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from makegood_contracts.events.base import Event
from makegood_contracts.topics import ACCESS, SERVICES, Service

AccessReason = Literal["support_request", "complaint", "billing", "legal", "incident", "audit"]
"""Why support or ops look, by `X-Access-Reason`."""

AccessOutcome = Literal["shown", "changed", "refused"]


class AccessRecordedFact(Event, frozen=True, kw_only=True):
    """Somebody was shown, changed or was refused something of a person's; the copy of one row of the service's access log.

    Never the free text that came with the reason: `row_hash` proves it where the service still has it.
    """

    chain: Service
    """The service whose chain of rows this is."""
    number: int
    """Place in the chain, from 1 without gaps."""
    row_id: int
    at: datetime
    """Real time."""
    caller: str
    role: str
    operation: str
    person_id: str | None
    """Whose data; None where it is not known, as with an operation that the caller's role never has."""
    entity: str | None
    """Which part of it, such as `session:<id>`."""
    outcome: AccessOutcome
    reason: AccessReason | None
    """None where a member or provider acts on what is their own."""
    times: int
    """How many refusals the row stands for; 1 for everything else."""
    request_id: str
    row_hash: str
    """SHA-256 of the whole row, in hexadecimal digits."""
    hash: str
    """SHA-256 of the hash before, then the row: the chain's end with this row, in hexadecimal digits."""


def _recorded(service: Service) -> Any:
    return msgspec.defstruct(
        "AccessRecorded",
        [],
        bases=(AccessRecordedFact,),
        namespace={"topic": ACCESS[service], "__doc__": AccessRecordedFact.__doc__},
        module=__name__,
        frozen=True,
        kw_only=True,
    )


ACCESS_RECORDED: Final[dict[Service, type[AccessRecordedFact]]] = {service: _recorded(service) for service in SERVICES}
"""By the service that tells it."""

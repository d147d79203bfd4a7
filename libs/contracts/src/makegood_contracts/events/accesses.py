"""`<service>.access.v1`: who read or changed whose data in a service (SEC-5), where that service can no longer change it.

Each service publishes `AccessRecorded` on its own topic, with its own event type.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from makegood_contracts.events.base import Event
from makegood_contracts.topics import ACCESS, SERVICES, ServiceName

AccessReason = Literal["support_request", "complaint", "billing", "legal", "incident", "audit"]
"""Why support or ops access data, from `X-Access-Reason`."""

AccessOutcome = Literal["shown", "changed", "refused"]


class AccessRecordedFact(Event, frozen=True, kw_only=True):
    """Someone read, changed or was refused access to a person's data. A copy of one row of the service's access log.

    The free text of the reason is left out; `row_hash` proves it as long as the service keeps the row.
    """

    chain: ServiceName
    """The service that keeps the access log."""
    number: int
    """Position in the chain, counted from 1 without gaps."""
    row_id: int
    at: datetime
    """Real time."""
    caller: str
    role: str
    operation: str
    person_id: str | None
    """Whose data it was. None if that is not known, for example because the caller's role may not use the operation at all."""
    entity: str | None
    """Which part of the data, such as `session:<id>`."""
    outcome: AccessOutcome
    reason: AccessReason | None
    """None if members or providers access their own data."""
    times: int
    """How many refusals the row counts; 1 for any other outcome."""
    request_id: str
    row_hash: str
    """SHA-256 of the whole row, in hex."""
    hash: str
    """SHA-256 of the previous `hash` followed by this row, in hex."""


def _recorded(service: ServiceName) -> Any:
    return msgspec.defstruct(
        "AccessRecorded",
        [],
        bases=(AccessRecordedFact,),
        namespace={"topic": ACCESS[service], "__doc__": AccessRecordedFact.__doc__},
        module=__name__,
        frozen=True,
        kw_only=True,
    )


ACCESS_RECORDED: Final[dict[ServiceName, type[AccessRecordedFact]]] = {
    service: _recorded(service) for service in SERVICES
}
"""The event type by the service that publishes it."""

"""A serving process reads which tokens were revoked, and ends the open streams, waits and other long requests of their
callers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from makegood_chassis.auth import Authenticator
from makegood_chassis.http.rights import invalid_token, no_keys
from makegood_chassis.messaging.failures import is_transient

if TYPE_CHECKING:
    from makegood_chassis.service import Service

EVERY: Final = 2.0
"""Seconds between two checks. A revocation must take effect within ten seconds (SEC-2)."""


async def follow_revocations(service: Service, authenticator: Authenticator, *, every: float = EVERY) -> None:
    """Runs until cancelled. While the database cannot be reached, known revocations stay."""
    while True:
        await asyncio.sleep(every)
        try:
            await service.revocations.load(service.database)
        except Exception as error:
            if not is_transient(error):
                raise
        end_what_is_no_longer_good(service, authenticator)


def end_what_is_no_longer_good(service: Service, authenticator: Authenticator) -> None:
    """Ends requests whose token was revoked, or whose key was withdrawn or not confirmed recently."""
    for request in list(service.open_requests):
        if request.caller is not None and not authenticator.still_good(request.caller):
            fresh = authenticator.keys.fresh
            request.refuse(invalid_token("it was withdrawn; sign in again") if fresh else no_keys())

"""Parameters that several routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from makegood_chassis.http.context import dependencies_of

from makegood_credits.api.refusals import unavailable
from makegood_credits.dependencies import Dependencies
from makegood_credits.payments.port import PaymentProvider

DependenciesOf = Annotated[Dependencies, Depends(dependencies_of)]


async def _provider(dependencies: DependenciesOf) -> PaymentProvider:
    if dependencies.payments is None:
        raise unavailable("No payment provider is set up here.")
    return dependencies.payments


Provider = Annotated[PaymentProvider, Depends(_provider)]

"""Shared parameters of the routes, and problems for refusals."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from makegood_chassis.http.context import dependencies_of
from makegood_chassis.http.problems import Problem

from makegood_credits.dependencies import Dependencies
from makegood_credits.payments.port import OrderRefused, PaymentProvider, PaymentsUnavailable

DependenciesOf = Annotated[Dependencies, Depends(dependencies_of)]


async def _provider(dependencies: DependenciesOf) -> PaymentProvider:
    if dependencies.payments is None:
        raise unavailable("No payment provider is set up here.")
    return dependencies.payments


def unavailable(detail: str = "We can't reach the payment provider right now.") -> Problem:
    """The 503 problem while the payment provider is not available. Nothing was bought or paid."""
    return Problem("unavailable", detail, headers={"Retry-After": "30"})


def not_payable(error: PaymentsUnavailable | OrderRefused) -> Problem:
    """503 for a temporary failure, which is worth a retry, or 409 for a permanent one."""
    if isinstance(error, PaymentsUnavailable):
        return unavailable()
    return Problem("payment-refused", error.detail, reasons=[{"code": error.code, "detail": error.detail}])


Provider = Annotated[PaymentProvider, Depends(_provider)]

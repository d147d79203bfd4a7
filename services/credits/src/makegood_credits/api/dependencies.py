"""What the routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from makegood_chassis.database import Database
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.problems import Problem

from makegood_credits.payments.port import OrderRefused, PaymentProvider, PaymentsUnavailable


def _database(request: Request) -> Database:
    database: Database = request.app.state.service.database
    return database


def _maybe_provider(request: Request) -> PaymentProvider | None:
    provider: PaymentProvider | None = request.app.state.service.dependencies
    return provider


def _provider(request: Request) -> PaymentProvider:
    provider = _maybe_provider(request)
    if provider is None:
        raise unavailable("No payment provider is set up here.")
    return provider


def unavailable(detail: str = "The payment provider cannot be reached.") -> Problem:
    """503: nothing was bought or paid."""
    return Problem("unavailable", detail, headers={"Retry-After": "30"})


def not_payable(error: PaymentsUnavailable | OrderRefused) -> Problem:
    """503 for what passes, 409 for what does not: only the former is worth a repetition."""
    if isinstance(error, PaymentsUnavailable):
        return unavailable()
    return Problem("payment-refused", error.detail, reasons=[{"code": error.code, "detail": error.detail}])


Data = Annotated[Database, Depends(_database)]
Log = Annotated[AccessLog, Depends(access_log)]
MaybeProvider = Annotated[PaymentProvider | None, Depends(_maybe_provider)]
Provider = Annotated[PaymentProvider, Depends(_provider)]

"""The payment provider's refusals as problems. Refused commands use the chassis' problems."""

from __future__ import annotations

from makegood_chassis.http.problems import Problem

from makegood_credits.payments.port import OrderRefused, PaymentsUnavailable


def unavailable(detail: str = "We can't reach the payment provider right now.") -> Problem:
    """The 503 problem while the payment provider is unavailable. Nothing was bought or paid."""
    return Problem("unavailable", detail, headers={"Retry-After": "30"})


def not_payable(error: PaymentsUnavailable | OrderRefused) -> Problem:
    """503 for a temporary failure, which is worth a retry, or 409 for a permanent one."""
    if isinstance(error, PaymentsUnavailable):
        return unavailable()
    return Problem("payment-refused", error.detail, reasons=[{"code": error.code, "detail": error.detail}])

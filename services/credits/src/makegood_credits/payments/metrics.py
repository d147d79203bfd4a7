"""The metrics that only credits has: whether the payment provider answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from makegood_chassis.metrics import counter

from makegood_credits.payments.port import PaymentsUnavailable

REQUESTS: Final = counter(
    "makegood_payment_requests_total",
    "requests",
    "Requests to the payment provider. `failed`: it did not answer, or cannot work. A refusal is an answer.",
    "outcome",
    service="credits",
)
for _outcome in ("answered", "failed"):
    REQUESTS.labels(_outcome)


@contextmanager
def counted() -> Iterator[None]:
    """Counts one request to the payment provider."""
    outcome = "answered"
    try:
        yield
    except PaymentsUnavailable:
        outcome = "failed"
        raise
    finally:
        REQUESTS.labels(outcome).inc()

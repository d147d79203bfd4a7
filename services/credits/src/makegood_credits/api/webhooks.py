"""POST /v1/webhooks/payments: events of the payment provider (CRED-6)."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from makegood_chassis.http.context import context
from makegood_chassis.http.described import malformed
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem

from makegood_credits.api.models import HookView
from makegood_credits.api.parameters import DependenciesOf, Provider
from makegood_credits.handlers.payments import on_payment, refuse_payment
from makegood_credits.payments.port import ImpossibleEvent, NotSigned

router = APIRouter(tags=["webhooks"])

_SIGNATURES = {
    "Stripe-Signature": "If Stripe is the payment provider: its signature of the body, `t=…,v1=…`.",
    "Makegood-Signature": "For the development provider: HMAC-SHA256 of timestamp and body, `t=…,v1=…`.",
}
_DESCRIBED: Final[dict[str, Any]] = {
    "parameters": [
        {"name": name, "in": "header", "required": False, "description": about, "schema": {"type": "string"}}
        for name, about in _SIGNATURES.items()
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "additionalProperties": True, "description": "In the provider's format."},
                "example": {"id": "evt_1", "type": "checkout.session.completed"},
            }
        },
    },
}
"""FastAPI does not know these parameters, because the signature is checked on the raw request. A wrong one is answered 400."""


@router.post(
    "/v1/webhooks/payments",
    summary="Receive a payment event",
    response_model=HookView,
    responses={400: malformed(), **problems("validation", "payload-too-large")},
    openapi_extra=_DESCRIBED,
)
async def receive_payment_event(request: Request, dependencies: DependenciesOf, provider: Provider) -> HookView:
    """Receives a webhook of the payment provider. It must be signed and at most 64 KiB. Repeats and any order are harmless.

    The answer is 400 if the signature is missing, wrong or too old, or if the event can't be true; such an event is stored for
    inspection. An event about something unknown is accepted and ignored, so that the provider does not repeat it forever.
    """
    try:
        event = provider.read(request.headers, await request.body())
    except NotSigned as error:
        raise Problem("validation", "The signature is wrong or too old.", status=400) from error
    except ImpossibleEvent as error:
        async with dependencies.database.transaction(context(request).cause) as unit:
            await refuse_payment(unit, provider.name, error)
        raise Problem("validation", f"The event was stored but has no effect: {error.fault}.", status=400) from error
    if event is not None:
        async with dependencies.database.transaction(context(request).cause) as unit:
            await on_payment(unit, provider.name, event)
    return HookView()

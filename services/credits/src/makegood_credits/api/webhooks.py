"""POST /v1/webhooks/payments: what the payment provider tells."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from makegood_chassis.http.context import context
from makegood_chassis.http.described import malformed
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.problems import Problem

from makegood_credits.api.models import HookView
from makegood_credits.api.parameters import Data, Provider
from makegood_credits.handlers.payments import on_payment, refuse_payment
from makegood_credits.payments.port import ImpossibleEvent, NotSigned

router = APIRouter(tags=["web-hooks"])

_SIGNATURES = {
    "Stripe-Signature": "Where Stripe is the payment provider: Stripe's signature of the body, `t=…,v1=…`.",
    "Makegood-Signature": "Where the development provider is: HMAC-SHA256 over moment and body, `t=…,v1=…`.",
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
                "schema": {"type": "object", "additionalProperties": True, "description": "As the provider makes it."},
                "example": {"id": "evt_1", "type": "checkout.session.completed"},
            }
        },
    },
}
"""The signature is read from the raw request, so FastAPI does not know of it. Without one that fits: 400."""


@router.post(
    "/v1/webhooks/payments",
    summary="Web-hooks of the payment provider",
    response_model=HookView,
    responses={400: malformed(), **problems("validation", "payload-too-large")},
    openapi_extra=_DESCRIBED,
)
async def receive_payment_event(request: Request, data: Data, provider: Provider) -> HookView:
    """CRED-6: at most 64 KiB, signed by the provider, each handled once; repeats and any order are harmless.

    400 for one that is not signed, or was too long ago, and for one that says what cannot be, which is kept. One that concerns nothing here is taken and does nothing, so that
    the provider does not send it for ever.
    """
    try:
        event = provider.read(request.headers, await request.body())
    except NotSigned as error:
        raise Problem("validation", "The signature does not fit, or is too old.", status=400) from error
    except ImpossibleEvent as error:
        async with data.transaction(context(request).cause) as unit:
            await refuse_payment(unit, provider.name, error)
        raise Problem("validation", f"The event was kept, and has no effect: {error.fault}.", status=400) from error
    if event is not None:
        async with data.transaction(context(request).cause) as unit:
            await on_payment(unit, provider.name, event)
    return HookView()

"""The page of the development payment provider, where anybody can pay or decline. It does not exist in production."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from typing import Final

from fastapi import APIRouter, Response
from makegood_chassis.http.problems import Problem, not_found
from makegood_chassis.lean_imports import without
from makegood_chassis.money import money_text
from makegood_chassis.service import Service
from makegood_contracts.ids import is_id

from makegood_credits.handlers.payments import what_is_bought
from makegood_credits.payments.choice import PAGE
from makegood_credits.payments.development import DevelopmentPayments
from makegood_credits.payments.port import PaymentOutcome
from makegood_credits.store import payments as payment_store
from makegood_credits.store.payments import Checkout

with without("rich", "pygments"):  # for a command of its own
    import httpx

Deliver = Callable[[bytes, dict[str, str]], Awaitable[int]]
"""Sends a webhook and returns the status."""

_CHOICES: Final[dict[str, PaymentOutcome]] = {"pay": "paid", "decline": "failed"}
_HOOK: Final = "/v1/webhooks/payments"
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def dev_checkouts(service: Service, payments: DevelopmentPayments, deliver: Deliver | None = None) -> APIRouter:
    """GET /dev/checkouts/{id} shows the page. POST /dev/checkouts/{id}/pay and …/decline send the signed webhook."""
    router = APIRouter(prefix=PAGE, include_in_schema=False)
    send = deliver or _to_ourselves(service)

    async def found(checkout_id: str) -> Checkout:
        checkout = None
        if is_id(checkout_id):
            async with service.database.reading() as queries:
                checkout = await payment_store.checkout(queries, checkout_id)
        if checkout is None:
            raise not_found("checkout")
        return checkout

    @router.get("/{checkout_id}")
    async def show(checkout_id: str) -> Response:
        return _page(await found(checkout_id))

    @router.post("/{checkout_id}/{choice}")
    async def choose(checkout_id: str, choice: str) -> Response:
        if choice not in _CHOICES:
            raise not_found("choice")
        checkout = await found(checkout_id)
        try:
            status = await send(*payments.hook(checkout.id, _CHOICES[choice], checkout.amount))
        except httpx.HTTPError as error:
            raise Problem("unavailable", "The webhook could not be delivered.") from error
        if status != 200:
            raise Problem("unavailable", f"The webhook was answered with {status}.")
        return _page(await found(checkout_id))

    return router


def _to_ourselves(service: Service) -> Deliver:
    host = service.settings.http_host
    base = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{service.settings.http_port}"  # noqa: S104

    async def send(body: bytes, headers: dict[str, str]) -> int:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            return (await client.post(base + _HOOK, content=body, headers=headers)).status_code

    return send


def _page(checkout: Checkout) -> Response:
    """Plain HTML with the gateway's style sheet, the only one that the policy allows."""
    what = what_is_bought(checkout)
    state = {"open": "Not paid yet.", "paid": "Paid.", "failed": "Declined."}[checkout.state]
    price = money_text(checkout.amount.amount_minor, checkout.amount.currency)
    buttons = "".join(
        f'<form method="post" action="{PAGE}/{checkout.id}/{choice}"><button class="{choice}">{label}</button></form>'
        for choice, label in (("pay", "Pay"), ("decline", "Decline"))
        if checkout.state != "paid"
    )
    content = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Development payment · Makegood</title>'
        '<link rel="icon" href="/assets/icon.svg"><link rel="stylesheet" href="/assets/pages.css"></head><body>'
        '<header><span class="brand"><img src="/assets/icon.svg" alt="" width="24" height="24">Makegood</span></header><main>'
        f'<h1>{escape(what)}: {escape(price)}</h1><p role="status"><strong>{state}</strong></p>'
        f'<div class="choices">{buttons}</div>'
        '<p class="note">This page stands in for a payment provider in development. No money moves.</p></main></body></html>'
    )
    return Response(content, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})

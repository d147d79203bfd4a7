"""/v1/purchases: members buy single credits (CRED-6)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.mutations import KeyedMutation, release_many
from makegood_chassis.http.openapi import LOCATION, problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import not_found, valid_id
from makegood_chassis.http.rights import Access, operation
from makegood_contracts.ids import new_id

from makegood_credits.api.models import MoneyView, PurchaseBody, PurchaseView, RefundView, refund_view
from makegood_credits.api.parameters import DependenciesOf, Provider
from makegood_credits.api.refusals import not_payable
from makegood_credits.dependencies import Dependencies
from makegood_credits.domain.purchasing import Purchase
from makegood_credits.handlers import commands
from makegood_credits.handlers.payments import open_checkout
from makegood_credits.payments.port import OrderRefused, PaymentsUnavailable
from makegood_credits.store import payments as payment_store

router = APIRouter(tags=["purchases"])

Buyer = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=128,
        description="For support: only return this member's purchases.",
        examples=["member-42"],
    ),
]


@router.post(
    "/v1/purchases",
    summary="Buy credits",
    status_code=201,
    response_model=PurchaseView,
    responses={
        201: {"headers": LOCATION},
        **problems("payment-refused", "purchase-not-allowed", "length-not-in-plan", "validation"),
    },
)
async def buy_credits(
    body: PurchaseBody,
    access: Annotated[Access, Depends(operation("purchase.make"))],
    mutation: KeyedMutation,
    dependencies: DependenciesOf,
    log: Log,
    provider: Provider,
) -> Response:
    """Buys single credits, if the member's plan allows it. `checkout_url` is the page on which to pay.

    The credits are granted once they are paid, and expire after a year. With `length_minutes`, they pay for sessions of this
    length; without it, for all lengths of the plan.
    """
    member = access.caller.subject
    purchase_id = new_id()
    path = f"/v1/purchases/{purchase_id}"
    async with mutation.unit(resource=path) as unit:
        bought, checkout = await commands.buy_credits(
            unit, member, purchase_id, body.quantity, body.length_minutes, provider
        )
        await log.record(unit, access, None, member, entity=f"purchase:{bought.id}")
    try:
        url = await open_checkout(dependencies.database, provider, checkout)
    except (PaymentsUnavailable, OrderRefused) as error:
        async with dependencies.database.transaction(mutation.cause) as unit:
            await commands.withdraw_purchase(unit, bought.id)
            await release_many([mutation.claim], unit)
        raise not_payable(error) from error
    answer = mutation.answer(201, _view(bought, url), location=path)
    return await mutation.complete(answer)


@router.get(
    "/v1/purchases",
    summary="List purchases",
    response_model=Page[PurchaseView],
    responses=problems("not-found", "validation"),
)
async def list_purchases(
    access: Annotated[Access, Depends(operation("purchase.read"))],
    dependencies: DependenciesOf,
    log: Log,
    member_id: Buyer = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PurchaseView]:
    """Lists your purchases, newest first. Support sees the purchases of all members, or of one."""
    mine = access.caller.subject
    role = access.require("member", member_id=member_id or mine)
    buyer = mine if role == "member" else member_id
    position = decode_cursor(cursor, int)
    async with dependencies.database.reading() as queries:
        rows = await payment_store.purchase_rows(queries, buyer, position[0] if position else None, limit + 1)
        people = {buyer} if buyer is not None else {row["member_id"] for row in rows[:limit]}
        await log.record(queries, access, role, *sorted(people))
    items, following = page(rows, limit, lambda row: _item(row, row["url"]), lambda row: (row["number"],))
    return Page(items=items, next_cursor=following)


@router.get(
    "/v1/purchases/{purchase_id}",
    summary="Read a purchase",
    response_model=PurchaseView,
    responses=problems("not-found"),
)
async def read_purchase(
    purchase_id: Annotated[str, Path(max_length=64, examples=["019ab0c9-7a11-7c52-9b1d-3e5f2c4d6a70"])],
    access: Annotated[Access, Depends(operation("purchase.read"))],
    dependencies: DependenciesOf,
    log: Log,
) -> PurchaseView:
    """Reads a purchase. It is `pending` until the payment provider reports that it was paid or has failed. If the member's
    plan no longer sells credits when the payment arrives, no credits are granted and the payment is refunded."""
    async with dependencies.database.reading() as queries:
        row = await payment_store.purchase_row(queries, valid_id(purchase_id, "purchase"))
        if row is None:
            raise not_found("purchase")
        role = access.require("purchase", member_id=row["member_id"])
        await log.record(queries, access, role, row["member_id"], entity=f"purchase:{row['id']}")
    return _item(row, row["url"] or await _address(dependencies, row["checkout_id"]))


async def _address(dependencies: Dependencies, checkout_id: str) -> str | None:
    """The checkout page, requested now if the process died before it could do so."""
    if dependencies.payments is None:
        return None
    try:
        return await open_checkout(dependencies.database, dependencies.payments, checkout_id)
    except (PaymentsUnavailable, OrderRefused):
        return None


def _item(row: Any, url: str | None) -> PurchaseView:
    return _view(payment_store.purchase_of(row), url, refund_view(row))


def _view(bought: Purchase, url: str | None, refund: RefundView | None = None) -> PurchaseView:
    return PurchaseView(
        id=bought.id,
        member_id=bought.member_id,
        status=bought.status,
        quantity=bought.quantity,
        length_minutes=bought.length_minutes,
        amount=MoneyView(amount_minor=bought.amount.amount_minor, currency=bought.amount.currency),
        checkout_url=url if bought.status == "pending" else None,
        refund=refund,
    )

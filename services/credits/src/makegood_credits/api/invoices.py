"""/v1/members/{member_id}/invoices: read, pay and void invoices (CRED-7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from makegood_chassis.database import Queries
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.mutations import UnversionedMutation, release_many
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.pages import Cursor, Limit, Page, decode_cursor, page
from makegood_chassis.http.problems import not_found, valid_id
from makegood_chassis.http.rights import Access, operation

from makegood_credits.api.models import InvoiceView, MemberId, MoneyView, PaymentView, VoidBody, refund_view
from makegood_credits.api.parameters import DependenciesOf, Provider
from makegood_credits.api.refusals import not_payable
from makegood_credits.handlers import commands
from makegood_credits.handlers.payments import open_checkout
from makegood_credits.payments.port import OrderRefused, PaymentsUnavailable
from makegood_credits.store import reads
from makegood_credits.store.personal_data import read_reasons

router = APIRouter(tags=["invoices"])

InvoiceId = Annotated[str, Path(max_length=64, examples=["019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11"])]


@router.get(
    "/v1/members/{member_id}/invoices",
    summary="List invoices",
    response_model=Page[InvoiceView],
    responses=problems("not-found", "validation"),
)
async def list_invoices(
    member_id: MemberId,
    access: Annotated[Access, Depends(operation("invoices.read"))],
    dependencies: DependenciesOf,
    log: Log,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InvoiceView]:
    """Lists a member's invoices, newest first. They are for co-pays and for extensions of sessions."""
    role = access.require("member", member_id=member_id)
    position = decode_cursor(cursor, int)
    async with dependencies.database.reading() as queries:
        rows = await reads.invoices_of(queries, member_id, position[0] if position else None, limit + 1)
        await log.record(queries, access, role, member_id)
        reasons = await _reasons(queries, rows)
    items, following = page(rows, limit, lambda row: _invoice(row, reasons), lambda row: (row["number"],))
    return Page(items=items, next_cursor=following)


@router.get(
    "/v1/members/{member_id}/invoices/{invoice_id}",
    summary="Read an invoice",
    response_model=InvoiceView,
    responses=problems("not-found", "validation"),
)
async def read_invoice(
    member_id: MemberId,
    invoice_id: InvoiceId,
    access: Annotated[Access, Depends(operation("invoices.read"))],
    dependencies: DependenciesOf,
    log: Log,
) -> InvoiceView:
    """Reads an invoice."""
    role = access.require("member", member_id=member_id)
    async with dependencies.database.reading() as queries:
        row = await reads.invoice(queries, member_id, valid_id(invoice_id, "invoice"))
        if row is None:
            raise not_found("invoice")
        await log.record(queries, access, role, member_id, entity=f"invoice:{row['id']}")
        reasons = await _reasons(queries, [row])
    return _invoice(row, reasons)


@router.post(
    "/v1/members/{member_id}/invoices/{invoice_id}/pay",
    summary="Pay an invoice",
    response_model=PaymentView,
    responses=problems("invoice-not-payable", "payment-refused", "not-found", "validation"),
)
async def pay_invoice(
    member_id: MemberId,
    invoice_id: InvoiceId,
    access: Annotated[Access, Depends(operation("invoice.pay"))],
    mutation: UnversionedMutation,
    dependencies: DependenciesOf,
    log: Log,
    provider: Provider,
) -> Response:
    """Returns the page on which the invoice can be paid. A repeated request returns the same page as long as it is valid.

    When the payment provider confirms the payment, the invoice becomes `paid` and no longer blocks bookings.
    """
    role = access.require("member", member_id=member_id)
    invoice_id = valid_id(invoice_id, "invoice")
    async with mutation.unit(resource=f"/v1/members/{member_id}/invoices/{invoice_id}") as unit:
        invoice, checkout = await commands.pay_invoice(unit, member_id, invoice_id, provider)
        await log.record(unit, access, role, member_id, entity=f"invoice:{invoice_id}")
    try:
        url = await open_checkout(dependencies.database, provider, checkout)
    except (PaymentsUnavailable, OrderRefused) as error:
        async with dependencies.database.transaction(mutation.cause) as unit:
            await release_many([mutation.claim], unit)
        raise not_payable(error) from error
    amount = MoneyView(amount_minor=invoice.amount.amount_minor, currency=invoice.amount.currency)
    view = PaymentView(invoice_id=invoice.id, status=invoice.status, amount=amount, checkout_url=url)
    return await mutation.complete(mutation.answer(200, view))


@router.post(
    "/v1/members/{member_id}/invoices/{invoice_id}/void",
    summary="Void an invoice",
    response_model=InvoiceView,
    responses=problems("conflict-of-interest", "not-found", "validation"),
)
async def void_invoice(
    member_id: MemberId,
    invoice_id: InvoiceId,
    body: VoidBody,
    access: Annotated[Access, Depends(operation("invoice.void"))],
    mutation: UnversionedMutation,
    log: Log,
) -> Response:
    """Voids an invoice, as support: nothing is owed any more, and what was paid is refunded. An invoice that is already void
    keeps its reason."""
    access.require_other(member_id)
    invoice_id = valid_id(invoice_id, "invoice")
    async with mutation.unit() as unit:
        made_by = access.caller.subject
        await commands.void_invoice(unit, member_id, invoice_id, reason=body.reason, made_by=made_by)
        row = await reads.invoice(unit, member_id, invoice_id)
        assert row is not None
        await log.record(unit, access, None, member_id, entity=f"invoice:{row['id']}")
        return mutation.answer(200, _invoice(row, await _reasons(unit, [row])), personal_of=member_id)


async def _reasons(queries: Queries, rows: Sequence[Any]) -> dict[str, str]:
    return await read_reasons(queries, "invoice", [row["id"] for row in rows if row["void_reason"] is not None])


def _invoice(row: Any, reasons: Mapping[str, str]) -> InvoiceView:
    return InvoiceView(
        id=str(row["id"]),
        member_id=row["member_id"],
        session_id=str(row["session_id"]) if row["session_id"] else None,
        status=row["status"],
        amount=MoneyView(amount_minor=row["amount_minor"], currency=row["currency"]),
        due_on=row["due_on"],
        about=row["about"],
        refund=refund_view(row),
        void_reason=reasons.get(str(row["id"]), row["void_reason"]),
    )

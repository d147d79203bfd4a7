"""Literal types of requests and answers, by their names in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from makegood_contracts.events import LotSource, Modality, PlanKind

from makegood_credits.api.enrolments import EnrolmentStatus
from makegood_credits.api.models import RefundStatus
from makegood_credits.domain.balance import UnusableCode
from makegood_credits.domain.book import EntryKind
from makegood_credits.domain.invoices import InvoiceAbout, InvoiceStatus
from makegood_credits.domain.proposing import ProposalStatus
from makegood_credits.domain.purchasing import PurchaseStatus

ENUMS: Final[Mapping[str, Any]] = {
    "EnrolmentStatus": EnrolmentStatus,
    "InvoiceAbout": InvoiceAbout,
    "InvoiceStatus": InvoiceStatus,
    "LedgerKind": EntryKind,
    "LotSource": LotSource,
    "Modality": Modality,
    "PlanKind": PlanKind,
    "ProposalStatus": ProposalStatus,
    "PurchaseStatus": PurchaseStatus,
    "RefundStatus": RefundStatus,
    "UnusableCode": UnusableCode,
}

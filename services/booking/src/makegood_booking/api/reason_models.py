"""Parts of other answers: reasons and their remedies, costs, and actions."""

from __future__ import annotations

from typing import Annotated, Final

from makegood_chassis.http.models import Instant, View, example
from makegood_chassis.http.structs import struct_of
from makegood_contracts.reasons import Reason, ReasonCode
from makegood_plans.plans import Costs
from pydantic import ConfigDict, Field

from makegood_booking.domain import actions, remedies
from makegood_booking.domain.remedies import RemedyContext, remedies_of

ROOM_ID: Final = "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11"


class MoneyView(View):
    """An amount of money in minor units (cents)."""

    model_config = example(amount_minor=2500, currency="USD")

    amount_minor: int
    currency: str


class CostsView(View):
    """What something costs: credits, or an amount."""

    model_config = example(credit=1, amount=None)

    credit: Annotated[int | None, Field(description="How many credits it costs. Null if it does not cost credits.")] = (
        None
    )
    amount: Annotated[MoneyView | None, Field(description="The co-pay. Null if there is none.")] = None

    @classmethod
    def of(cls, costs: Costs) -> CostsView:
        amount = costs.amount
        money = None if amount is None else _Money(amount_minor=amount.amount_minor, currency=amount.currency)
        return _Costs(credit=costs.credit, amount=money)


class RemedyView(View):
    """Something that helps."""

    model_config = example(action="restart_therapy", href=f"/v1/rooms/{ROOM_ID}/restart")

    action: remedies.RemedyAction
    href: Annotated[str | None, Field(description="Where to do it in this API. Null if it is done elsewhere.")] = None


class ReasonView(View):
    """A reason why something can't be booked."""

    model_config = example(
        code="room-closed",
        detail="The room is closed.",
        remedy={"action": "restart_therapy", "href": f"/v1/rooms/{ROOM_ID}/restart"},
        remedies=[
            {"action": "restart_therapy", "href": f"/v1/rooms/{ROOM_ID}/restart"},
            {"action": "match_new_provider", "href": f"/v1/rooms/{ROOM_ID}/change-provider"},
        ],
        available_from=None,
        credits=None,
    )

    code: ReasonCode
    detail: str
    remedy: Annotated[RemedyView, Field(description="The most helpful remedy: the first of `remedies`.")]
    remedies: Annotated[list[RemedyView], Field(description="All remedies, the most helpful first.")]
    available_from: Annotated[
        Instant | None, Field(description="For `no-session-credits`: when the plan grants credits next.")
    ] = None
    credits: Annotated[
        int | None, Field(description="For `no-session-credits`: how many credits the plan grants then.")
    ] = None

    @classmethod
    def of(cls, reason: Reason, at: RemedyContext) -> ReasonView:
        """The reason with its remedies, as bookability and a refused booking show it (BOOK-8)."""
        helps = [_Remedy(action=each.action, href=each.href) for each in remedies_of(reason, at)]
        return _Reason(
            code=reason.code,
            detail=reason.detail,
            remedy=helps[0],
            remedies=helps,
            available_from=reason.available_from,
            credits=reason.credits,
        )


class ActionView(View):
    """An action on a session: whether you may take it now and, if not, when or why not."""

    # Answers contain `actions.Action`, which has this JSON form.

    model_config = ConfigDict(
        populate_by_name=True,
        serialize_by_alias=True,
        **example(
            action="cancel",
            allowed=True,
            **{"from": None},
            until="2026-11-22T09:00:00Z",
            costs=None,
            reason=None,
        ),
    )

    action: actions.ActionName
    allowed: bool
    from_: Annotated[Instant | None, Field(alias="from", description="It is refused before this time.")] = None
    until: Annotated[Instant | None, Field(description="After this time it is refused, or costs more.")] = None
    costs: Annotated[CostsView | None, Field(description="What it costs to do it now. Null if it costs nothing.")] = (
        None
    )
    reason: Annotated[
        actions.ActionReason | None,
        Field(description="Why it is refused: the slug of the problem that the request would get."),
    ] = None


_Money: Final = struct_of(MoneyView)
_Costs: Final = struct_of(CostsView)
_Remedy: Final = struct_of(RemedyView)
_Reason: Final = struct_of(ReasonView)


def plain_remedy(helps: remedies.Remedy) -> dict[str, str]:
    """`{action, href?}`, as in the reasons of problems."""
    return {"action": helps.action} if helps.href is None else {"action": helps.action, "href": helps.href}

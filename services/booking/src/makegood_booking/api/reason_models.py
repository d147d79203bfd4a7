"""Why something was refused and what helps, what it costs, and what can be done: parts of other answers."""

from __future__ import annotations

from typing import Annotated, Self

from makegood_chassis.http.models import Instant, View, example
from makegood_contracts.reasons import Reason, ReasonCode
from pydantic import ConfigDict, Field

from makegood_booking.domain import actions, remedies
from makegood_booking.domain.remedies import RemedyContext, remedies_of

_ROOM_ID = "019ab0c4-3f8e-7d6a-9d6b-0f3b7b1f4a11"


class MoneyView(View):
    """An amount of money in minor units (cents)."""

    model_config = example(amount_minor=2500, currency="USD")

    amount_minor: int
    currency: str


class CostsView(View):
    """What something costs: credits, or an amount."""

    model_config = example(credit=1, amount=None)

    credit: Annotated[int | None, Field(description="Credits; null where none are asked for.")] = None
    amount: Annotated[MoneyView | None, Field(description="The co-pay; null where it costs none.")] = None


class RemedyView(View):
    """What helps."""

    model_config = example(action="restart_therapy", href=f"/v1/rooms/{_ROOM_ID}/restart")

    action: remedies.RemedyAction
    href: Annotated[str | None, Field(description="Where, in this API; null where it is done elsewhere.")] = None


class ReasonView(View):
    """Why nothing can be booked."""

    model_config = example(
        code="room-closed",
        detail="The room is closed.",
        remedy={"action": "restart_therapy", "href": f"/v1/rooms/{_ROOM_ID}/restart"},
        remedies=[
            {"action": "restart_therapy", "href": f"/v1/rooms/{_ROOM_ID}/restart"},
            {"action": "match_new_provider", "href": f"/v1/rooms/{_ROOM_ID}/change-provider"},
        ],
        available_from=None,
        credits=None,
    )

    code: ReasonCode
    detail: str
    remedy: Annotated[RemedyView, Field(description="What helps most: the first of `remedies`.")]
    remedies: Annotated[list[RemedyView], Field(description="All that helps.")]
    available_from: Annotated[
        Instant | None, Field(description="Of `no-session-credits`: when the plan gives credits next.")
    ] = None
    credits: Annotated[int | None, Field(description="And how many.")] = None

    @classmethod
    def of(cls, reason: Reason, at: RemedyContext) -> Self:
        """The reason with what helps, as bookability and a refused booking tell it (BOOK-8)."""
        helps = [RemedyView.model_validate(each) for each in remedies_of(reason, at)]
        return cls(
            code=reason.code,
            detail=reason.detail,
            remedy=helps[0],
            remedies=helps,
            available_from=reason.available_from,
            credits=reason.credits,
        )


class ActionView(View):
    """What the reader may do with a session now, and what they may not: when it opens, or why it is refused (BOOK-10)."""

    model_config = ConfigDict(
        frozen=True,
        populate_by_name=True,
        serialize_by_alias=True,
        json_schema_extra={
            "examples": [
                {
                    "action": "cancel",
                    "allowed": True,
                    "from": None,
                    "until": "2026-11-22T09:00:00Z",
                    "costs": None,
                    "reason": None,
                }
            ]
        },
    )

    action: actions.ActionName
    allowed: bool
    from_: Annotated[Instant | None, Field(alias="from", description="It is refused before.")] = None
    until: Annotated[Instant | None, Field(description="After that it is refused, or costs more.")] = None
    costs: Annotated[CostsView | None, Field(description="What it costs to do it now; null: nothing.")] = None
    reason: Annotated[
        actions.ActionReason | None, Field(description="Why it is refused: the slug of the problem it would get.")
    ] = None

    @classmethod
    def of(cls, action: actions.Action) -> ActionView:
        """Not validated: sessions are shown on the booking path."""
        return cls.model_construct(
            action=action.action,
            allowed=action.allowed,
            from_=action.opens,
            until=action.until,
            costs=None if action.costs is None else CostsView.model_validate(action.costs),
            reason=action.reason,
        )


def plain_remedy(helps: remedies.Remedy) -> dict[str, str]:
    """`{action, href?}`, as reasons in problems carry it."""
    return {"action": helps.action} if helps.href is None else {"action": helps.action, "href": helps.href}

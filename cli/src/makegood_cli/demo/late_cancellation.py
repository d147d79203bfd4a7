"""The story "I have to cancel late": a late cancellation costs the member the credit, but not if the provider cancels."""

from __future__ import annotations

from datetime import datetime, timedelta

from makegood_devtools.client import Refused
from makegood_devtools.errors import UserError

from makegood_cli.demo.screen import local
from makegood_cli.demo.stage import MEMBER_ZONE, Company, Stage, company

TITLE = "I have to cancel late"
_TOLD = ["MessageDelivered"] * 2
"""One e-mail and one chat message."""


async def play(stage: Stage) -> None:
    """Plays the story."""
    async with company(stage) as cast:
        screen, member, ticker = cast.screen, cast.member, cast.ticker
        screen.chapter("The member books two sessions, and the provider confirms both")
        slots = await cast.slots(timedelta(days=4))
        first = await cast.book(slots[0]["starts_at"])
        await cast.confirm(first)
        second = await cast.book(next(slot["starts_at"] for slot in slots if _a_day_later(slot, slots[0])))
        await cast.confirm(second)

        screen.chapter("The member checks until when cancelling is free")
        path = f"/v1/sessions/{first['id']}"
        policy = await member.get(f"{path}/policy")
        free_until = local(policy["free_until"], MEMBER_ZONE)
        screen.request("member", "GET", f"{path}/policy", f"free until {free_until}")
        screen.said(policy["text"])

        screen.chapter("36 hours before the start, the member wants to cancel. That is too late to cancel for free")
        starts_at = datetime.fromisoformat(first["starts_at"])
        await cast.time_passes(starts_at - timedelta(hours=36))
        try:
            await member.post(f"{path}/cancel", {}, wait=15)
        except Refused as refusal:
            if refusal.slug != "forfeit-not-accepted":
                raise
            screen.refused("member", "POST", f"{path}/cancel", refusal)
            applies = refusal.problem["policy"]
            screen.said(f"policy  free until {local(applies['free_until'], MEMBER_ZONE)}, forfeits now: yes")
        else:
            raise UserError("a late cancellation was accepted without accept_forfeit")
        unchanged = await member.get(path)
        screen.request(
            "member", "GET", path, f"{unchanged['status']}, credit {unchanged['credit']['state']}: unchanged"
        )

        screen.chapter(
            "The member accepts. The session is cancelled, the credit is forfeited, and the slot is free for others"
        )
        body = {"accept_forfeit": True, "remark": "I have to travel."}
        answer = await member.post(f"{path}/cancel", body, wait=15)
        said = f"{answer.status} {answer['status']}, credit {answer['credit']['state']}"
        screen.request("member", "POST", f"{path}/cancel  accept_forfeit", said)
        screen.events(await ticker.until("SessionCancelled", "SlotReleased", "CreditForfeited", *_TOLD))
        screen.said("The remark is for the provider only. None of these events contains it in plain text.")
        open_again = any(slot["starts_at"] == first["starts_at"] for slot in await cast.slots(timedelta(hours=3)))
        screen.said(f"{local(starts_at, MEMBER_ZONE)} is {'offered again' if open_again else 'NOT offered again'}")
        await cast.show_credits()

        await _the_other_way_round(cast, second["id"])
        await cast.show_statement()


async def _the_other_way_round(cast: Company, session_id: str) -> None:
    cast.screen.chapter(
        "The provider cancels the second session, with even less notice. The member gets the credit back"
    )
    path = f"/v1/sessions/{session_id}"
    answer = await cast.provider.post(f"{path}/cancel", {}, wait=15)
    said = f"{answer.status} {answer['status']}, credit {answer['credit']['state']}"
    cast.screen.request("provider", "POST", f"{path}/cancel", said)
    cast.screen.events(await cast.ticker.until("SessionCancelled", "SlotReleased", "CreditReturned", *_TOLD, _TOLD[0]))
    await cast.show_chat()


def _a_day_later(slot: dict[str, str], first: dict[str, str]) -> bool:
    starts = [datetime.fromisoformat(each["starts_at"]) for each in (slot, first)]
    return starts[0] - starts[1] >= timedelta(hours=20)

"""The story "The provider missed my session": booked, confirmed, missed, made good and rebooked."""

from __future__ import annotations

from datetime import datetime, timedelta

from makegood_cli.demo.screen import local
from makegood_cli.demo.stage import MEMBER_ZONE, Stage, company

TITLE = "The provider missed my session"
MISSED = "Your provider missed your scheduled session."


async def play(stage: Stage) -> None:
    """Plays the story."""
    async with company(stage) as cast:
        screen, member, ticker = cast.screen, cast.member, cast.ticker
        # -- slots, policy, credits
        screen.chapter("The member looks for a slot and reads the policy")
        slots = await cast.slots(timedelta(days=4))
        starts_at = datetime.fromisoformat(slots[0]["starts_at"])
        path = f"/v1/providers/{cast.provider.subject}/slots"
        screen.request("member", "GET", path, f"{len(slots)} slots, the first {local(starts_at, MEMBER_ZONE)}")
        policy = await member.get("/v1/policies/current")
        screen.request("member", "GET", "/v1/policies/current", f"version {policy['version']}")
        screen.said(policy["text"])
        await cast.show_credits()

        screen.chapter("The member books. One slot and one credit are held, or neither")
        session = await cast.book(slots[0]["starts_at"])
        path = f"/v1/sessions/{session['id']}"

        screen.chapter("The provider confirms. The member gets an e-mail with a calendar invitation")
        await cast.confirm(session)

        # -- the day
        screen.chapter("Five minutes before the start, the member joins. The provider does not")
        await cast.time_passes(starts_at - timedelta(minutes=5))
        joined = await member.post(f"{path}/join")
        screen.request("member", "POST", f"{path}/join", f"{joined.status}  {joined['join_url'].partition('#')[0]}")
        screen.events(await ticker.until("SessionJoined"))

        screen.chapter("Ten minutes after the start, the provider has not come. The platform makes it good by itself")
        await cast.time_passes(starts_at + timedelta(minutes=10))
        mail = await cast.mailbox.wait_for(MISSED)
        seen = await ticker.until("ProviderMissed", "CreditReturned", "SlotReleased", *["MessageDelivered"] * 3)
        screen.events(seen)
        screen.mail(mail)
        await cast.show_trace(seen, "ProviderMissed", "publish CreditReturned", "publish SlotReleased", "send email")
        outcome = await member.get(path)
        screen.request("member", "GET", path, f"{outcome['status']}, credit {outcome['credit']['state']}")
        await cast.show_credits()
        await cast.show_chat()

        # -- rebook
        screen.chapter("The member rebooks at once, with the same room, length and modality")
        again = await cast.slots(timedelta(days=1))
        await cast.book(again[0]["starts_at"])
        await cast.show_statement()

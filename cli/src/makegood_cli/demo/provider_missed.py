"""The story "the provider missed my session": booked, confirmed, missed, made good, rebooked."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from makegood_contracts.envelope import Received

from makegood_cli.client import Gateway
from makegood_cli.demo.mailbox import Mailbox
from makegood_cli.demo.screen import Screen, credit_line, local
from makegood_cli.demo.ticker import Ticker

MEMBER_ZONE = "Europe/Berlin"
PROVIDER_ZONE = "America/New_York"
CONFIRMED = "Your session is confirmed! Mark your calendar."
MISSED = "Your provider missed your scheduled session."

SCHEDULE = {
    "time_zone": PROVIDER_ZONE,
    "weekly": [
        {"day": day, "from": "09:00", "to": "17:00"} for day in ("monday", "tuesday", "wednesday", "thursday", "friday")
    ],
    "buffer_after_minutes": 10,
    "minimum_notice_minutes": 120,
    "horizon_days": 60,
    "session_types": [{"length_minutes": 30, "modalities": ["video", "audio", "chat"]}],
}


@dataclass(frozen=True)
class Stage:
    """What a story is played on. `clock_now` and `advance_to` are the development clock."""

    gateway: Gateway
    bootstrap: str
    topic_prefix: str
    mail_url: str
    screen: Screen
    clock_now: Callable[[], Awaitable[datetime]]
    advance_to: Callable[[datetime], Awaitable[None]]
    first_booking: Callable[[], None]
    """Called when the first booking stands, for whoever takes the time."""


def _about(ids: set[str]) -> Callable[[Received[Any]], bool]:
    def told(received: Received[Any]) -> bool:
        event = received.event
        return any(getattr(event, name, None) in ids for name in ("member_id", "provider_id", "person_id"))

    return told


async def play(stage: Stage) -> None:
    """Plays the story with people of its own, so that it can be played again and again."""
    run = uuid.uuid4().hex[:6]
    member = stage.gateway.person("member", f"member-{run}")
    provider = stage.gateway.person("provider", f"provider-{run}")
    support = stage.gateway.person("support", "support-demo")
    screen = stage.screen
    screen.title(
        "The provider missed my session",
        "Through the gateway, as a client app would. Below each step: the events, read from Kafka.",
    )
    mailbox = Mailbox(stage.mail_url, f"{member.subject}@example.com")
    try:
        async with Ticker(stage.bootstrap, stage.topic_prefix, _about({member.subject, provider.subject})) as ticker:
            # -- people, plan, schedule, room
            screen.chapter("A provider publishes a schedule; a member is on a plan with credits; they share a room")
            for person, name, zone in ((member, "Robin", MEMBER_ZONE), (provider, "Dr. Lee", PROVIDER_ZONE)):
                contact = {"name": name, "email": f"{person.subject}@example.com", "time_zone": zone}
                await person.put(f"/v1/people/{person.subject}/contact", contact)
            path = f"/v1/providers/{provider.subject}/schedule"
            answer = await provider.put(path, SCHEDULE)
            screen.request("provider", "PUT", path, f"{answer.status}  Mon-Fri 09:00-17:00 {PROVIDER_ZONE}")
            path = f"/v1/members/{member.subject}/enrolment"
            now = await stage.clock_now()
            answer = await support.put(path, {"plan_id": "out-of-pocket-4", "starts_on": f"{now:%Y-%m-%d}"})
            screen.request("support", "PUT", path, f"{answer.status}  out-of-pocket-4")
            room = await support.post("/v1/rooms", {"member_id": member.subject, "provider_id": provider.subject})
            screen.request("support", "POST", "/v1/rooms", f"{room.status}  room {room['id']}")
            screen.events(await ticker.until("SchedulePublished", "MemberEnrolled", "CreditGranted", "RoomOpened"))

            # -- slots, policy, credits
            screen.chapter("The member looks for a slot and reads the policy")
            path = f"/v1/providers/{provider.subject}/slots"
            slots = await member.get(
                path,
                **{
                    "from": (now + timedelta(days=4)).isoformat(),
                    "to": (now + timedelta(days=11)).isoformat(),
                    "length_minutes": 30,
                    "modality": "video",
                    "time_zone": MEMBER_ZONE,
                },
            )
            slot = slots["items"][0]
            starts_at = datetime.fromisoformat(slot["starts_at"])
            screen.request(
                "member", "GET", path, f"{len(slots['items'])} slots, the first {local(starts_at, MEMBER_ZONE)}"
            )
            policy = await member.get("/v1/policies/current")
            screen.request("member", "GET", "/v1/policies/current", f"version {policy['version']}")
            screen.said(policy["text"])
            credits = await member.get(f"/v1/members/{member.subject}/credits")
            screen.request("member", "GET", f"/v1/members/{member.subject}/credits", credit_line(credits.body))

            # -- book
            screen.chapter("The member books: one slot and one credit are set aside, or neither")
            wish = {
                "room_id": room["id"],
                "starts_at": slot["starts_at"],
                "length_minutes": 30,
                "modality": "video",
                "time_zone": MEMBER_ZONE,
            }
            session = await member.post("/v1/sessions", wish, wait=15)
            stage.first_booking()
            screen.request(
                "member",
                "POST",
                "/v1/sessions",
                f"{session.status} {session['status']}, credit {session['credit']['state']}",
            )
            path = f"/v1/sessions/{session['id']}"
            screen.events(await ticker.until("SessionRequested", "SlotHeld", "CreditHeld", "SessionReserved"))

            # -- confirm
            screen.chapter("The provider confirms; an e-mail with a calendar invitation arrives")
            answer = await provider.post(f"{path}/confirm")
            screen.request("provider", "POST", f"{path}/confirm", f"{answer.status} {answer['status']}")
            mail = await mailbox.wait_for(CONFIRMED)
            screen.events(await ticker.until("SessionConfirmed", "MessageDelivered"))
            screen.said(f"✉  {mail['Subject']}  (attached: {', '.join(a['FileName'] for a in mail['Attachments'])})")

            # -- the day
            screen.chapter("The day comes: five minutes before the start the member joins, alone")
            await stage.advance_to(starts_at - timedelta(minutes=5))
            screen.said(f"clock  {local(starts_at - timedelta(minutes=5), MEMBER_ZONE)}")
            joined = await member.post(f"{path}/join")
            screen.request("member", "POST", f"{path}/join", f"{joined.status}  {joined['join_url'].partition('?')[0]}")
            screen.events(await ticker.until("SessionJoined"))

            screen.chapter("Ten minutes past the start the provider has not come. Nobody asks for anything")
            await stage.advance_to(starts_at + timedelta(minutes=10))
            screen.said(f"clock  {local(starts_at + timedelta(minutes=10), MEMBER_ZONE)}")
            mail = await mailbox.wait_for(MISSED)
            screen.events(await ticker.until("ProviderMissed", "CreditReturned", "SlotReleased", "MessageDelivered"))
            screen.said(f"✉  {mail['Subject']}")
            outcome = await member.get(path)
            screen.request("member", "GET", path, f"{outcome['status']}, credit {outcome['credit']['state']}")
            credits = await member.get(f"/v1/members/{member.subject}/credits")
            screen.request("member", "GET", f"/v1/members/{member.subject}/credits", credit_line(credits.body))
            messages = await member.get(f"/v1/rooms/{room['id']}/messages")
            for message in reversed(messages["items"]):
                screen.said(f"💬 {message['text']}")

            # -- rebook
            screen.chapter("The member rebooks at once: same room, length and modality")
            after = await stage.clock_now()
            slots = await member.get(
                f"/v1/providers/{provider.subject}/slots",
                **{
                    "from": (after + timedelta(days=1)).isoformat(),
                    "to": (after + timedelta(days=8)).isoformat(),
                    "length_minutes": 30,
                    "modality": "video",
                    "time_zone": MEMBER_ZONE,
                },
            )
            again = await member.post("/v1/sessions", {**wish, "starts_at": slots["items"][0]["starts_at"]}, wait=15)
            screen.request(
                "member",
                "POST",
                "/v1/sessions",
                f"{again.status} {again['status']} for {local(again['starts_at'], MEMBER_ZONE)}",
            )
            screen.events(await ticker.until("SessionRequested", "SlotHeld", "CreditHeld", "SessionReserved"))
            ledger = await member.get(f"/v1/members/{member.subject}/ledger")
            screen.said("The member's statement, oldest first:")
            screen.list(
                (item["kind"], f"{item['amount']}   available {item['available_after']}, held {item['held_after']}")
                for item in reversed(ledger["items"])
            )
    finally:
        await mailbox.close()

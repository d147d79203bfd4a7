"""The story "why can't I book?": one obstacle after the other, what the answer says helps, and that it does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from makegood_chassis.money import money_text
from makegood_devtools.client import Answer, Refused
from makegood_devtools.errors import UserError

from makegood_cli.demo.stage import MEMBER_ZONE, SCHEDULE, Company, Stage, company

TITLE = "Why can't I book?"


async def play(stage: Stage) -> None:
    """Plays the story."""
    async with company(stage) as cast:
        screen, member = cast.screen, cast.member
        screen.chapter("Nothing is in the way: the answer names the next slots, and the first of them can be booked")
        found = await _ask(cast)
        await cast.book(found["next_slots"][0]["starts_at"])

        screen.chapter("All credits of the month are set aside")
        for slot in await _one_a_day(cast, 3):
            await cast.book(slot, quietly=True)
        found = await _ask(cast, "no-session-credits")
        await _refused(cast)
        screen.said(
            "What helps depends on the plan: this one sells single credits. An EAP would have pointed elsewhere."
        )
        await _buy(cast)
        await _ask(cast)

        screen.chapter("The room is closed")
        path = f"/v1/rooms/{cast.room_id}/close"
        screen.request("member", "POST", path, str((await member.post(path)).status))
        found = await _ask(cast, "room-closed")
        await _do(cast, found, "room-closed")
        screen.events(await cast.ticker.until("RoomClosed", "RoomRestarted"))

        screen.chapter("The provider offers sessions of another length than the plan includes")
        path = f"/v1/providers/{cast.provider.subject}/schedule"
        other = SCHEDULE | {"session_types": [{"length_minutes": 50, "modalities": ["video"]}]}
        answer = await cast.provider.put(path, other)
        screen.request("provider", "PUT", path, f"{answer.status}  sessions of 50 minutes alone")
        found = await _ask(cast, "provider-unavailable")
        await _write(cast, found["reasons"][0]["remedy"]["href"])
        answer = await cast.provider.put(path, SCHEDULE)
        screen.request("provider", "PUT", path, f"{answer.status}  sessions of 30 minutes again")
        await _ask(cast)

        screen.chapter("The coverage ends, and the member stays away for two months")
        today = await stage.clock_now()
        await cast.enrol("out-of-pocket-4", ends_on=f"{today + timedelta(days=2):%Y-%m-%d}")
        # What nobody confirmed ends first: the credits that come back are good for thirty days, coverage or not (MISS-4).
        await cast.time_passes(today + timedelta(days=10))
        await cast.time_passes(today + timedelta(days=60))
        found = await _ask(cast, "room-inactive", "coverage-ended")
        screen.said("Every reason at once, each with what helps: nobody mends one thing only to be told of the next.")

        screen.chapter("They mend both, and book")
        await _do(cast, found, "room-inactive")
        await cast.enrol("out-of-pocket-4")
        found = await _ask(cast)
        await cast.ticker.until("MemberEnrolled", "RoomRestarted")
        await cast.book(found["next_slots"][0]["starts_at"])


async def _ask(cast: Company, *wanted: str) -> dict[str, Any]:
    """Asks until the answer names just these reasons: it is made of what booking hears of others, a moment later."""
    path = f"/v1/rooms/{cast.room_id}/bookability"

    async def look() -> dict[str, Any]:
        return dict((await cast.member.get(path, time_zone=MEMBER_ZONE)).body)

    found = await cast.once(look, lambda found: {reason["code"] for reason in found["reasons"]} == set(wanted))
    cast.screen.request("member", "GET", path, "bookable" if found["bookable"] else "not bookable")
    for reason in found["reasons"]:
        cast.screen.reason(reason)
    if found["next_slots"]:
        cast.screen.said(f"the next slots: {', '.join(slot['local_start'] for slot in found['next_slots'])}")
    return found


async def _one_a_day(cast: Company, days: int) -> list[str]:
    """A start on each of so many days, from tomorrow's tomorrow on."""
    starts: dict[str, str] = {}
    for slot in await cast.slots(timedelta(days=3)):
        starts.setdefault(slot["starts_at"][:10], slot["starts_at"])
    return list(starts.values())[:days]


async def _refused(cast: Company) -> None:
    """Booking itself says the same."""
    slots = await cast.slots(timedelta(days=3))
    try:
        await cast.book(slots[-1]["starts_at"])
    except Refused as refusal:
        cast.screen.refused("member", "POST", "/v1/sessions", refusal)
        await cast.ticker.until("SessionRejected", "SlotReleased")
    else:
        raise UserError("a session was booked that bookability says cannot be")


async def _buy(cast: Company) -> None:
    """One credit, paid on the page of the development payment provider, which tells credits by a signed web-hook."""
    bought = await cast.member.post("/v1/purchases", {"quantity": 1})
    price = money_text(bought["amount"]["amount_minor"], bought["amount"]["currency"])
    cast.screen.request("member", "POST", "/v1/purchases", f"{bought.status} {bought['status']}, {price}")
    page = urlsplit(bought["checkout_url"]).path
    paid = await cast.stage.gateway.http.post(f"{page}/pay")
    cast.screen.request("browser", "POST", f"{page}/pay", f"{paid.status_code}, the payment provider's page")
    cast.screen.events(await cast.ticker.until("CreditGranted"))
    after = await cast.member.get(f"/v1/purchases/{bought['id']}")
    cast.screen.request("member", "GET", f"/v1/purchases/{bought['id']}", after["status"])


async def _write(cast: Company, href: str) -> None:
    """The ready message; the chat opens again a moment after the room, when notifications has heard of it."""

    async def write() -> Answer | None:
        try:
            return await cast.member.post(href)
        except Refused as refusal:
            if refusal.slug != "room-closed":
                raise
            return None

    message = await cast.once(write, lambda answer: answer is not None)
    assert message is not None
    cast.screen.request("member", "POST", href, f"{message.status}, the ready message in the room's chat")
    cast.screen.said(f"💬 {message['text']}")


async def _do(cast: Company, found: dict[str, Any], code: str) -> None:
    """Does what the answer says helps, where it says."""
    href = next(reason["remedy"]["href"] for reason in found["reasons"] if reason["code"] == code)
    answer = await cast.member.post(href)
    cast.screen.request("member", "POST", href, f"{answer.status} {answer['status']}")

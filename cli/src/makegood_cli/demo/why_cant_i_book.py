"""The story "Why can't I book?": one obstacle after another, each solved with the remedy that the answer names."""

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
        screen.chapter("The member can book. The answer lists the next slots, and the member books the first")
        found = await _ask(cast)
        await cast.book(found["next_slots"][0]["starts_at"])

        screen.chapter("All credits of the month are held")
        for slot in await _one_a_day(cast, 3):
            await cast.book(slot, quietly=True)
        found = await _ask(cast, "no-session-credits")
        await _refused(cast)
        screen.said(
            "The remedy depends on the plan. This plan sells single credits; an EAP plan would name another remedy."
        )
        await _buy(cast)
        await _ask(cast)

        screen.chapter("The room is closed")
        path = f"/v1/rooms/{cast.room_id}/close"
        screen.request("member", "POST", path, str((await member.post(path)).status))
        found = await _ask(cast, "room-closed")
        await _do(cast, found, "room-closed")
        screen.events(await cast.ticker.until("RoomClosed", "RoomRestarted"))

        screen.chapter("The provider only offers sessions of a length that the plan does not include")
        path = f"/v1/providers/{cast.provider.subject}/schedule"
        other = SCHEDULE | {"session_types": [{"length_minutes": 50, "modalities": ["video"]}]}
        answer = await cast.provider.put(path, other)
        screen.request("provider", "PUT", path, f"{answer.status}  sessions of 50 minutes only")
        found = await _ask(cast, "provider-unavailable")
        await _write(cast, found["reasons"][0]["remedy"]["href"])
        answer = await cast.provider.put(path, SCHEDULE)
        screen.request("provider", "PUT", path, f"{answer.status}  sessions of 30 minutes again")
        await _ask(cast)

        screen.chapter("The member's coverage ends, and they are inactive for two months")
        today = await stage.clock_now()
        await cast.enrol("out-of-pocket-4", ends_on=f"{today + timedelta(days=2):%Y-%m-%d}")
        # The unconfirmed sessions expire first. Their credits stay valid for thirty days, even without coverage (MISS-4).
        await cast.time_passes(today + timedelta(days=10))
        await cast.time_passes(today + timedelta(days=60))
        found = await _ask(cast, "room-inactive", "coverage-ended")
        screen.said("The answer lists all reasons at once, each with its remedy.")

        screen.chapter("The member solves both problems and books")
        await _do(cast, found, "room-inactive")
        await cast.enrol("out-of-pocket-4")
        found = await _ask(cast)
        await cast.ticker.until("MemberEnrolled", "RoomRestarted")
        await cast.book(found["next_slots"][0]["starts_at"])


async def _ask(cast: Company, *wanted: str) -> dict[str, Any]:
    """Asks until the answer has exactly these reasons. Booking learns of changes in other services with a short delay."""
    path = f"/v1/rooms/{cast.room_id}/bookability"

    async def look() -> dict[str, Any]:
        return dict((await cast.member.get(path, time_zone=MEMBER_ZONE)).body)

    found = await cast.once(look, lambda found: {reason["code"] for reason in found["reasons"]} == set(wanted))
    cast.screen.request("member", "GET", path, "bookable" if found["bookable"] else "not bookable")
    for reason in found["reasons"]:
        cast.screen.reason(reason)
    if found["next_slots"]:
        cast.screen.said(f"next slots: {', '.join(slot['local_start'] for slot in found['next_slots'])}")
    return found


async def _one_a_day(cast: Company, days: int) -> list[str]:
    """One start on each of the next days that have slots."""
    starts: dict[str, str] = {}
    for slot in await cast.slots(timedelta(days=3)):
        starts.setdefault(slot["starts_at"][:10], slot["starts_at"])
    return list(starts.values())[:days]


async def _refused(cast: Company) -> None:
    """Tries to book, which is refused for the same reason."""
    slots = await cast.slots(timedelta(days=3))
    try:
        await cast.book(slots[-1]["starts_at"])
    except Refused as refusal:
        cast.screen.refused("member", "POST", "/v1/sessions", refusal)
        await cast.ticker.until("SessionRejected", "SlotReleased")
    else:
        raise UserError("a session was booked although bookability refused it")


async def _buy(cast: Company) -> None:
    """Buys one credit, paid on the page of the development payment provider, which confirms it with a signed webhook."""
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
    """Sends the prepared message. The chat reopens shortly after the room, when notifications has learned of it."""

    async def write() -> Answer | None:
        try:
            return await cast.member.post(href)
        except Refused as refusal:
            if refusal.slug != "room-closed":
                raise
            return None

    message = await cast.once(write, lambda answer: answer is not None)
    assert message is not None
    cast.screen.request("member", "POST", href, f"{message.status}, the prepared message in the room's chat")
    cast.screen.said(f"💬 {message['text']}")


async def _do(cast: Company, found: dict[str, Any], code: str) -> None:
    """Applies the remedy that the answer names."""
    href = next(reason["remedy"]["href"] for reason in found["reasons"] if reason["code"] == code)
    answer = await cast.member.post(href)
    cast.screen.request("member", "POST", href, f"{answer.status} {answer['status']}")

"""WhatsApp in the Business Cloud API's own shapes, against the development side that speaks them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from makegood_chassis.messaging.failpoints import Failpoint
from makegood_notifications.channels import InDoubt, Late, PutOff, Refused, Unreachable
from makegood_notifications.whatsapp.cloud_api import Account, CloudApi, TemplateMessage
from makegood_notifications.whatsapp.registration import templates
from makegood_testkit.waiting import eventually

from .conftest import NotificationsHarness, WhatsAppSide, calling, crashing
from .test_delivery_worker import extended

MESSAGE = TemplateMessage(
    "4930123456", "makegood_reminder", "en", ("Dr. Grace", "Tuesday\n at  ten"), "sessions/s", "d-1"
)


def api(url: str, token: str = "secret") -> CloudApi:
    return CloudApi(Account(f"{url}/whatsapp", "v23.0", "1000", token, timeout=2))


@pytest.mark.rule("NOTE-1")
async def test_a_message_has_the_shape_that_the_api_documents(whatsapp: WhatsAppSide) -> None:
    assert MESSAGE.body() == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "4930123456",
        "type": "template",
        "template": {
            "name": "makegood_reminder",
            "language": {"code": "en"},
            "components": [
                {"type": "body", "parameters": [
                    {"type": "text", "text": "Dr. Grace"}, {"type": "text", "text": "Tuesday at ten"},
                ]},
                {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "sessions/s"}]},
            ],
        },
        "biz_opaque_callback_data": "d-1",
    }  # fmt: skip
    client = api(whatsapp.url)
    assert (await client.send(MESSAGE)).startswith("wamid.")
    await client.close()
    (message,) = await whatsapp.messages()
    assert message["Parameters"] == ["Dr. Grace", "Tuesday at ten"]
    assert message["Path"] == "sessions/s"


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    ("number", "token", "trouble"),
    [
        ("49130429", "secret", Unreachable),
        ("49131048", "secret", Unreachable),
        ("49131005", "secret", Unreachable),
        ("49131031", "secret", Unreachable),
        ("4930123456", "", Unreachable),
        ("49131056", "secret", PutOff),
        ("49131000", "secret", PutOff),
        ("49132015", "secret", PutOff),
        ("49131026", "secret", Refused),
        ("49132001", "secret", Refused),
        ("123", "secret", Refused),
    ],
)
async def test_codes_tell_whether_to_wait_to_try_again_or_to_give_up(
    whatsapp: WhatsAppSide, number: str, token: str, trouble: type[Exception]
) -> None:
    client = api(whatsapp.url, token)
    message = TemplateMessage(number, "makegood_reminder", "en", (), "sessions/s", "d")
    with pytest.raises(trouble) as raised:
        await client.send(message)
    assert number not in str(raised.value)  # SEC-3
    await client.close()


@pytest.mark.rule("NOTE-1")
async def test_an_api_that_is_away_is_waited_for() -> None:
    client = api("http://127.0.0.1:1")
    with pytest.raises(Unreachable):
        await client.send(MESSAGE)
    await client.close()


@pytest.mark.rule("NOTE-1")
async def test_who_waits_too_long_for_a_connection_is_late_and_the_api_is_not_away() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = CloudApi(Account(f"http://127.0.0.1:{port}", "v23.0", "1000", "secret", timeout=0.2, connections=1))
    first, second = await asyncio.gather(client.send(MESSAGE), client.send(MESSAGE), return_exceptions=True)
    await client.close()
    server.close()
    await server.wait_closed()
    assert (type(first), type(second)) == (InDoubt, Late)


@pytest.mark.rule("NOTE-2")
@pytest.mark.parametrize(
    ("status", "trouble"),
    [(502, Unreachable), (503, Unreachable), (429, Unreachable), (401, Unreachable), (400, PutOff)],
)
@pytest.mark.parametrize("error", [{"message": "Bad Gateway"}, {"message": "Bad Gateway", "code": None}])
async def test_an_error_without_a_code_is_judged_by_its_status(
    error: dict[str, Any], status: int, trouble: type[Exception]
) -> None:
    """A proxy on the way writes such ones."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": json.dumps({"error": error}).encode()})

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    client = api(f"http://127.0.0.1:{listener.getsockname()[1]}")
    with pytest.raises(trouble):
        await client.send(MESSAGE)
    await client.close()
    server.should_exit = True
    await serving


@pytest.mark.rule("NOTE-2")
async def test_few_messages_are_in_hand_because_they_are_not_sent_again(harness: NotificationsHarness) -> None:
    emails, messages = harness.dependencies.email_worker, harness.dependencies.whatsapp_worker
    async with harness.sending():
        await eventually(messages.capacity)
        assert (emails.capacity(), messages.capacity()) == (256, 64)


@pytest.mark.rule("NOTE-1")
async def test_who_chose_whatsapp_is_told_there_too_in_their_language(harness: NotificationsHarness) -> None:
    await harness.only_member(locale="de", phone="+49 (30) 987 654", channels={"whatsapp": True})
    async with harness.sending():
        await harness.confirmed()
        await harness.settled()  # a confirmation that is no longer true would not be sent
        await harness.happen(harness.missed())
        await harness.inbox.wait(2)
        await harness.settled()
    missed, confirmed = await harness.whatsapp.messages()
    assert (missed["Template"], missed["Language"]) == ("makegood_provider_missed", "de")
    assert missed["To"] == "4930987654"
    assert missed["Path"].startswith(f"rooms/{harness.room_id}/book?")
    assert confirmed["Parameters"] == [
        "Dienstag, 24. November 2026, 10:00 – 10:30 (Europe/Berlin, GMT+01:00)",
        f"https://app.example.org/sessions/{harness.session_id}",
    ]
    rows = await harness.rows(
        "SELECT channel, status FROM deliveries WHERE template = 'provider-missed' ORDER BY channel"
    )
    assert [tuple(row) for row in rows] == [("chat", "sent"), ("email", "sent"), ("whatsapp", "sent")]


@pytest.mark.rule("NOTE-1")
async def test_a_number_that_is_not_on_whatsapp_fails_and_the_mail_goes_out(harness: NotificationsHarness) -> None:
    await harness.only_member(phone="+49 131026", channels={"whatsapp": True})
    async with harness.sending():
        await harness.confirmed()
        await harness.inbox.wait(1)
        await harness.settled()
    rows = await harness.rows("SELECT status, reason FROM deliveries WHERE channel = 'whatsapp'")
    assert [tuple(row) for row in rows] == [("failed", "refused")]


@pytest.mark.rule("NOTE-1")
async def test_whatsapp_being_away_holds_up_no_mail_and_is_tried_again(harness: NotificationsHarness) -> None:
    await harness.only_member(phone="+49 130429", channels={"whatsapp": True})
    async with harness.sending():
        await harness.confirmed()
        await harness.happen(extended(harness))
        assert len(await harness.inbox.wait(2)) == 2

        async def knocked() -> bool:
            return bool(harness.dependencies.whatsapp_worker._knocks)

        await eventually(knocked)
        await harness.register(harness.member, "Ada", harness.ada, phone="+49 30 55555", channels={"whatsapp": True})
        await harness.rows("UPDATE deliveries SET next_attempt_at = clock_timestamp() WHERE status = 'queued'")
        await harness.settled()
    assert [one["To"] for one in await harness.whatsapp.messages()] == ["493055555"] * 2


@pytest.mark.rule("NOTE-2")
async def test_a_message_whose_sender_died_midway_is_not_sent_twice(harness: NotificationsHarness) -> None:
    """The API cannot be told that a message comes again."""
    await harness.only_member(phone="+49 30 55555", channels={"whatsapp": True})
    await harness.confirmed()
    with crashing("delivery.attempted"):
        async with harness.sending():
            await eventually(harness.whatsapp.messages)
    await harness.rows("UPDATE deliveries SET next_attempt_at = clock_timestamp() WHERE status = 'queued'")
    async with harness.sending():
        await harness.settled()
    assert len(await harness.whatsapp.messages()) == 1
    rows = await harness.rows("SELECT status, reason FROM deliveries WHERE channel = 'whatsapp'")
    assert [tuple(row) for row in rows] == [("failed", "unknown")]


@pytest.mark.rule("NOTE-2", "REL-5")
async def test_a_message_whose_answer_was_lost_is_not_sent_twice(harness: NotificationsHarness) -> None:
    """The API took it, and the connection broke before we heard so."""
    await harness.only_member(phone="+49 30 55555", channels={"whatsapp": True})
    await harness.confirmed()
    lost = 0

    def lose_the_answer(point: Failpoint) -> None:
        nonlocal lost
        if point == "whatsapp.answered":
            lost += 1
            raise httpx.ReadTimeout("lost")

    with calling(lose_the_answer):
        async with harness.sending():
            await harness.settled()
    rows = await harness.rows("SELECT status, reason FROM deliveries WHERE channel = 'whatsapp'")
    assert [tuple(row) for row in rows] == [("failed", "unknown")]
    assert lost == len(await harness.whatsapp.messages()) == 1


@pytest.mark.rule("NOTE-1")
def test_every_template_is_registered_once_for_each_language_with_its_places_in_order(tmp_path: Path) -> None:
    found = list(templates("https://app.example.org"))
    names = [(one["name"], one["language"]) for one in found]
    assert len(set(names)) == len(names)
    assert {language for _, language in names} == {"en", "de"}
    for one in found:
        body, buttons = one["components"]
        assert "{%" not in body["text"]
        assert not re.search(r"^\W*{{|}}\W*$", body["text"]), "it may neither begin nor end with a variable"
        places = body.get("example", {"body_text": [[]]})["body_text"][0]
        assert [f"{{{{{number}}}}}" in body["text"] for number in range(1, len(places) + 1)] == [True] * len(places)
        assert buttons["buttons"][0]["url"] == "https://app.example.org/{{1}}"
        json.dumps(one)


async def test_the_development_side_refuses_what_is_no_template_message(whatsapp: WhatsAppSide) -> None:
    path = "/whatsapp/v23.0/1000/messages"
    bodies: list[Any] = ["{", "[]", "{}", json.dumps({**MESSAGE.body(), "type": "text"}), json.dumps({"to": 7})]
    async with httpx.AsyncClient(base_url=whatsapp.url, headers={"Authorization": "Bearer x"}) as client:
        for body in bodies:
            answer = await client.post(path, content=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)
    assert await whatsapp.messages() == []


async def test_events_of_the_same_story_stay_in_order(harness: NotificationsHarness) -> None:
    await harness.only_member(phone="+49 30 55555", channels={"whatsapp": True})
    await harness.confirmed()
    await harness.happen(extended(harness))
    async with harness.sending():
        await harness.settled()
    assert [one["Template"] for one in await harness.whatsapp.messages()] == [
        "makegood_session_extended", "makegood_session_confirmed",
    ]  # fmt: skip

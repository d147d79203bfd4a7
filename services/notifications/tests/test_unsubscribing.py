"""RFC 8058: one click in a mail program ends the e-mails that preferences can turn off, and changes nothing else."""

from __future__ import annotations

import base64
import re
from email.message import EmailMessage
from typing import Any

import pytest
from makegood_notifications.mail.unsubscribing import UnsubscribeLink
from makegood_testkit.databases import as_owner

from .conftest import NotificationsHarness

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


async def first_mail(harness: NotificationsHarness) -> EmailMessage:
    async with harness.sending():
        await harness.confirmed()
        mail = (await harness.inbox.wait_for(harness.ada, 1))[0]
        await harness.settled()
    return mail


def path_of(mail: EmailMessage) -> str:
    """The path in the header, which names the gateway's address."""
    found = re.fullmatch(r"<https://app\.example\.org(/v1/unsubscribe/[A-Za-z0-9._-]+)>", str(mail["List-Unsubscribe"]))
    assert found, mail["List-Unsubscribe"]
    return found[1]


async def contact(harness: NotificationsHarness, person: str | None = None) -> dict[str, Any]:
    person = person or harness.member
    client = harness.client(person.partition("-")[0], person)
    read: dict[str, Any] = (await client.get(f"/v1/people/{person}/contact")).json()
    return read


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    "sent",
    [{"data": ONE_CLICK}, {"files": {name: (None, value) for name, value in ONE_CLICK.items()}}, {}],
    ids=["form", "multipart", "bare"],
)
async def test_one_click_ends_the_persons_mails_and_changes_nothing_else(
    harness: NotificationsHarness, sent: dict[str, Any]
) -> None:
    await harness.everybody(phone="+49 30 123456", channels={"whatsapp": True}, locale="de")
    async with harness.sending():
        await harness.confirmed()
        mail = (await harness.inbox.wait_for(harness.ada, 1))[0]
        await harness.settled()
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        before, provider = await contact(harness), await contact(harness, harness.provider)
        anybody = harness.client()
        for _ in range(2):
            answer = await anybody.post(path_of(mail), **sent)
            assert answer.status_code == 200
            assert "Du bekommst keine E-Mails mehr" in answer.text
        after = await contact(harness)
        assert after == {**before, "channels": {**before["channels"], "email": False}}
        assert await contact(harness, harness.provider) == provider
        await harness.happen(harness.missed())
        await harness.settled()
    _, last = await harness.inbox.wait_for(harness.ada, 2)
    assert last["Subject"] == "Eine Einladung wurde zurückgezogen.", "what stands in the calendar, and nothing else"
    told = "SELECT channel, status, reason FROM deliveries WHERE template = 'provider-missed' ORDER BY channel"
    assert [tuple(row) for row in await harness.rows(told)] == [
        ("chat", "sent", None), ("email", "skipped", "not-wanted"), ("whatsapp", "sent", None)
    ]  # fmt: skip


@pytest.mark.rule("NOTE-1")
async def test_following_the_link_only_asks(harness: NotificationsHarness) -> None:
    await harness.everybody()
    path = path_of(await first_mail(harness))
    anybody = harness.client()
    page = await anybody.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert '<form method="post">' in page.text
    assert "<button>" in page.text
    assert "Canary" not in page.text
    assert harness.ada not in page.text
    assert (await contact(harness))["channels"]["email"] is True


def token_of(person_id: bytes, master_key: bytes = b"k", signature: bytes = b"s") -> str:
    parts = (person_id, master_key, signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    "person_id", [b"", b"\0", b"member-1\0", b"member 1", b"m\n", "m\u00e4rz".encode(), b"m" * 129, b"\xff"]
)
def test_a_link_of_nobody_is_none(person_id: bytes) -> None:
    """The database refuses the character NUL: what it is asked for must be a person's id."""
    assert UnsubscribeLink.parse(token_of(person_id)) is None
    assert UnsubscribeLink.parse(token_of(b"member-1")) == UnsubscribeLink("member-1", "k", b"s")


@pytest.mark.rule("NOTE-1")
async def test_a_link_that_is_forged_altered_or_of_an_earlier_address_opens_nothing(
    harness: NotificationsHarness,
) -> None:
    await harness.everybody()
    path = path_of(await first_mail(harness))
    start, _, token = path.rpartition("/")
    link = UnsubscribeLink.parse(token)
    assert link is not None
    other = UnsubscribeLink(harness.provider, link.master_key, link.signature).token
    unknown_key = UnsubscribeLink(link.person_id, "gone", link.signature).token
    nobody = UnsubscribeLink("member-nobody", link.master_key, link.signature).token
    short = UnsubscribeLink(link.person_id, link.master_key, link.signature[:-1]).token
    forged = [
        other,
        unknown_key,
        nobody,
        short,
        token[:-2],
        token + "AA",
        "a.b.c",
        "..",
        "AA.AA.AA",
        "%F0%9F%98%80.x.y",
        "x" * 512,
    ]
    anybody = harness.client()
    for wrong in forged:
        for method in ("GET", "POST"):
            answer = await anybody.request(method, f"{start}/{wrong}")
            assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found"), wrong
    async with as_owner(harness.database.url) as owner:
        await owner.execute("UPDATE people SET email = 'ada@elsewhere.example' WHERE id = $1", harness.member)
    assert (await anybody.post(path)).status_code == 404
    for person in (harness.member, harness.provider):
        assert (await contact(harness, person))["channels"]["email"] is True


@pytest.mark.rule("NOTE-1")
async def test_what_protects_the_account_has_no_such_button_and_still_comes(harness: NotificationsHarness) -> None:
    await harness.everybody(channels={"email": False})
    async with harness.sending():
        await harness.register(harness.member, "Ada Canary", "ada@elsewhere.example", channels={"email": False})
        for mail in await harness.inbox.wait(2):
            assert mail["List-Unsubscribe"] is None
            assert mail["List-Unsubscribe-Post"] is None


@pytest.mark.rule("NOTE-1", "SEC-5")
async def test_the_access_log_tells_that_a_link_was_followed(harness: NotificationsHarness) -> None:
    await harness.everybody()
    path = path_of(await first_mail(harness))
    anybody = harness.client()
    await anybody.post(path, data=ONE_CLICK)
    rows = await harness.rows("SELECT caller, role, person_id FROM access_rows WHERE operation = 'contact.unsubscribe'")
    assert [tuple(row) for row in rows] == [(harness.member, "mail", harness.member)]

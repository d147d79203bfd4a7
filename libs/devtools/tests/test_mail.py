"""The development mail server: real SMTP in, Mailpit's shapes out."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import jwt
import pytest
from makegood_devtools import keys
from makegood_devtools.mailbox import Mail, Mailbox
from makegood_stack.home import Home
from makegood_stack.ports import free_ports
from makegood_stack.processes import Spec, Supervisor

ICS = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[tuple[int, httpx.Client]]:
    """SMTP port and a client of the web side."""
    smtp, web = free_ports(2)
    command = (sys.executable, "-m", "makegood_devtools", "--smtp-port", str(smtp), "--http-port", str(web))
    supervisor = Supervisor(home)
    record = supervisor.start(Spec("mail", (*command, "--keys", str(home.identity))), die_with_parent=True)
    client = httpx.Client(base_url=f"http://127.0.0.1:{web}")
    until = time.monotonic() + 20
    while True:
        try:
            client.get("/readyz").raise_for_status()
            break
        except httpx.TransportError:
            assert supervisor.alive(record), supervisor.last_lines("mail")
            assert time.monotonic() < until
    yield smtp, client
    client.close()
    supervisor.stop([record])


def invitation(recipient: str = "ana@example.test") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Makegood <no-reply@makegood.test>"
    mail["To"] = f"Ána <{recipient}>"
    mail["Subject"] = "Your session is confirmed! Mark your calendar."
    mail["Message-ID"] = "<one@makegood.test>"
    mail.set_content("See you — soon.")
    mail.add_alternative("<p>See you <b>soon</b>.</p>", subtype="html")
    mail.add_attachment(ICS, maintype="application", subtype="ics", filename="invite.ics")
    return mail


async def test_a_mail_is_listed_read_and_its_attachment_fetched(server: tuple[int, httpx.Client]) -> None:
    smtp, web = server
    web.delete("/api/v1/messages")
    await aiosmtplib.send(invitation(), hostname="127.0.0.1", port=smtp)
    page = web.get("/api/v1/messages", params={"limit": 10}).json()
    assert page["total"] == 1
    (item,) = page["messages"]
    assert item["From"] == {"Name": "Makegood", "Address": "no-reply@makegood.test"}
    assert item["To"] == [{"Name": "Ána", "Address": "ana@example.test"}]
    assert item["Subject"] == "Your session is confirmed! Mark your calendar."
    assert item["MessageID"] == "one@makegood.test"
    assert item["Created"].endswith("Z")

    mail = web.get(f"/api/v1/message/{item['ID']}").json()
    assert mail["Text"].strip() == "See you — soon."
    assert "<b>soon</b>" in mail["HTML"]
    (attachment,) = mail["Attachments"]
    assert (attachment["FileName"], attachment["ContentType"]) == ("invite.ics", "application/ics")
    part = web.get(f"/api/v1/message/{item['ID']}/part/{attachment['PartID']}")
    assert part.content == ICS
    raw = web.get(f"/api/v1/message/{item['ID']}/raw").text
    assert "Message-ID: <one@makegood.test>" in raw


async def test_newest_first_search_limit_and_delete(server: tuple[int, httpx.Client]) -> None:
    smtp, web = server
    web.delete("/api/v1/messages")
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=smtp) as client:
        for name in ("a", "b", "c"):
            await client.send_message(invitation(f"{name}@example.test"))
    listed = web.get("/api/v1/messages", params={"limit": 2}).json()
    assert [m["To"][0]["Address"] for m in listed["messages"]] == ["c@example.test", "b@example.test"]
    found = web.get("/api/v1/search", params={"query": "to:a@example.test"}).json()["messages"]
    assert [m["To"][0]["Address"] for m in found] == ["a@example.test"]
    web.request("DELETE", "/api/v1/messages", json={"IDs": [found[0]["ID"]]})
    assert web.get(f"/api/v1/message/{found[0]['ID']}").status_code == 404
    assert web.get("/api/v1/messages").json()["total"] == 2


async def test_a_mail_that_is_too_big_is_refused(server: tuple[int, httpx.Client]) -> None:
    smtp, _ = server
    mail = invitation()
    mail.add_attachment(b"x" * (11 << 20), maintype="application", subtype="octet-stream", filename="big")
    with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
        await aiosmtplib.send(mail, hostname="127.0.0.1", port=smtp)
    assert refused.value.code == 552


def test_the_page_is_self_contained_and_a_mail_runs_no_script(server: tuple[int, httpx.Client]) -> None:
    _, web = server
    page = web.get("/")
    assert "Makegood inbox" in page.text
    assert "://" not in page.text.replace("xmlns='http://www.w3.org/2000/svg'", ""), "a namespace is fetched by nobody"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert web.get("/inbox.js").status_code == 200


@pytest.mark.rule("SEC-2")
def test_a_new_key_is_published_at_once_and_signs_when_everybody_can_know_it(
    server: tuple[int, httpx.Client], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, web = server
    old = keys.signing_key(home.identity)
    new = keys.make_key(home.identity)
    assert [key["kid"] for key in web.get("/.well-known/jwks.json").json()["keys"]] == [old.kid, new.kid]
    for later, signs in ((0.0, old), (keys.PUBLISHED_FOR - 0.1, old), (keys.PUBLISHED_FOR, new)):
        monkeypatch.setattr(time, "time", lambda later=later: new.made + later)
        assert keys.signing_key(home.identity).kid == signs.kid


@pytest.mark.rule("SEC-2")
def test_the_key_set_verifies_tokens_before_and_after_a_rotation(
    server: tuple[int, httpx.Client], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "PUBLISHED_FOR", 0)
    _, web = server
    old = keys.token(home.identity, "member", "m-1")
    keys.make_key(home.identity)
    new = keys.token(home.identity, "member", "m-1")
    published = jwt.PyJWKSet.from_dict(web.get("/.well-known/jwks.json").json())
    kids = [jwt.get_unverified_header(t)["kid"] for t in (old, new)]
    assert kids[0] != kids[1]
    for token, kid in zip((old, new), kids, strict=True):
        claims = jwt.decode(token, published[kid].key, ["RS256"], audience="makegood", issuer=keys.ISSUER)
        assert claims["roles"] == ["member"]


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    keys.make_key(tmp_path / "keys")
    (path,) = (tmp_path / "keys").glob("*.pem")
    assert path.stat().st_mode & 0o077 == 0


def test_memory_is_bounded_in_number_and_bytes() -> None:
    box = Mailbox(most=3, most_bytes=1000)
    mails = [Mail(b"Subject: x\r\n\r\n" + b"y" * 100, "f@x", ("t@x",)) for _ in range(5)]
    for mail in mails:
        box.add(mail)
    assert [m.id for m in box.page(0, 10)] == [m.id for m in reversed(mails[2:])]
    assert box.get(mails[0].id) is None
    box.add(Mail(b"z" * 950, "f@x", ("t@x",)))
    assert len(box) == 1


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/join/s-1?token=very-secret", ["Join the session", "s-1"]),
        ("/sessions/s-2", ["GET /v1/sessions/{id}", "s-2"]),
        (
            "/rooms/r-1/book?length_minutes=30&modality=video&rebook=s-3",
            ["Book a session", "r-1", "30", "video", "s-3"],
        ),
        ("/sessions/%3Cscript%3E", ["&lt;script&gt;"]),
    ],
)
def test_links_in_messages_lead_to_a_page_in_the_client_app_s_place(
    server: tuple[int, httpx.Client], path: str, shown: list[str]
) -> None:
    page = server[1].get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert [word for word in ["The client app answers here", "CLIENT_APP_URL", *shown] if word not in page.text] == []
    assert "very-secret" not in page.text
    # Only the join page asks something: whether its link is good.
    asks = path.startswith("/join/")
    assert re.findall("<script[^>]*>", page.text) == (['<script src="/join.js">'] if asks else [])
    assert ("script-src 'self'" in page.headers["content-security-policy"]) is asks


def test_the_join_page_takes_the_token_out_of_the_address_and_asks(server: tuple[int, httpx.Client]) -> None:
    _, web = server
    script = web.get("/join.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.text.index("history.replaceState") < script.text.index("fetch(")
    asked = web.post("/join/verify", json={"token": "t"})
    assert (asked.status_code, asked.json()["detail"]) == (503, "No gateway is configured to ask.")

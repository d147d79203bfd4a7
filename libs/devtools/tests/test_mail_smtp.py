"""The development mail server keeps what a mail client sends."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from makegood_devtools.mailbox import Mailbox
from makegood_devtools.smtp import MOST_MAIL_BYTES, receiver


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest_asyncio.fixture
async def client(mailbox: Mailbox) -> AsyncIterator[smtplib.SMTP]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(receiver(mailbox), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with await asyncio.to_thread(smtplib.SMTP, "127.0.0.1", port) as connected:
            yield connected
            await asyncio.to_thread(connected.quit)


async def send(client: smtplib.SMTP, content: bytes, sender: str = "a@b.test", recipient: str = "c@d.test") -> None:
    await asyncio.to_thread(client.sendmail, sender, recipient, content, ["BODY=8BITMIME"])


def latest(mailbox: Mailbox) -> bytes:
    mail: Any = mailbox.get("latest")
    return bytes(mail.raw)


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\nhello\r\n",
        b".first\r\n..\r\nmiddle. dot\r\n.\r\n",
        "Umlaut: \N{LATIN SMALL LETTER U WITH DIAERESIS}\r\n".encode(),
    ],
)
async def test_a_mail_is_kept_as_it_was_meant(client: smtplib.SMTP, mailbox: Mailbox, content: bytes) -> None:
    await send(client, content)
    assert latest(mailbox) == content


@pytest.mark.parametrize("at_once", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"", b""),
        (b"..\r\n", b".\r\n"),
        (b".not doubled\r\n.not doubled\r\n", b"not doubled\r\nnot doubled\r\n"),
        (b"ends with a dot.\r\n", b"ends with a dot.\r\n"),
        (b"x" * 200_000 + b".\r\ny\r\n", b"x" * 200_000 + b".\r\ny\r\n"),
        (b"not the end:\n.\nnor\r.\rthis\r\n", b"not the end:\n.\nnor\r.\rthis\r\n"),
    ],
)
async def test_a_mail_ends_at_a_line_that_is_a_dot(mailbox: Mailbox, sent: bytes, kept: bytes, at_once: int) -> None:
    """Whatever the pieces in which it arrives; and the commands of the next mail may follow at once (RFC 2920)."""
    loop = asyncio.get_running_loop()
    one = b"MAIL FROM:<a@b.test> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<c@d.test>\r\nDATA\r\n" + sent + b".\r\n"
    conversation = b"EHLO me\r\n" + one * 2 + b"QUIT\r\n"
    async with await loop.create_server(receiver(mailbox), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        step = at_once if len(sent) < 100 else 1 << 14
        for start in range(0, len(conversation), step):
            writer.write(conversation[start : start + step])
            await writer.drain()
        answers = [line[:4] for line in (await reader.read()).decode().splitlines() if line[3:4] != "-"]
        writer.close()
    assert answers == ["220 ", "250 ", *["250 ", "250 ", "354 ", "250 "] * 2, "221 "]
    assert [mail.raw for mail in mailbox.page(0, 9)] == [kept, kept]


@pytest.mark.parametrize("address", ["MAIL FROM:a@b.test", "MAIL FROM:<a b@c.test>", "MAIL FROM:<a@b.test"])
async def test_an_address_without_its_brackets_is_none(client: smtplib.SMTP, address: str) -> None:
    await asyncio.to_thread(client.ehlo)
    code, _ = await asyncio.to_thread(client.docmd, address)
    assert code == 553


async def test_several_mails_of_one_connection_have_their_own_envelopes(client: smtplib.SMTP, mailbox: Mailbox) -> None:
    await send(client, b"x\r\n", sender="", recipient="first@d.test")
    await send(client, b"x\r\n", recipient="second@d.test")
    assert [mail.recipients for mail in mailbox.page(0, 9)] == [("second@d.test",), ("first@d.test",)]
    assert [mail.sender for mail in mailbox.page(0, 9)] == ["a@b.test", ""]


async def test_too_big_a_mail_is_refused_and_the_next_one_is_taken(client: smtplib.SMTP, mailbox: Mailbox) -> None:
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        await send(client, (b"x" * 998 + b"\r\n") * (MOST_MAIL_BYTES // 1000 + 1))
    assert refused.value.smtp_code == 552
    assert len(mailbox) == 0
    await send(client, b"small\r\n")
    assert latest(mailbox) == b"small\r\n"


@pytest.mark.parametrize(
    ("commands", "code"),
    [
        (["MAIL FROM:<a@b.test>"], 503),
        (["EHLO"], 501),
        (["EHLO me", "RCPT TO:<c@d.test>"], 503),
        (["EHLO me", "MAIL FROM:<a@b.test>", "MAIL FROM:<a@b.test>"], 503),
        (["EHLO me", "MAIL FROM:<a@b.test>", "DATA"], 503),
        (["EHLO me", "MAIL FROM:<a@b.test>", "RCPT TO:<>"], 553),
        (["EHLO me", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>", "RSET", "DATA"], 503),
        (["EHLO me", f"MAIL FROM:<a@b.test> SIZE={MOST_MAIL_BYTES + 1}"], 552),
        (["HELO me", "mail from:<a@b.test>", "rcpt to:<c@d.test>", "data"], 354),
        (["HELO me", "HELLO"], 500),
        (["x" * 20_000], 500),
        (["NOOP"], 250),
    ],
)
async def test_a_command_out_of_place_is_refused(mailbox: Mailbox, commands: list[str], code: int) -> None:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(receiver(mailbox), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        answers = [await reader.readline()]
        for command in commands:
            writer.write(command.encode() + b"\r\n")
            while (answer := await reader.readline())[3:4] == b"-":
                pass
            answers.append(answer)
        writer.close()
    assert [int(answer[:3]) for answer in (answers[0], answers[-1])] == [220, code]
    assert len(mailbox) == 0


@pytest.mark.parametrize(("sent", "code"), [(b"QUIT\r\nNOOP\r\n", "221"), (b"x" * 20_000, "500")])
async def test_nothing_follows_the_last_answer_of_a_connection(mailbox: Mailbox, sent: bytes, code: str) -> None:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(receiver(mailbox), "127.0.0.1", 0) as server, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(sent)
        answers = (await reader.read()).decode().splitlines()
        writer.close()
    assert [answer[:3] for answer in answers] == ["220", code]

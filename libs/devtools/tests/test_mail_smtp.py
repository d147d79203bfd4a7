"""The development mail server's SMTP, command by command."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from makegood_devtools.mailbox import Mailbox
from makegood_devtools.smtp import MOST_MAIL_BYTES, Receiver

ENVELOPE = b"EHLO me\r\nMAIL FROM:<a@b.test> BODY=8BITMIME\r\nRCPT TO:<c@d.test>\r\n"


class Wire:
    """A connection without a network."""

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self.sent = bytearray()
        self.closed = False
        self._receiver = Receiver(self.mailbox)
        self._receiver.connection_made(cast(asyncio.Transport, self))

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def say(self, data: bytes, *, at_once: int = 1 << 20) -> list[str]:
        """The codes of the answers to `data`, which arrives in pieces."""
        self.sent.clear()
        for start in range(0, len(data), at_once):
            self._receiver.data_received(data[start : start + at_once])
        return [line[:3] for line in self.sent.decode().splitlines() if line[3:4] != "-"]

    def raw(self) -> bytes:
        mail: Any = self.mailbox.get("latest")
        return bytes(mail.raw)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"Subject: x\r\n\r\nhello\r\n", b"Subject: x\r\n\r\nhello\r\n"),
        (b"..first\r\n...\r\nmiddle. dot\r\n..\r\n", b".first\r\n..\r\nmiddle. dot\r\n.\r\n"),
        (b"", b""),
        ("Umlaut: \N{LATIN SMALL LETTER U WITH DIAERESIS}\r\n".encode(), "Umlaut: ü\r\n".encode()),
        (b"not the end:\n.\nnor\r.\rthis\r\n", b"not the end:\n.\nnor\r.\rthis\r\n"),
    ],
)
def test_a_mail_is_kept_as_it_was_meant_in_whatever_pieces_it_arrives(at_once: int, sent: bytes, kept: bytes) -> None:
    wire = Wire()
    codes = wire.say(ENVELOPE + b"DATA\r\n" + sent + b".\r\nQUIT\r\n", at_once=at_once)
    assert codes == ["250", "250", "250", "354", "250", "221"]
    assert wire.raw() == kept
    assert wire.closed


def test_several_mails_in_one_go_have_their_own_envelopes() -> None:
    wire = Wire()
    one = b"MAIL FROM:<>\r\nRCPT TO:<%s@d.test>\r\nDATA\r\nx\r\n.\r\n"
    assert wire.say(b"HELO me\r\n" + one % b"first" + one % b"second") == ["250", *["250", "250", "354", "250"] * 2]
    assert [mail.recipients for mail in wire.mailbox.page(0, 9)] == [("second@d.test",), ("first@d.test",)]
    assert wire.mailbox.page(0, 1)[0].sender == ""


def test_commands_out_of_order_and_unknown_ones_are_refused() -> None:
    wire = Wire()
    wrong = b"MAIL FROM:<a@b>\r\nDATA\r\nEHLO\r\nFOO\r\n\r\n"
    assert wire.say(wrong) == ["503", "503", "501", "500", "500"]
    assert wire.say(b"EHLO me\r\nRCPT TO:<c@d>\r\nMAIL a@b\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n") == [
        "250", "503", "501", "250", "503",
    ]  # fmt: skip
    assert wire.say(b"RCPT TO:<>\r\nDATA\r\nRSET\r\nRCPT TO:<c@d>\r\nNOOP\r\n") == ["501", "503", "250", "503", "250"]
    assert len(wire.mailbox) == 0


def test_too_big_a_mail_is_refused_at_once_or_after_it_is_read_and_the_next_one_is_taken() -> None:
    wire = Wire()
    assert wire.say(b"EHLO me\r\nMAIL FROM:<a@b> SIZE=%d\r\n" % (MOST_MAIL_BYTES + 1)) == ["250", "552"]
    big = b"x" * 1022 + b"\r\n"
    assert wire.say(ENVELOPE + b"DATA\r\n" + big * (MOST_MAIL_BYTES // 1024 + 1) + b".\r\n")[-1] == "552"
    assert len(wire.mailbox) == 0
    assert wire.say(ENVELOPE + b"DATA\r\nsmall\r\n.\r\n")[-1] == "250"
    assert wire.raw() == b"small\r\n"


def test_a_line_without_end_ends_the_connection() -> None:
    wire = Wire()
    assert wire.say(b"x" * 5000) == ["421"]
    assert wire.closed

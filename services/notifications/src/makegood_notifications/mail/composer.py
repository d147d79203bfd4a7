"""An e-mail as bytes (RFC 5322, 2045-2047): text and HTML part, and the invitation if there is one.

It is written by hand because `email.message` takes ten times as long, and a thousand people may be waiting.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache
from typing import Final

CRLF = b"\r\n"
_LONGEST_ROW: Final = 76
"""Characters of a row of base64 (RFC 2045, 6.8)."""


@dataclass(frozen=True, slots=True)
class Part:
    """A calendar message that is attached."""

    method: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A composed e-mail with its envelope."""

    sender: str
    recipient: str
    content: bytes


def compose(
    *,
    message_id: str,
    sent_at: datetime,
    sender: str,
    recipient: tuple[str, str],
    subject: str,
    text: str,
    html: str,
    language: str,
    calendar: Part | None = None,
    fields: tuple[tuple[str, str], ...] = (),
) -> Mail:
    """The e-mail. `message_id` has no brackets and stays the same if the message is repeated (NOTE-2). `recipient` is
    (name, address). `fields` are further headers.
    """
    sender_name, sender_address = mailbox(sender)
    boundary = message_id.split("@")[0]
    alternatives = [
        _text_part("plain", text),
        _text_part("html", html),
    ]
    invitation = _base64(calendar.content) if calendar is not None else b""
    if calendar is not None:
        alternatives.append(_part(f"text/calendar; charset=utf-8; method={calendar.method}", "base64", invitation))
    kind, body = "multipart/alternative", _multipart(f"a-{boundary}", alternatives)
    if calendar is not None:
        inner = _head(("Content-Type", f'multipart/alternative; boundary="a-{boundary}"')) + CRLF + body
        attached = _part(
            'application/ics; name="invite.ics"',
            "base64",
            invitation,
            ("Content-Disposition", 'attachment; filename="invite.ics"'),
        )
        kind, body = "multipart/mixed", _multipart(f"m-{boundary}", [inner, attached])
    outer = f"{'m' if calendar else 'a'}-{boundary}"
    head = _head(
        ("From", _address(sender_name, sender_address)),
        ("To", _address(*recipient)),
        ("Subject", subject if subject.isascii() else _encoded(subject)),
        ("Date", format_datetime(sent_at)),
        ("Message-ID", f"<{message_id}>"),
        ("MIME-Version", "1.0"),
        ("Auto-Submitted", "auto-generated"),
        ("Content-Language", language),
        *fields,
        ("Content-Type", f'{kind}; boundary="{outer}"'),
    )
    return Mail(sender_address, recipient[1], head + CRLF + body)


@lru_cache(maxsize=8)
def mailbox(text: str) -> tuple[str, str]:
    """(name, address) of a sender. There are only a few."""
    return parseaddr(text)


def _address(name: str, address: str) -> str:
    name = " ".join(name.split())
    if name.isascii() and "=?" not in name:  # otherwise a name that looks like an encoded word would be read as one
        return formataddr((name, address))
    return f"{_encoded(name)} <{address}>"


def _encoded(text: str) -> str:
    """Encoded words of at most 75 characters (RFC 2047, 2). `formataddr` would make longer ones of long names."""
    return Header(text, "utf-8", maxlinelen=75).encode()


def _head(*fields: tuple[str, str]) -> bytes:
    return b"".join(f"{name}: {_one_line(value)}\r\n".encode() for name, value in fields)


def _one_line(value: str) -> str:
    """A header's value. Encoded words are folded already; nothing else may contain a line break."""
    if value.isprintable():  # which most are: no line breaks
        return value.strip()
    lines = value.splitlines() or [""]
    return "\r\n ".join(line.strip() for line in lines)


def _text_part(kind: str, text: str) -> bytes:
    lines = "\r\n".join(text.splitlines()) + "\r\n"
    return _part(
        f"text/{kind}; charset=utf-8", "quoted-printable", binascii.b2a_qp(lines.encode(), istext=True, header=False)
    )


def _part(content_type: str, encoding: str, content: bytes, *fields: tuple[str, str]) -> bytes:
    return _head_of_part(content_type, encoding, *fields) + content


@lru_cache(maxsize=32)
def _head_of_part(content_type: str, encoding: str, *fields: tuple[str, str]) -> bytes:
    return _head(("Content-Type", content_type), ("Content-Transfer-Encoding", encoding), *fields) + CRLF


def _base64(content: bytes) -> bytes:
    encoded = binascii.b2a_base64(content, newline=False)
    rows = [encoded[start : start + _LONGEST_ROW] for start in range(0, len(encoded), _LONGEST_ROW)]
    return CRLF.join([*rows, b""])


def _multipart(boundary: str, parts: list[bytes]) -> bytes:
    marker = b"--" + boundary.encode()
    return b"".join(marker + CRLF + part + CRLF for part in parts) + marker + b"--" + CRLF

"""Received e-mails. They are stored as bytes and parsed when read; the oldest are dropped over a limit."""

from __future__ import annotations

import email
import email.policy
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from functools import cached_property
from typing import Any, cast
from uuid import uuid4

MOST_MAILS = 20_000
MOST_BYTES = 512 << 20
_HEADERS: BytesHeaderParser[EmailMessage] = BytesHeaderParser(policy=email.policy.default)


@dataclass
class Mail:
    """A received e-mail. It is parsed when a property is read."""

    raw: bytes
    sender: str
    recipients: tuple[str, ...]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=lambda: uuid4().hex[:22])

    @cached_property
    def headers(self) -> EmailMessage:
        return _HEADERS.parsebytes(self.raw)

    def parsed(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    def header(self, name: str) -> str:
        try:
            return str(self.headers.get(name, "") or "")
        except (ValueError, IndexError, LookupError):
            return ""

    def addresses(self, name: str) -> list[dict[str, str]]:
        """The mailboxes of a header as `{Name, Address}`, without malformed ones."""
        try:
            found: Iterable[Address] = getattr(self.headers.get(name), "addresses", ())
            return [{"Name": a.display_name, "Address": a.addr_spec} for a in found]
        except (ValueError, IndexError, LookupError, AttributeError):
            return []

    def bcc(self) -> list[dict[str, str]]:
        shown = {a["Address"].lower() for name in ("To", "Cc") for a in self.addresses(name)}
        return [{"Name": "", "Address": r} for r in self.recipients if r.lower() not in shown]

    def _common(self) -> dict[str, Any]:
        senders = self.addresses("From") or [{"Name": "", "Address": self.sender}]
        return {
            "ID": self.id,
            "MessageID": self.header("Message-ID").strip().strip("<>"),
            "From": senders[0],
            "To": self.addresses("To"),
            "Cc": self.addresses("Cc"),
            "Bcc": self.bcc(),
            "ReplyTo": self.addresses("Reply-To"),
            "Subject": self.header("Subject"),
            "Tags": [],
            "Size": len(self.raw),
        }

    @cached_property
    def summary(self) -> dict[str, Any]:
        """In the format of an item of Mailpit's list."""
        created = self.created.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {**self._common(), "Created": created, "Read": False}

    def parts(self) -> Iterator[tuple[str, EmailMessage]]:
        """Every leaf part with its number, as in Mailpit: 1, 2.1, …"""

        def walk(message: EmailMessage, number: str) -> Iterator[tuple[str, EmailMessage]]:
            if message.is_multipart() and message.get_content_maintype() == "multipart":
                for index, child in enumerate(message.iter_parts(), start=1):
                    yield from walk(cast(EmailMessage, child), f"{number}.{index}" if number else str(index))
            else:
                yield number or "1", message

        yield from walk(self.parsed(), "")

    def full(self) -> dict[str, Any]:
        """In Mailpit's message format: texts, attachments and inline parts, with their part numbers."""
        text, html = "", ""
        attachments: list[dict[str, Any]] = []
        inline: list[dict[str, Any]] = []
        for number, part in self.parts():
            kind = part.get_content_type()
            attached = part.get_content_disposition() == "attachment"
            if kind == "text/plain" and not attached and not text:
                text = _text(part)
            elif kind == "text/html" and not attached and not html:
                html = _text(part)
            else:
                entry = {
                    "PartID": number,
                    "FileName": part.get_filename() or "",
                    "ContentType": kind,
                    "ContentID": str(part.get("Content-ID", "")).strip("<>"),
                    "Size": len(payload(part)),
                }
                (attachments if attached else inline).append(entry)
        return {
            **self._common(),
            "ReturnPath": self.sender,
            "Date": self.summary["Created"],
            "Text": text,
            "HTML": html,
            "Inline": inline,
            "Attachments": attachments,
        }


def payload(part: EmailMessage) -> bytes:
    """The decoded bytes of a leaf part."""
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else part.as_bytes()


def _text(part: EmailMessage) -> str:
    charset = part.get_content_charset() or "utf-8"
    try:
        return payload(part).decode(charset, errors="replace")
    except LookupError:
        return payload(part).decode("utf-8", errors="replace")


class Mailbox:
    """All e-mails, newest first, limited in number and bytes."""

    def __init__(self, most: int = MOST_MAILS, most_bytes: int = MOST_BYTES) -> None:
        self._mails: deque[Mail] = deque()
        self._by_id: dict[str, Mail] = {}
        self._bytes = 0
        self._most = most
        self._most_bytes = most_bytes

    def __len__(self) -> int:
        return len(self._mails)

    def add(self, mail: Mail) -> None:
        self._mails.appendleft(mail)
        self._by_id[mail.id] = mail
        self._bytes += len(mail.raw)
        while len(self._mails) > self._most or (self._bytes > self._most_bytes and len(self._mails) > 1):
            self._forget(self._mails.pop())

    def _forget(self, mail: Mail) -> None:
        self._by_id.pop(mail.id, None)
        self._bytes -= len(mail.raw)

    def get(self, mail_id: str) -> Mail | None:
        """The e-mail with this id, or the newest for `latest`."""
        if mail_id == "latest":
            return self._mails[0] if self._mails else None
        return self._by_id.get(mail_id)

    def page(self, start: int, limit: int) -> list[Mail]:
        return [self._mails[i] for i in range(max(0, start), min(len(self._mails), start + limit))]

    def search(self, query: str) -> list[Mail]:
        """E-mails that match all words: `to:address`, `from:address`, `subject:word`, or a word of subject or address."""
        words = query.lower().split()
        return [m for m in self._mails if all(_matches(m, w) for w in words)]

    def delete(self, ids: set[str] | None = None) -> None:
        """Deletes the e-mails with these ids, or all."""
        if ids is None:
            self._mails.clear()
            self._by_id.clear()
            self._bytes = 0
            return
        for mail in [m for m in self._mails if m.id in ids]:
            self._mails.remove(mail)
            self._forget(mail)


def _matches(mail: Mail, word: str) -> bool:
    name, colon, value = word.partition(":")
    value = value.strip('"')
    if colon and name in ("to", "addressed"):
        return any(value in r.lower() for r in mail.recipients)
    if colon and name == "from":
        return value in mail.sender.lower()
    if colon and name == "subject":
        return value in mail.header("Subject").lower()
    return word in mail.header("Subject").lower() or any(word in r.lower() for r in mail.recipients)

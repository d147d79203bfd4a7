"""Reads e-mails from the development mail server."""

from __future__ import annotations

import asyncio
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import default
from typing import Any

import httpx

from makegood_devtools.errors import UserError


class MailReader:
    """The e-mails of an address, from the development mail server's API (Mailpit's format)."""

    def __init__(self, mail_url: str, address: str) -> None:
        self._http = httpx.AsyncClient(base_url=mail_url, timeout=10, trust_env=False)
        self._address = address

    async def close(self) -> None:
        await self._http.aclose()

    async def all(self) -> list[dict[str, Any]]:
        """Mails to the address, newest first."""
        answer = await self._http.get("/api/v1/messages", params={"limit": 500})
        answer.raise_for_status()
        mails: list[dict[str, Any]] = answer.json()["messages"]
        return [mail for mail in mails if any(to["Address"] == self._address for to in mail["To"])]

    async def calendars(self, mail: dict[str, Any]) -> list[bytes]:
        """The `.ics` attachments of a mail."""
        whole = (await self._http.get(f"/api/v1/message/{mail['ID']}")).json()
        parts = [part["PartID"] for part in whole["Attachments"] if part["FileName"].endswith(".ics")]
        return [(await self._http.get(f"/api/v1/message/{mail['ID']}/part/{part}")).content for part in parts]

    async def headers(self, mail: dict[str, Any]) -> Message:
        """The headers of a mail."""
        raw = await self._http.get(f"/api/v1/message/{mail['ID']}/raw")
        raw.raise_for_status()
        return BytesHeaderParser(policy=default).parsebytes(raw.content)

    async def wait_for(self, subject: str, seconds: float = 20) -> dict[str, Any]:
        """Waits for the e-mail with this subject. Raises UserError if it does not arrive."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for mail in await self.all():
                        if mail["Subject"] == subject:
                            whole = await self._http.get(f"/api/v1/message/{mail['ID']}")
                            whole.raise_for_status()
                            return dict(whole.json())
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise UserError(
                f"no mail {subject!r} came within {seconds:g} s; see `makegood logs notifications`"
            ) from None

"""What people wrote, at rest and after an erasure: looked for in everything that the four databases hold, as a thief of a dump or
of a backup would (see docs/decisions/0023)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from makegood_contracts.ids import new_id
from makegood_stack.ports import SERVICES
from makegood_testkit.databases import as_login
from makegood_testkit.platform import Cast, Platform

CANARY = "xylophone canary"
"""In every text that anybody can write here; each with its own end."""

_TABLES = """
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1
"""


def _urls(platform: Platform) -> Iterator[tuple[str, str]]:
    """Each service's database, as its owner: a thief of a dump sees every table."""
    for service in SERVICES:
        yield service, as_login(platform.stack.database_url(service), "owner")


async def dump(platform: Platform) -> dict[str, dict[str, list[bytes]]]:
    """Every row of every table of all four databases, as bytes: what is text, and what lies in binary columns."""
    found: dict[str, dict[str, list[bytes]]] = {}
    for service, url in _urls(platform):
        connection = await asyncpg.connect(url)
        try:
            for (table,) in await connection.fetch(_TABLES):
                rows = await connection.fetch(f'SELECT * FROM "{table}"')
                found.setdefault(service, {})[table] = [_raw(row) for row in rows]
        finally:
            await connection.close()
    return found


def _raw(row: Any) -> bytes:
    return b"|".join(value if isinstance(value, bytes) else str(value).encode() for value in tuple(row))


def places(dumped: dict[str, dict[str, list[bytes]]], text: str) -> list[str]:
    """The tables in which the text stands."""
    return [
        f"{service}.{table}"
        for service, tables in dumped.items()
        for table, rows in tables.items()
        if any(text.encode() in row for row in rows)
    ]


async def write_everything(cast: Cast) -> dict[str, str]:
    """Every text that people can write, each with a key so that its answer is kept; what was written, by what it is."""
    room, member, doc = f"/v1/rooms/{cast.room_id}", cast.member.subject, cast.provider.subject
    said = {
        name: f"{CANARY} {name} {new_id()}"
        for name in (
            "member's chat",
            "provider's chat",
            "remark",
            "dispute",
            "correction",
            "time off",
            "adjustment",
            "proposal",
        )
    }
    await cast.member.post(f"{room}/messages", {"text": said["member's chat"]}, key=new_id())
    await cast.provider.post(f"{room}/messages", {"text": said["provider's chat"]}, key=new_id())
    cancelled = await cast.confirmed(timedelta(days=6))
    await cast.member.post(
        f"/v1/sessions/{cancelled['id']}/cancel", {"remark": said["remark"], "share_remark": True}, wait=15
    )
    start = await cast.start_in(timedelta(days=20))
    off = {
        "starts_at": start.isoformat(),
        "ends_at": (start + timedelta(hours=2)).isoformat(),
        "note": said["time off"],
    }
    await cast.provider.post(f"/v1/providers/{doc}/time-off", off, key=new_id())
    await cast.support.post(
        f"/v1/members/{member}/adjustments", {"amount": 1, "reason": said["adjustment"]}, key=new_id()
    )
    await cast.support.post(
        f"/v1/members/{member}/adjustments", {"amount": 50, "reason": said["proposal"]}, key=new_id()
    )
    missed = await cast.confirmed(timedelta(days=3))
    await cast.platform.advance_to(await _after_grace(missed))
    await cast.settled(missed, "provider_missed", "returned")
    await cast.provider.post(f"/v1/sessions/{missed['id']}/dispute", {"claim": "i_was_there", "note": said["dispute"]})
    await cast.support.post(
        f"/v1/sessions/{missed['id']}/correct", {"outcome": "member_no_show", "reason": said["correction"]}
    )
    return said


async def _after_grace(session: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(session["starts_at"]) + timedelta(minutes=11)


@pytest.mark.rule("SEC-3")
async def test_a_dump_of_all_databases_holds_no_word_that_anybody_wrote(cast: Cast) -> None:
    said = await write_everything(cast)
    dumped = await dump(cast.platform)
    assert places(dumped, CANARY) == []
    # The words are there for whom they are meant: the dump is not clean because nothing was kept.
    chat = [message["text"] for message in await cast.chat()]
    assert {said["member's chat"], said["provider's chat"]} <= set(chat)
    reasons = {item["reason"] for item in await cast.ledger()}
    assert said["adjustment"] in reasons


@pytest.mark.rule("SEC-3")
async def test_a_sealed_text_in_another_row_does_not_open(cast: Cast) -> None:
    """Whoever can write to the database cannot put one person's words into another one's mouth."""
    first, second = f"{CANARY} one", f"{CANARY} two"
    for text in (first, second):
        await cast.member.post(f"/v1/rooms/{cast.room_id}/messages", {"text": text})
    url = dict(_urls(cast.platform))["notifications"]
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT id, sealed FROM chat_messages WHERE room_id = $1 AND kind = 'text' ORDER BY id DESC LIMIT 2",
            cast.room_id,
        )
        await connection.execute("UPDATE chat_messages SET sealed = $2 WHERE id = $1", rows[0]["id"], rows[1]["sealed"])
        answer = await cast.provider.send("GET", f"/v1/rooms/{cast.room_id}/messages")
        assert answer.status_code == 500
        assert CANARY not in answer.text
        await connection.execute("UPDATE chat_messages SET sealed = $2 WHERE id = $1", rows[0]["id"], rows[0]["sealed"])
    finally:
        await connection.close()
    assert (await cast.chat())[0]["text"] == second


_SEALED = {
    "notifications": ("chat_messages", "id", "sender_id = $1"),
    "booking": ("session_notes", "session_id", "person_id = $1"),
    "availability": ("time_off", "id", "provider_id = $1"),
    "credits": ("support_reasons", "entity_id", "member_id = $1"),
}


async def _sealed(cast: Cast, people: list[str]) -> dict[str, list[bytes]]:
    """What each service keeps sealed of these people, as a backup of the data holds it."""
    found: dict[str, list[bytes]] = {}
    for service, url in _urls(cast.platform):
        table, _, whose = _SEALED[service]
        connection = await asyncpg.connect(url)
        try:
            for person in people:
                rows = await connection.fetch(
                    f"SELECT sealed FROM {table} WHERE {whose} AND sealed IS NOT NULL", person
                )
                found.setdefault(service, []).extend(row[0] for row in rows)
        finally:
            await connection.close()
    return found


@pytest.mark.rule("SEC-3")
async def test_an_erasure_reaches_every_service_after_its_wait_and_what_is_kept_names_ids_alone(cast: Cast) -> None:
    said = await write_everything(cast)
    people = [cast.member.subject, cast.provider.subject]
    backup = await _sealed(cast, people)
    assert all(backup[service] for service in SERVICES), "there is something to erase everywhere"
    for person in (cast.member, cast.provider):
        asked = await person.delete(f"/v1/people/{person.subject}", params={"reason": "consent_withdrawn"})
        assert (asked.status, asked["state"]) == (202, "pending")
    assert (await cast.member.get(f"/v1/people/{cast.member.subject}/contact"))["email"]
    await cast.platform.advance(timedelta(days=7))

    async def left() -> dict[str, int]:
        keys = {}
        for service, url in _urls(cast.platform):
            connection = await asyncpg.connect(url)
            try:
                keys[service] = await connection.fetchval(
                    "SELECT count(*) FROM personal_keys WHERE person_id = ANY($1::text[])", people
                )
            finally:
                await connection.close()
        return keys

    await cast.eventually(left, lambda seen: not any(seen.values()))
    dumped = await dump(cast.platform)
    assert places(dumped, CANARY) == []
    for service, sealed in backup.items():
        for content in sealed:
            assert not any(content in row for rows in dumped[service].values() for row in rows), service
    assert (await cast.member.send("GET", f"/v1/people/{cast.member.subject}/contact")).status_code == 404
    reasons = {item["reason"] for item in await cast.ledger() if item["made_by"] == cast.support.subject}
    assert reasons.isdisjoint(said.values())
    assert "Made by support." in reasons


@pytest.mark.rule("SEC-3")
async def test_an_erasure_that_is_taken_back_or_has_no_reason_erases_nothing(cast: Cast) -> None:
    path = f"/v1/people/{cast.member.subject}"
    assert (await cast.member.send("DELETE", path)).status_code == 422
    at_once = {"reason": "law_requires_it", "now": "true"}
    assert (await cast.member.send("DELETE", path, params=at_once)).status_code == 403
    await cast.support.delete(path, params={"reason": "no_longer_needed"})
    assert (await cast.member.get(f"{path}/erasure"))["state"] == "pending"
    await cast.member.delete(f"{path}/erasure")
    await cast.platform.advance(timedelta(days=8))
    assert (await cast.member.get(f"{path}/erasure"))["state"] == "none"
    assert (await cast.member.get(f"{path}/contact"))["email"]

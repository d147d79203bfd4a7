"""Words of people at rest: sealed with their key, bound to their place, gone with the key."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makegood_chassis.database import Database
from makegood_chassis.personal_data.key_store import PostgresKeyStore
from makegood_chassis.personal_data.master_keys import MasterKeys, UnknownMasterKey, new_key
from makegood_chassis.personal_data.sealing import REMEMBERED, PersonalData, Place, Tampered, seal, unseal
from makegood_contracts.envelope import Cause

CAUSE = Cause("story", "story")
HERE = Place("chat_messages", "m-1", "anna")
KEY = new_key()


@given(st.text())
def test_a_sealed_text_opens_in_its_place(text: str) -> None:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        return
    sealed = seal(KEY, HERE, text)
    assert unseal(KEY, HERE, sealed) == text
    assert len(text.encode()) < 4 or text.encode() not in sealed
    assert seal(KEY, HERE, text) != sealed


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("session_remarks", "m-1", "anna"),
        Place("chat_messages", "m-2", "anna"),
        Place("chat_messages", "m-1", "ben"),
    ],
)
def test_a_sealed_text_opens_nowhere_else(elsewhere: Place) -> None:
    with pytest.raises(Tampered):
        unseal(KEY, elsewhere, seal(KEY, HERE, "canary"))


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_changed_byte_is_found_out(at: int, by: int) -> None:
    sealed = bytearray(seal(KEY, HERE, "canary" * 6))
    sealed[at] ^= by
    try:
        assert unseal(KEY, HERE, bytes(sealed)) is None, "named another key"
        assert 1 <= at < 9
    except Tampered:
        pass


def test_what_another_key_of_the_person_sealed_is_gone() -> None:
    assert unseal(new_key(), HERE, seal(KEY, HERE, "canary")) is None


def test_master_keys_are_read_from_the_setting() -> None:
    keys = MasterKeys.parse(f"b:{'A' * 43}=, a:{'B' * 43}=")
    assert keys.current == "b"
    for text in ("", "a", f"a:{'A' * 42}", f"a:{'A' * 43}=,a:{'B' * 43}=", "a:not base64", ":x", f" :{'A' * 43}="):
        with pytest.raises(ValueError, match="base64") as refused:
            MasterKeys.parse(text)
        assert "AAAA" not in str(refused.value)


def masters(*names: str) -> MasterKeys:
    return MasterKeys({name: name.encode().ljust(32, b".") for name in names})


class SealingProcess:
    """One process with its own memory of keys, and a clock for that."""

    def __init__(self, database: Database, master_keys: MasterKeys) -> None:
        self.now = 0.0
        self.database = database
        self.personal_data = PersonalData(PostgresKeyStore(master_keys), master_keys, time=lambda: self.now)

    async def seal(self, place: Place, text: str) -> bytes:
        async with self.database.transaction(CAUSE) as unit:
            (sealed,) = await self.personal_data.seal(unit, [(place, text)])
        return sealed

    async def open(self, place: Place, sealed: bytes) -> str | None:
        async with self.database.reading() as queries:
            (text,) = await self.personal_data.open(queries, [(place, sealed)])
        return text

    async def erase(self, person: str) -> None:
        async with self.database.transaction(CAUSE) as unit:
            await self.personal_data.erase(unit, [person])

    async def rows(self) -> list[Any]:
        async with self.database.reading() as queries:
            return await queries.fetch("SELECT * FROM personal_keys ORDER BY person_id")


async def test_a_key_is_made_once_however_many_write_at_once(database: Database) -> None:
    process = SealingProcess(database, masters("one"))
    places = [Place("chat_messages", str(number), "anna") for number in range(20)]
    sealed = await asyncio.gather(*(process.seal(place, f"text {place.row}") for place in places))
    assert [await process.open(place, content) for place, content in zip(places, sealed, strict=True)] == [
        f"text {number}" for number in range(20)
    ]
    (row,) = await process.rows()
    assert row["master_key"] == "one"


async def test_an_erasure_is_final_here_and_within_seconds_in_other_processes(database: Database) -> None:
    process, other = SealingProcess(database, masters("one")), SealingProcess(database, masters("one"))
    sealed = await process.seal(HERE, "canary")
    ben = Place("chat_messages", "m-2", "ben")
    kept = await process.seal(ben, "kept")
    assert await other.open(HERE, sealed) == "canary"
    await process.erase("anna")
    assert await process.open(HERE, sealed) is None
    other.now += REMEMBERED
    assert await other.open(HERE, sealed) is None
    assert await process.open(ben, kept) == "kept"
    # Who comes back begins with a new key: what a backup brings back stays closed.
    again = await process.seal(HERE, "anew")
    assert await process.open(HERE, again) == "anew"
    assert await process.open(HERE, sealed) is None


async def test_what_is_written_while_its_author_is_erased_does_not_outlive_them(database: Database) -> None:
    """The writer holds the key until its transaction ends; the erasure comes after, and nothing is left that opens."""
    process = SealingProcess(database, masters("one"))
    await process.seal(HERE, "first")
    async with database.transaction(CAUSE) as unit:
        (sealed,) = await process.personal_data.seal(unit, [(HERE, "second")])
        erasing = asyncio.create_task(process.erase("anna"))
        done, _ = await asyncio.wait({erasing}, timeout=0.2)
        assert not done
    await erasing
    assert await process.open(HERE, sealed) is None


async def test_the_master_key_is_changed_step_by_step(database: Database) -> None:
    old, both, new = (SealingProcess(database, masters(*names)) for names in (("a",), ("b", "a"), ("b",)))
    places = [Place("chat_messages", str(number), f"person-{number}") for number in range(5)]
    sealed = [await old.seal(place, place.row) for place in places]
    with pytest.raises(UnknownMasterKey, match="a"):
        await new.open(places[0], sealed[0])
    assert await both.open(places[0], sealed[0]) == "0"
    counts: list[int] = []
    while not counts or counts[-1]:
        async with database.transaction(CAUSE) as unit:
            counts.append(await both.personal_data.keys.rewrap(unit, 2))
    assert counts == [2, 2, 1, 0]
    assert {row["master_key"] for row in await both.rows()} == {"b"}
    assert [await new.open(place, content) for place, content in zip(places, sealed, strict=True)] == list("01234")


async def test_a_page_of_texts_costs_one_look_at_the_keys_and_then_none(database: Database) -> None:
    process = SealingProcess(database, masters("one"))
    places = [Place("chat_messages", str(number), f"person-{number % 2}") for number in range(50)]
    sealed = [(place, await process.seal(place, place.row)) for place in places]
    looks = 0

    async with database.reading() as queries:
        real = queries.fetch

        async def counted(*args: Any) -> Any:
            nonlocal looks
            looks += 1
            return await real(*args)

        queries.fetch = counted  # type: ignore[method-assign, assignment]
        for expected in (1, 1):
            assert await process.personal_data.open(queries, sealed) == [place.row for place in places]
            assert looks == expected
        process.now += REMEMBERED
        await process.personal_data.open(queries, sealed)
    assert looks == 2


async def test_a_key_in_the_database_is_of_no_use_without_the_master_key_or_under_another_name(
    database: Database,
) -> None:
    process = SealingProcess(database, masters("one"))
    sealed = await process.seal(HERE, "canary")
    wrong = SealingProcess(database, MasterKeys({"one": os.urandom(32)}))
    with pytest.raises(ValueError, match="master key"):
        await wrong.open(HERE, sealed)
    async with database.reading() as queries:
        await queries.execute("UPDATE personal_keys SET person_id = 'ben'")
    with pytest.raises(ValueError, match="master key"):
        await process.open(Place("chat_messages", "m-1", "ben"), sealed)

"""Seals and opens texts with the key of the person whose texts they are (AES-256-GCM). A sealed text names its key and
is bound to its table, row and person, so it cannot be opened in another row.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from makegood_chassis.personal_data.key_store import KeyStore, PostgresKeyStore
from makegood_chassis.personal_data.letters import Letter, open_letter, public_half
from makegood_chassis.personal_data.master_keys import NONCE, MasterKeys

if TYPE_CHECKING:
    from makegood_chassis.database import Queries, UnitOfWork

REMEMBERED: Final = 5.0
"""Seconds for which a process caches a key for reading. An erasure takes effect everywhere within this time."""
MOST_REMEMBERED: Final = 1000
_VERSION: Final = b"\x01"
_FORGET_ANSWERS: Final = """
UPDATE idempotency_keys SET headers = NULL, body = NULL, sealed_for = NULL
WHERE status IS NOT NULL AND (caller = ANY($1::text[]) OR sealed_for = ANY($1::text[]))
"""
"""The idempotency keys stay; otherwise the same request could take effect again. The answer of the erasing request
itself is stored later.
"""
_NAME: Final = 8
"""Bytes that distinguish a person's key from a later one."""
_HEAD: Final = len(_VERSION) + _NAME


class Tampered(Exception):
    """A sealed text that was changed or moved to another place."""


class Place(NamedTuple):
    """The place of a text, and whose text it is: `table` without its schema, `row` by its key."""

    table: str
    row: str
    person_id: str

    @property
    def bound(self) -> bytes:
        return "\0".join((self.table, self.row, self.person_id)).encode()


class PersonalData:
    """Seals and opens texts. Reading fetches all keys at once and caches them for REMEMBERED seconds. Writing always
    fetches them.
    """

    def __init__(self, keys: KeyStore, master_keys: MasterKeys, *, time: Callable[[], float] = time.monotonic) -> None:
        self.keys = keys
        self.master_keys = master_keys
        self._time = time
        self._remembered: OrderedDict[str, tuple[float, _Cipher]] = OrderedDict()

    @classmethod
    def of(cls, master_keys: MasterKeys) -> PersonalData:
        """An instance with people's keys in the service's own database."""
        return cls(PostgresKeyStore(master_keys), master_keys)

    async def seal(self, unit: UnitOfWork, texts: Sequence[tuple[Place, str]]) -> list[bytes]:
        """The sealed texts, in order. A person without a key gets one with `unit`."""
        if not texts:
            return []
        keys = await self.keys.obtain(unit, {place.person_id for place, _ in texts})
        return [seal(keys[place.person_id], place, text) for place, text in texts]

    async def open(self, queries: Queries, sealed: Sequence[tuple[Place, bytes | None]]) -> list[str | None]:
        """The texts, in order. None if there is none, or its key was destroyed. Raises Tampered."""
        people = {place.person_id for place, content in sealed if content}
        ciphers = await self._ciphers(queries, people) if people else {}
        return [
            ciphers[place.person_id].open(place, content) if content and place.person_id in ciphers else None
            for place, content in sealed
        ]

    async def public_halves(self, unit: UnitOfWork, people: Collection[str]) -> dict[str, str]:
        """The public halves with which other services seal for these people. A person without a key gets one with
        `unit`.
        """
        keys = await self.keys.obtain(unit, people)
        return {person: public_half(key) for person, key in keys.items()}

    async def open_letters(self, queries: Queries, letters: Sequence[tuple[Letter, str]]) -> list[str | None]:
        """The texts that were sealed inside events, in order. None if the author's key was destroyed, or does not
        match. Keys are not cached, because a person who was erased and came back has a new one at once.
        """
        keys = await self.keys.find(queries, {letter.author for letter, _ in letters}) if letters else {}
        return _opened(keys, letters)

    async def take_letters(self, unit: UnitOfWork, letters: Sequence[tuple[Letter, str]]) -> list[str | None]:
        """As `open_letters`, for a transaction that stores the texts: an erasure happens before or after it."""
        known = await self.keys.find(unit, {letter.author for letter, _ in letters}) if letters else {}
        return _opened(await self.keys.obtain(unit, known) if known else {}, letters)

    async def destroy(self, unit: UnitOfWork, people: Collection[str]) -> None:
        """Destroys these people's keys, so that their texts become unreadable here and in every copy without the keys."""
        await self.keys.destroy(unit, people)

        def forget() -> None:
            for person in people:
                self._remembered.pop(person, None)

        forget()
        unit.after_commit(forget)

    async def erase(self, unit: UnitOfWork, people: Collection[str]) -> None:
        """As `destroy`. Also deletes the stored answers to requests of these people, or about them. Their idempotency
        keys stay used: a repeat is told that the data was erased.
        """
        await self.destroy(unit, people)
        await unit.execute(_FORGET_ANSWERS, sorted(people))

    async def _ciphers(self, queries: Queries, people: Collection[str]) -> dict[str, _Cipher]:
        now = self._time()
        found = {
            person: known[1]
            for person in people
            if (known := self._remembered.get(person)) is not None and known[0] > now
        }
        missing = [person for person in people if person not in found]
        if missing:
            fresh = {person: _Cipher(key) for person, key in (await self.keys.find(queries, missing)).items()}
            for person, cipher in fresh.items():
                self._remembered.pop(person, None)
                self._remembered[person] = (now + REMEMBERED, cipher)
            while len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)
            found |= fresh
        return found


def _opened(keys: Mapping[str, bytes], letters: Sequence[tuple[Letter, str]]) -> list[str | None]:
    return [
        open_letter(keys[letter.author], letter, sealed) if letter.author in keys else None
        for letter, sealed in letters
    ]


def seal(key: bytes, place: Place, text: str) -> bytes:
    return _Cipher(key).seal(place, text)


def unseal(key: bytes, place: Place, sealed: bytes) -> str | None:
    """The text. None if it was sealed with an earlier key of the person, which is destroyed. Raises Tampered."""
    return _Cipher(key).open(place, sealed)


class _Cipher:
    """A person's key, ready for use. Making it ready costs three times as much as opening a text with it."""

    __slots__ = ("_aead", "_head")

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        name = hashlib.sha256(b"name of a key\0" + key).digest()[:_NAME]
        self._head = _VERSION + name

    def seal(self, place: Place, text: str) -> bytes:
        nonce = os.urandom(NONCE)
        return self._head + nonce + self._aead.encrypt(nonce, text.encode(), place.bound)

    def open(self, place: Place, sealed: bytes) -> str | None:
        """As `unseal`."""
        if len(sealed) < _HEAD + NONCE or not sealed.startswith(_VERSION):
            raise Tampered(f"a text of {place.table} is not sealed as it should be")
        if not sealed.startswith(self._head):
            return None
        try:
            return self._aead.decrypt(sealed[_HEAD : _HEAD + NONCE], sealed[_HEAD + NONCE :], place.bound).decode()
        except InvalidTag:
            raise Tampered(f"a sealed text of {place.table} is not in its place, or was changed") from None

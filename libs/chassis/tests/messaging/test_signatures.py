"""Signatures of events: any batch verifies, and nothing that differs by a byte does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from makegood_chassis.messaging import event_keys
from makegood_chassis.messaging.event_keys import EventKey, EventKeys, fetch_event_keys, read_event_keys
from makegood_chassis.messaging.signatures import (
    MOST_RECORDS,
    SIGNATURE,
    Signer,
    jwk,
    leaf,
    read,
    root_of,
    thumbprint,
    tree,
)
from makegood_chassis.messaging.verification import Verifier
from makegood_contracts.topics import HOLDS, SESSIONS

BOOKING, CREDITS = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
SIGNER = Signer(BOOKING)
KEYS = {
    SIGNER.kid: EventKey("booking", BOOKING.public_key()),
    Signer(CREDITS).kid: EventKey("credits", CREDITS.public_key()),
}
Record = tuple[bytes, list[tuple[str, bytes]], bytes]


def record(number: int) -> Record:
    return f"key-{number}".encode(), [("ce_id", str(number).encode()), ("ce_type", b"t"), ("traceparent", b"x")], b"{}"


def signed(records: list[Record], signer: Signer = SIGNER, topic: str = SESSIONS.name) -> list[Record]:
    leaves = [leaf(topic, key, headers, value) for key, headers, value in records]
    return [
        (key, [*headers, (SIGNATURE, signature)], value)
        for (key, headers, value), signature in zip(records, signer.sign(leaves), strict=True)
    ]


def check(one: Record, topic: str = SESSIONS.name) -> str | None:
    return Verifier(EventKeys.fixed(KEYS)).check(topic, *one)


@pytest.mark.rule("SEC-7")
@given(st.integers(1, 3 * MOST_RECORDS + 1))
@settings(deadline=None, max_examples=40)
def test_a_batch_of_any_size_verifies(size: int) -> None:
    verifier = Verifier(EventKeys.fixed(KEYS))
    batch = signed([record(number) for number in range(size)])
    assert [verifier.check(SESSIONS.name, *one) for one in batch] == [None] * size
    assert len(verifier._roots) == -(-size // MOST_RECORDS), "one signature for so many records"


@pytest.mark.rule("SEC-7")
@given(st.integers(1, 40), st.data())
@settings(deadline=None, max_examples=200)
def test_whatever_is_changed_is_refused(size: int, data: st.DataObject) -> None:
    """Any byte of key, value, a covered header or the signature itself; a header more, fewer, or in another place."""
    key, headers, value = data.draw(st.sampled_from(signed([record(number) for number in range(size)])))
    what = data.draw(st.sampled_from(["key", "value", "header", "name", "more", "fewer", "swap"]))
    place = data.draw(st.integers(0, len(headers) - 1))
    name, content = headers[place]
    if what == "key":
        key = changed(key, data)
    elif what == "value":
        value = changed(value, data)
    elif what == "header":
        headers = [*headers[:place], (name, changed(content, data)), *headers[place + 1 :]]
    elif what == "name":
        headers = [*headers[:place], (name + "x", content), *headers[place + 1 :]]
        if name == SIGNATURE:
            assert check((key, headers, value)) == "unsigned"
    elif what == "more":
        headers = [*headers, ("ce_more", b"x")]
    elif what == "fewer":
        headers = headers[:place] + headers[place + 1 :]
    else:
        headers = [headers[1], headers[0], *headers[2:]]
    assert check((key, headers, value)) is not None


def changed(raw: bytes, data: st.DataObject) -> bytes:
    at = data.draw(st.integers(0, len(raw) - 1))
    return raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]


@pytest.mark.rule("SEC-7")
def test_headers_that_brokers_and_redrive_add_are_not_covered() -> None:
    key, headers, value = signed([record(1)])[0]
    assert check((key, [*headers, ("makegood_redrive", b"1"), ("mirror", b"eu")], value)) is None


@pytest.mark.rule("SEC-7")
def test_a_record_passes_on_its_own_topic_alone_and_by_its_owner_alone() -> None:
    mine = signed([record(1)])[0]
    assert check(mine, HOLDS.name) == "key-of-another-service"
    assert check(signed([record(1)], Signer(CREDITS))[0]) == "key-of-another-service"
    stranger = Signer(Ed25519PrivateKey.generate())
    assert check(signed([record(1)], stranger)[0]) == "key-unknown"
    assert check(record(1)) == "unsigned"
    assert check((mine[0], [*mine[1], mine[1][-1]], mine[2])) == "signature-malformed", "two signatures"


@pytest.mark.rule("SEC-7")
def test_a_fields_bytes_cannot_move_into_its_neighbour() -> None:
    one = leaf("t", b"ab", [("ce_id", b"cd")], b"ef")
    others = [
        leaf("t", b"a", [("ce_id", b"bcd")], b"ef"),
        leaf("t", b"ab", [("ce_idc", b"d")], b"ef"),
        leaf("t", b"ab", [("ce_id", b"cdef")], b""),
        leaf("t", b"abce_idcd", [], b"ef"),
        leaf("ta", b"b", [("ce_id", b"cd")], b"ef"),
    ]
    assert one not in others


@pytest.mark.rule("SEC-7")
def test_a_node_of_the_tree_is_no_leaf() -> None:
    """Otherwise the two leaves below a node, side by side, would be a record that nobody signed."""
    leaves = [leaf("t", b"", [], bytes([number])) for number in range(4)]
    root, ways = tree(leaves)
    assert {root_of(hashed, *way) for hashed, way in zip(leaves, ways, strict=True)} == {root}
    forged = leaf("t", leaves[0], [], leaves[1])
    assert root_of(forged, *ways[0]) != root
    assert root_of(forged, ways[0][0] >> 1, ways[0][1][1:]) != root


@given(st.binary(max_size=300) | st.text(alphabet="abcdef0123456789.-_=", max_size=300).map(str.encode))
@settings(deadline=None)
def test_any_header_is_read_or_refused(header: bytes) -> None:
    key, headers, value = record(1)
    assert check((key, [*headers, (SIGNATURE, header)], value)) in ("signature-malformed", "key-unknown")


def test_a_header_is_written_in_one_way_only() -> None:
    header = signed([record(1), record(2)])[1][1][-1][1].decode()
    kid, sides, path, signature = header.split(".")
    assert read(header.encode()).sides == 1
    for other in (
        f"{kid}.0{sides}.{path}.{signature}",
        f"{kid}.{sides}.{path}=.{signature}",
        f"{kid}.{sides}.{path} .{signature}",
        f"{kid}.3.{path}.{signature}",
        f"{kid}.{sides}.{path}.{signature}.",
    ):
        key, headers, value = record(2)
        assert check((key, [*headers, (SIGNATURE, other.encode())], value)) == "signature-malformed", other


def test_the_key_id_is_the_thumbprint_of_rfc_8037() -> None:
    entry = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "makegood_service": "credits",
    }
    [(kid, key)] = read_event_keys(json.dumps({"keys": [entry]}).encode()).items()
    assert kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" == thumbprint(key.public)
    assert jwk(key.public, "credits").items() >= entry.items()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": 1}',
        b'{"keys": [{"kty": "RSA"}]}',
        b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}',
    ],
)
def test_what_holds_no_key_is_no_key_set(document: bytes) -> None:
    with pytest.raises(ValueError):
        read_event_keys(document)


def test_a_key_that_cannot_sign_is_refused_without_being_quoted() -> None:
    for pem in ("nonsense-secret", _pem(Ed25519PrivateKey.generate()).replace("PRIVATE", "PUBLIC")):
        with pytest.raises(ValueError) as refused:
            Signer.of(pem)
        assert "secret" not in str(refused.value)
        assert pem not in str(refused.value)
    assert Signer.of(_pem(BOOKING)).kid == SIGNER.kid


def _pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class KeyFile:
    """A published key set that changes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "event-keys.json"

    def publish(self, *keys: Ed25519PrivateKey) -> None:
        entries: list[Any] = [jwk(key.public_key(), "booking") for key in keys]
        self.path.write_text(json.dumps({"keys": entries}))


@pytest.mark.rule("SEC-7")
async def test_a_withdrawn_key_ends_with_the_next_fetch(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    other = Ed25519PrivateKey.generate()
    file.publish(BOOKING, other)
    keys = EventKeys(str(file.path))
    verifier = Verifier(keys)
    await keys.ensure()
    mine = signed([record(1)])[0]
    assert verifier.check(SESSIONS.name, *mine) is None
    file.publish(other)
    assert await keys.refresh()
    assert verifier.check(SESSIONS.name, *mine) == "key-unknown", "also where its root was verified before"
    file.publish(BOOKING, other)
    assert await keys.look_again()
    assert verifier.check(SESSIONS.name, *mine) is None


@pytest.mark.rule("SEC-7")
async def test_keys_that_cannot_be_fetched_are_kept_and_waited_for(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    keys = EventKeys(file.path.as_uri())
    with pytest.raises(OSError, match="cannot be fetched"):
        await keys.ensure()
    file.publish(BOOKING)
    await keys.ensure()
    file.path.write_text("half a doc")
    assert not await keys.refresh()
    assert keys.get(SIGNER.kid) is not None
    assert keys.fresh


@pytest.mark.rule("SEC-7")
async def test_unknown_keys_cause_few_fetches_however_many_are_named(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.publish(BOOKING)
    keys = EventKeys(str(file.path))
    await keys.ensure()
    assert [await keys.look_again() for _ in range(10)] == [True] * 3 + [False] * 7


@pytest.mark.rule("SEC-7")
async def test_an_unknown_key_is_waited_for_only_at_the_begin_of_an_outage(tmp_path: Path) -> None:
    """It may be new and genuine, but naming one must not stop a consumer for as long as the keys are away."""
    seconds = 1000.0
    file = KeyFile(tmp_path)
    file.publish(BOOKING)
    keys = EventKeys(str(file.path), clock=lambda: seconds)
    await keys.ensure()
    file.path.rename(tmp_path / "away")
    for _ in range(2 * event_keys.BURST):
        with pytest.raises(OSError, match="cannot be fetched"):
            await keys.look_again()
        seconds += 1.0
    seconds += event_keys.PATIENCE
    assert [await keys.look_again() for _ in range(10)] == [False] * 10
    (tmp_path / "away").rename(file.path)
    assert await keys.refresh(), "as the timer does"
    assert await keys.look_again()


def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.publish(BOOKING)
    assert fetch_event_keys(str(file.path)).keys() == fetch_event_keys(file.path.as_uri()).keys() == {SIGNER.kid}

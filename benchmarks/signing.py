"""Processor time that signatures cost an event: at the relay, and at a consumer that reads the whole batch or every fourth event.

python benchmarks/signing.py [--events 20000]
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from makegood_chassis.messaging.event_keys import EventKey, EventKeys
from makegood_chassis.messaging.signatures import SIGNATURE, Signer, leaf
from makegood_chassis.messaging.verification import Verifier
from makegood_contracts.envelope import Cause, decode, encode
from makegood_contracts.events import SessionConfirmed
from makegood_contracts.ids import new_id

START = datetime(2030, 5, 6, 9, tzinfo=UTC)


def event() -> SessionConfirmed:
    return SessionConfirmed(
        session_id=new_id(), room_id=new_id(), member_id="member-1", provider_id="provider-1", starts_at=START,
        ends_at=START + timedelta(minutes=50), length_minutes=50, modality="video", time_zone="Europe/Berlin",
        session_version=2, confirmed_by="provider",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=20_000)
    count = parser.parse_args().events
    private = Ed25519PrivateKey.generate()
    signer = Signer(private)
    keys = EventKeys.fixed({signer.kid: EventKey("booking", private.public_key())})
    records = [encode(event(), sequence=1, cause=Cause(new_id(), new_id())) for _ in range(count)]
    raw = [
        (one.topic, one.key.encode(), [(name, text.encode()) for name, text in one.headers], one.value)
        for one in records
    ]
    begun = time.process_time()
    for _, key, headers, value in raw:
        decode(key, headers, value)
    print(f"decoding only: {(time.process_time() - begun) / count * 1e6:.1f} us an event")
    print("batch   signing   verifying all   verifying every 4th   header")
    for batch in (1, 4, 12, 64, 500):
        begun = time.process_time()
        signed = []
        for start in range(0, count, batch):
            part = raw[start : start + batch]
            signatures = signer.sign([leaf(*one) for one in part])
            signed += [(t, k, [*h, (SIGNATURE, s)], v) for (t, k, h, v), s in zip(part, signatures, strict=True)]
        signing = (time.process_time() - begun) / count
        figures = []
        for step in (1, 4):
            verifier, some = Verifier(keys), signed[::step]
            begun = time.process_time()
            assert {verifier.check(*one) for one in some} == {None}
            figures.append((time.process_time() - begun) / len(some))
        length = len(signed[-1][2][-1][1])
        print(
            f"{batch:5}   {signing * 1e6:5.1f} us   {figures[0] * 1e6:8.1f} us   {figures[1] * 1e6:14.1f} us   {length:6} B"
        )


if __name__ == "__main__":
    main()

"""The example in the data teams' how-to verifies what the platform signs, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from makegood_chassis.messaging.signatures import Signer, jwk
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events import RoomOpened
from makegood_contracts.publishing.examples import example_of
from makegood_testkit.forging import sign

GUIDE = Path(__file__).parents[2] / "docs/how-to/data-teams.md"


@pytest.mark.rule("SEC-7")
def test_the_example_verifies_genuine_events_alone() -> None:
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    assert found is not None
    example: dict[str, Any] = {}
    exec(found[1], example)
    private = Ed25519PrivateKey.generate()
    keys = example["read_keys"](json.dumps({"keys": [jwk(private.public_key(), "booking")]}))
    records = [encode(example_of(RoomOpened), sequence=n, cause=Cause("story", "cause")) for n in range(1, 8)]
    for record, headers in zip(records, sign(records, Signer(private)), strict=True):
        example["verify"](record.topic, record.key.encode(), headers, record.value, keys)
        with pytest.raises(InvalidSignature):
            example["verify"](record.topic, record.key.encode(), headers, record.value + b" ", keys)
        with pytest.raises(ValueError, match="another service"):
            example["verify"]("credits.ledger.v1", record.key.encode(), headers, record.value, keys)

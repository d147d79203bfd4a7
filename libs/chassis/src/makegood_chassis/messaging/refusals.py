"""Why a consumer refuses an event: a closed set. Dead letters, metrics and logs use the same words."""

from __future__ import annotations

from typing import Final, Literal, get_args

from makegood_contracts.event_refusals import FactRefusal

SignatureRefusal = Literal[
    "unsigned",
    "signature-malformed",
    "signature-wrong",
    "key-unknown",
    "key-of-another-service",
    "redrive-malformed",
    "wrong-partition",
]
"""The record does not come from the service that owns its topic, or was changed on its way."""

EnvelopeRefusal = Literal["wrong-topic", "wrong-source", "wrong-key", "wrong-subject", "wrong-schema"]
"""The event contradicts its own envelope."""

RefusalReason = SignatureRefusal | EnvelopeRefusal | FactRefusal

REASONS: Final[tuple[str, ...]] = (*get_args(SignatureRefusal), *get_args(EnvelopeRefusal), *get_args(FactRefusal))


class RefusedEvent(Exception):
    """An event that a rule refuses. It is never tried again; its dead letter has the `reason`."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason = reason


class TooEarly(TimeoutError):
    """An event came before its time while the services' development clocks were being moved. It is tried again for a
    while."""

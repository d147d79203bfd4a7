"""Why a consumer does not believe what an event tells: the words of dead letters, metrics and logs."""

from __future__ import annotations

from typing import Literal

FactRefusal = Literal["sequence-repeated", "before-its-time", "not-its-parties", "not-its-terms", "unknown-session"]
"""What the event tells cannot be, whoever signed it:

`sequence-repeated`: another event of the entity had this number, or a later one, before.
`before-its-time`: the outcome comes before the moment from which it is possible.
`not-its-parties`: its member, provider or room is not that of the session, hold or room it names.
`not-its-terms`: times, forfeits or settlements that the entity as it stands does not allow.
`unknown-session`: the session was never heard of here, though it must have been.
"""

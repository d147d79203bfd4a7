"""Why a consumer rejects an event's content: codes for dead letters, metrics and logs."""

from __future__ import annotations

from typing import Literal

FactRefusal = Literal["sequence-repeated", "before-its-time", "not-its-parties", "not-its-terms", "unknown-session"]
"""The event cannot be true, even if its signature is valid:

`sequence-repeated`: an earlier event of the entity had this sequence number or a higher one.
`before-its-time`: the outcome is not possible yet at that time.
`not-its-parties`: its member, provider or room differs from that of the session, hold or room it names.
`not-its-terms`: its times, forfeit or settlement are not possible in the entity's current state.
`unknown-session`: it names a session that this service does not know, but should.
"""

"""Verifies event signatures with the keys that the stack publishes."""

from __future__ import annotations

import os

from makegood_chassis.messaging.event_keys import EventKeys, fetch_event_keys
from makegood_chassis.messaging.verification import Verifier
from makegood_devtools.errors import UserError

from makegood_stack.config import Stack


def verifier_of(stack: Stack) -> Verifier:
    """A verifier with the keys at EVENT_KEYS_URL, or else the development keys. Raises UserError if they cannot be read."""
    url = os.environ.get("EVENT_KEYS_URL") or f"{stack.mail_url}/.well-known/event-keys.json"
    try:
        return Verifier(EventKeys.fixed(fetch_event_keys(url, os.environ.get("JWKS_CA_FILE", ""))))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the event keys at {url}: {error}. Set EVENT_KEYS_URL") from error

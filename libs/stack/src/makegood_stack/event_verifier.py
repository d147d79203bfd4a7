"""Tells genuine events from forged ones, by the keys that the stack publishes."""

from __future__ import annotations

import os

from makegood_chassis.messaging.event_keys import EventKeys, fetch_event_keys
from makegood_chassis.messaging.verification import Verifier
from makegood_devtools.errors import UserError

from makegood_stack.config import Stack


def verifier_of(stack: Stack) -> Verifier:
    """By the keys at EVENT_KEYS_URL, else those of the development side. Raises UserError where they cannot be read."""
    url = os.environ.get("EVENT_KEYS_URL") or f"{stack.mail_url}/.well-known/event-keys.json"
    try:
        return Verifier(EventKeys.fixed(fetch_event_keys(url, os.environ.get("JWKS_CA_FILE", ""))))
    except (OSError, ValueError) as error:
        raise UserError(f"the keys that sign events cannot be read at {url}: {error}; set EVENT_KEYS_URL") from error

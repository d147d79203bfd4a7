"""Literal types of requests and answers, by their names in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from makegood_contracts.events import Modality, Specialty
from makegood_contracts.reasons import ReasonCode

from makegood_availability.api.models import AvailabilityMessage, SessionsInside, SlotStep, Weekday
from makegood_availability.domain.waitlist import WaitlistStatus

ENUMS: Final[Mapping[str, Any]] = {
    "AvailabilityMessage": AvailabilityMessage,
    "Modality": Modality,
    "ReasonCode": ReasonCode,
    "SessionsInside": SessionsInside,
    "SlotStep": SlotStep,
    "Specialty": Specialty,
    "WaitlistStatus": WaitlistStatus,
    "Weekday": Weekday,
}

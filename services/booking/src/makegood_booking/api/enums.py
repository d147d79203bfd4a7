"""Literal types of requests and answers, by their names in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from makegood_contracts.events import Actor, DisputeClaim, Modality, Party, PlanKind, SessionOutcome
from makegood_contracts.reasons import ReasonCode

from makegood_booking.api.fhir import ActorType, AppointmentStatus, ParticipationStatus
from makegood_booking.api.moving_models import MoveState
from makegood_booking.domain.actions import ActionName, ActionReason
from makegood_booking.domain.presence import AbsentParty
from makegood_booking.domain.remedies import RemedyAction
from makegood_booking.domain.rooms import RoomStatus
from makegood_booking.domain.session import CreditState, SessionStatus

ENUMS: Final[Mapping[str, Any]] = {
    "AbsentParty": AbsentParty,
    "ActionReason": ActionReason,
    "Actor": Actor,
    "AppointmentStatus": AppointmentStatus,
    "CreditState": CreditState,
    "DisputeClaim": DisputeClaim,
    "FhirActorType": ActorType,
    "Modality": Modality,
    "MoveState": MoveState,
    "Outcome": SessionOutcome,
    "ParticipationStatus": ParticipationStatus,
    "Party": Party,
    "PlanKind": PlanKind,
    "ReasonCode": ReasonCode,
    "RemedyAction": RemedyAction,
    "RoomStatus": RoomStatus,
    "SessionAction": ActionName,
    "SessionStatus": SessionStatus,
}

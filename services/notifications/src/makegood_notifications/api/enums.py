"""Literal types of requests and answers, by their names in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from makegood_notifications.api.models import Channel, DeliveryStatus, ErasureReason, ErasureState, MessageKind
from makegood_notifications.domain.reminders import HandChannel

ENUMS: Final[Mapping[str, Any]] = {
    "DeliveryChannel": Channel,
    "DeliveryStatus": DeliveryStatus,
    "ErasureReason": ErasureReason,
    "ErasureState": ErasureState,
    "MessageKind": MessageKind,
    "ReminderChannel": HandChannel,
}

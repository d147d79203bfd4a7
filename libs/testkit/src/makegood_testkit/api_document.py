"""The one OpenAPI document of all services: `python -m makegood_testkit.api_document` writes the published file again.
Services do not know each other, so the document is merged here from their apps. The gateway serves the file that is
checked in.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from makegood_availability import bootstrap as availability
from makegood_availability.settings import AvailabilitySettings
from makegood_booking import bootstrap as booking
from makegood_booking.settings import BookingSettings
from makegood_chassis.http.merging import merged
from makegood_chassis.service import Service
from makegood_contracts.publishing.places import OPENAPI
from makegood_credits import bootstrap as credits_
from makegood_credits.settings import CreditsSettings
from makegood_notifications import bootstrap as notifications
from makegood_notifications.settings import NotificationsSettings

from makegood_testkit.production import production_values

COMMAND: Final = "python -m makegood_testkit.api_document"


def services() -> dict[str, Service]:
    """Every service as in production, without connections. They are in the order of the tags in `/docs`."""
    return {
        "booking": booking.bootstrap(BookingSettings(**production_values("booking"))),
        "availability": availability.bootstrap(AvailabilitySettings(**production_values("availability"))),
        "credits": credits_.bootstrap(CreditsSettings(**production_values("credits"))),
        "notifications": notifications.bootstrap(NotificationsSettings(**production_values("notifications"))),
    }


@cache
def documents() -> Mapping[str, dict[str, Any]]:
    """The OpenAPI document of each service."""
    found = {}
    for name, service in services().items():
        assert service.app is not None
        found[name] = service.app(service).openapi()
    return found


def render() -> str:
    """The merged document as it is published."""
    return json.dumps(merged(documents().values()), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Writes the document if it differs."""
    text = render()
    if OPENAPI.exists() and OPENAPI.read_text() == text:
        sys.stdout.write("it was up to date\n")
        return 0
    OPENAPI.write_text(text)
    sys.stdout.write(f"{OPENAPI.name} written\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

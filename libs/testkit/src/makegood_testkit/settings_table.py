"""The one table of all settings, made from the settings' classes: `python -m makegood_testkit.settings_table`."""

from __future__ import annotations

import sys

from makegood_availability.settings import AvailabilitySettings
from makegood_booking.settings import BookingSettings
from makegood_chassis.settings import ServiceSettings, table
from makegood_credits.settings import CreditsSettings
from makegood_notifications.settings import NotificationsSettings

SETTINGS: dict[str, type[ServiceSettings]] = {
    "booking": BookingSettings,
    "availability": AvailabilitySettings,
    "credits": CreditsSettings,
    "notifications": NotificationsSettings,
}
_HEAD = """# Settings

Every process of a service reads its settings from the environment. An impossible value ends it at its start with exit code 2 and a
message that names the variable. Durations are seconds.

A secret can come from a file instead: `REDIS_URL_FILE=/run/secrets/redis` in place of `REDIS_URL`. A newline at the file's end does not
count. Both at once are refused, and so is a file that is missing or empty. No log and no error shows a secret.

Without `MAKEGOOD_ENVIRONMENT` a process is in production, which refuses values that do not protect people. What it demands stands with each
variable; [Run in production](how-to/operators.md#run-in-production) has a whole example. Addresses that are no secret hold no login.

Made by `python -m makegood_testkit.settings_table > docs/settings.md`.
"""


def render() -> str:
    """The page as Markdown."""
    rows = {service: {row[0]: row for row in table(kind)} for service, kind in SETTINGS.items()}
    shared = [row for name, row in rows["booking"].items() if all(name in other for other in rows.values())]
    parts = [_HEAD, _section("Every service", shared)]
    for service, own in rows.items():
        special = [row for name, row in own.items() if row not in shared]
        parts.append(_section(service.capitalize(), special))
    return "\n".join(parts)


def _section(title: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"## {title}", "| variable | default | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {f'`{default}`' if default else 'empty'} | {meaning} |" for name, default, meaning in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())

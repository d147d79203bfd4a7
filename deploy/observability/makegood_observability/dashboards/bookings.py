"""The saga of a booking: how many get how far, how long it takes, and why bookings are refused."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from makegood_observability.panels import dashboard, graph, number, row
from makegood_observability.series import CHOSEN, event

_STEPS: Final = (
    ("booking.SessionRequested", "1 requested"),
    ("availability.SlotHeld", "2 slot held"),
    ("credits.CreditHeld", "2 credit held"),
    ("booking.SessionReserved", "3 reserved"),
    ("booking.SessionConfirmed", "4 confirmed"),
    ("booking.SessionCompleted", "5 completed"),
)
_ENDINGS: Final = (
    ("booking.SessionRejected", "rejected"),
    ("booking.SessionDeclined", "declined"),
    ("booking.SessionExpired", "expired"),
    ("booking.SessionCancelled", "cancelled"),
    ("booking.ProviderMissed", "provider missed"),
    ("booking.MemberNoShow", "member did not come"),
)
_DECISION: Final = "makegood_booking_decision_seconds"


def _during(name: str) -> str:
    """How many events of a kind the dashboard's time range has."""
    return f"sum(increase(makegood_events_total{{{CHOSEN}, {event(name)}}}[$__range])) or vector(0)"


def _rate(name: str) -> str:
    return f"sum(rate(makegood_events_total{{{CHOSEN}, {event(name)}}}[$__rate_interval])) or vector(0)"


def board() -> Dashboard:
    """The funnel from the request to the end of a session, and its speed."""
    made = dashboard("bookings", "Makegood: bookings", "The saga's funnel and latency.")
    made = made.with_row(row("Funnel, in the time range above"))
    for name, title in _STEPS:
        made = made.with_panel(number(title, _during(name), unit="short", says=f"Events {name.partition('.')[2]}."))
    return (
        made.with_row(row("Speed"))
        .with_panel(
            graph(
                "From the request to the decision",
                *(
                    (
                        f"histogram_quantile({share}, sum by (le) (rate({_DECISION}_bucket{{{CHOSEN}}}[$__rate_interval])))",
                        f"p{share * 100:g}",
                    )
                    for share in (0.5, 0.9, 0.99)
                ),
                unit="s",
                says="Until availability and credits have both answered. Members wait for it.",
            )
        )
        .with_panel(
            graph(
                "Decisions",
                (
                    f"sum by (decision) (rate({_DECISION}_count{{{CHOSEN}}}[$__rate_interval]))",
                    "{{decision}}",
                ),
                unit="cps",
                says="Bookings that availability and credits have answered.",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Steps",
                *((_rate(name), title[2:]) for name, title in _STEPS[:4]),
                unit="cps",
                says="The lines are close together while the saga works. A line that stays below the others names the service "
                "that does not answer.",
            )
        )
        .with_row(row("Refusals and endings"))
        .with_panel(
            graph(
                "Why bookings are refused",
                (
                    f"sum by (reason) (rate(makegood_booking_refusals_total{{{CHOSEN}}}[$__rate_interval])) "
                    'or label_replace(vector(0), "reason", "none", "", "")',
                    "{{reason}}",
                ),
                unit="cps",
                says="Reasons that members get. One booking can have several.",
                width=12,
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "How sessions end",
                *((_rate(name), title) for name, title in _ENDINGS),
                (_rate("booking.SessionCompleted"), "completed"),
                unit="cps",
                says="All endings of sessions.",
                width=12,
                stacked=True,
            )
        )
    )

"""What the platform promises: a missed session is made good, and everybody is told."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from makegood_observability.panels import dashboard, graph, number, row
from makegood_observability.series import CHOSEN, event

_MADE_GOOD: Final = "makegood_made_good_seconds"
_STEPS: Final = (("credit", "Credit settled"), ("slot", "Slot released"), ("email", "E-mail handed over"))
_MISSED: Final = f"makegood_events_total{{{CHOSEN}, {event('booking.ProviderMissed')}}}"


def _step(step: str, suffix: str) -> str:
    return f'{_MADE_GOOD}_{suffix}{{{CHOSEN}, step="{step}"}}'


def board() -> Dashboard:
    """Missed sessions, and the time until each was made good."""
    made = dashboard("made-good", "Makegood: made good", "Missed sessions, and the time to credit, slot and e-mail.")
    made = made.with_row(row("In the time range above")).with_panel(
        number(
            "Sessions missed",
            f"sum(increase({_MISSED}[$__range])) or vector(0)",
            unit="short",
            says="Sessions in which the provider did not come.",
            width=6,
        )
    )
    for step, title in _STEPS:
        made = made.with_panel(
            number(
                title,
                f"sum(increase({_step(step, 'count')}[$__range]))",
                unit="short",
                says="Must become equal to the sessions missed. A member without an e-mail address gets no e-mail.",
                width=6,
            )
        )
    made = made.with_row(row("Time from the missed session"))
    for step, title in _STEPS:
        made = made.with_panel(
            graph(
                f"{title} after",
                *(
                    (
                        f"histogram_quantile({share}, sum by (le) (rate({_step(step, 'bucket')}[$__rate_interval])))",
                        f"p{share * 100:g}",
                    )
                    for share in (0.5, 0.9, 0.99)
                ),
                unit="s",
                says="Measured from the moment at which booking found that the provider had not come.",
                limit=60,
            )
        )
    return (
        made.with_row(row("Messages"))
        .with_panel(
            graph(
                "Messages",
                (
                    f"sum by (channel, outcome) (rate(makegood_deliveries_total{{{CHOSEN}}}[$__rate_interval]))",
                    "{{channel}} {{outcome}}",
                ),
                unit="cps",
                says="`skipped`: no longer true, or the person does not want it. `failed`: refused or given up.",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Time to the hand-over, p99",
                (
                    "histogram_quantile(0.99, sum by (channel, le) "
                    f"(rate(makegood_delivery_delay_seconds_bucket{{{CHOSEN}}}[$__rate_interval])))",
                    "{{channel}}",
                ),
                unit="s",
                says="From what happened until the mail server or WhatsApp accepted the message.",
            )
        )
        .with_panel(
            graph(
                "Channels that cannot be reached",
                (f"max by (channel) (makegood_channel_unreachable{{{CHOSEN}}})", "{{channel}}"),
                unit="short",
                says="1: messages wait for the mail server or WhatsApp.",
                limit=1,
            )
        )
        .with_row(row("Money"))
        .with_panel(
            graph(
                "Calls to the payment provider",
                (
                    f"sum by (outcome) (rate(makegood_payment_requests_total{{{CHOSEN}}}[$__rate_interval]))",
                    "{{outcome}}",
                ),
                unit="cps",
                says="`failed`: no answer, or an error that is not about the payment.",
                width=12,
            )
        )
        .with_panel(
            graph(
                "Credits",
                *(
                    (
                        f"sum(rate(makegood_events_total{{{CHOSEN}, {event(f'credits.Credit{name}')}}}[$__rate_interval])) "
                        "or vector(0)",
                        name.lower(),
                    )
                    for name in ("Held", "Returned", "Spent", "Forfeited", "Expired")
                ),
                unit="cps",
                says="What happens to credits.",
                width=12,
            )
        )
    )

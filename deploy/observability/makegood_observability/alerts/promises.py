"""Alerts about what the platform promises to people: a missed session is made good, and everybody is told."""

from __future__ import annotations

from typing import Final

from makegood_observability.alert import Alert
from makegood_observability.series import BY_JOB, event

PROMISES: Final = (
    Alert(
        name="NotMadeGood",
        severity="critical",
        signal=f"""
            sum by (namespace) (increase(makegood_events_total{{{event("booking.ProviderMissed")}}}[30m] offset 5m))
            - sum by (namespace) (increase(makegood_made_good_seconds_count{{step="credit"}}[35m]))
        """,
        above=0.5,
        minutes=5,
        summary="About {{ $value }} missed sessions were not made good within five minutes.",
        description="Members whose provider did not come have not got their credit back. It returns when the cause is gone.",
    ),
    Alert(
        name="BookingsUndecided",
        severity="critical",
        signal=f"""
            sum by (namespace) (increase(makegood_events_total{{{event("booking.SessionRequested")}}}[5m] offset 1m))
            - sum by (namespace) (increase(makegood_booking_decision_seconds_count[6m]))
        """,
        above=0.5,
        minutes=2,
        summary="About {{ $value }} bookings were not decided within a minute.",
        description="Members see `requested` and do not know whether they have an appointment.",
    ),
    Alert(
        name="MessagesNotHandedOver",
        severity="critical",
        signal="max by (namespace, job, channel) (max_over_time(makegood_channel_unreachable[1m]))",
        above=0,
        minutes=5,
        summary="The channel {{ $labels.channel }} cannot be reached.",
        description="Messages wait, and are sent when it answers again. After MAIL_GIVE_UP_HOURS they are given up. People see "
        "them in the app meanwhile.",
    ),
    Alert(
        name="MessagesFailing",
        severity="warning",
        signal='sum by (namespace, job, channel) (increase(makegood_deliveries_total{outcome="failed"}[15m]))',
        above=3,
        minutes=0,
        summary="Messages by {{ $labels.channel }} are refused or given up.",
        description="These people are not told by this channel. They see the message in the app.",
    ),
    Alert(
        name="PaymentProviderFailing",
        severity="critical",
        signal=f"""
            sum by ({BY_JOB}) (increase(makegood_payment_requests_total{{outcome="failed"}}[5m]))
        """,
        above=2,
        minutes=1,
        summary="The payment provider does not answer {{ $labels.job }}, or answers with errors.",
        description="Nobody can pay: purchases and payments get 503. Refunds wait and are tried again. Bookings are not "
        "affected.",
    ),
)

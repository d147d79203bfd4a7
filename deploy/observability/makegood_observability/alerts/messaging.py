"""Alerts about events, the outbox and deadlines."""

from __future__ import annotations

from typing import Final

from makegood_observability.alert import Alert
from makegood_observability.series import BY_JOB, grown

EVENTS: Final = (
    Alert(
        name="ConsumerStopped",
        severity="critical",
        signal=f"max by ({BY_JOB}) (makegood_consumer_stopped)",
        above=0,
        minutes=0,
        summary="{{ $labels.job }} has stopped reading events, because too many of them failed.",
        description="What other services announce has no effect here until the cause is gone. The consumer tries again every "
        "minute (POISON_WINDOW).",
    ),
    Alert(
        name="ConsumerStuck",
        severity="critical",
        signal=f"""
            sum by ({BY_JOB}) (min_over_time(makegood_consumer_lag_events[2m]))
            * on ({BY_JOB}) (sum by ({BY_JOB}) (increase(messaging_client_consumed_messages_total[2m])) == bool 0)
        """,
        above=0,
        minutes=2,
        summary="{{ $labels.job }} has events to read, but reads none.",
        description="Its consumer waits for something, most likely a lock in PostgreSQL. What other services announce has no "
        "effect here meanwhile.",
    ),
    Alert(
        name="ConsumerLagging",
        severity="warning",
        signal=f"sum by ({BY_JOB}) (min_over_time(makegood_consumer_lag_events[5m]))",
        above=1000,
        minutes=5,
        summary="{{ $labels.job }} is {{ $value }} events behind.",
        description="Bookings take longer to be decided, and people are told later. It is normal for some minutes after an "
        "outage.",
    ),
    Alert(
        name="DeadLetters",
        severity="warning",
        signal=f'sum by ({BY_JOB}) (increase(messaging_client_consumed_messages_total{{outcome="dead"}}[15m]))',
        above=0,
        minutes=0,
        summary="{{ $labels.job }} could not handle events and put them aside.",
        description="What these events announce has not happened in this service: for example, a credit has not come back. "
        "Everything else continues.",
    ),
    Alert(
        name="EventsRefused",
        severity="critical",
        signal=f'sum by ({BY_JOB}) (increase(messaging_client_consumed_messages_total{{outcome="refused"}}[15m]))',
        above=0,
        minutes=0,
        summary="{{ $labels.job }} refused events that are forged, altered or impossible.",
        description="They had no effect. Somebody who should not writes to Kafka, or a key is not published.",
    ),
    Alert(
        name="OutboxOld",
        severity="critical",
        signal=f"max by ({BY_JOB}) (makegood_outbox_age_seconds)",
        above=60,
        minutes=1,
        summary="Events of {{ $labels.job }} have waited in its outbox for more than a minute.",
        description="What happened in this service is saved, but the others do not hear of it: bookings stay `requested`, and "
        "missed sessions are not made good.",
    ),
    Alert(
        name="NoRelayLeader",
        severity="critical",
        signal=f"sum by ({BY_JOB}) (makegood_outbox_relay_leader)",
        below=1,
        minutes=1,
        summary="No process of {{ $labels.job }} sends its outbox.",
        description="The service's events wait in its database. Usually another process takes over within seconds.",
    ),
    Alert(
        name="DeadlinesLate",
        severity="critical",
        signal=f"max by ({BY_JOB}) (makegood_deadlines_overdue_seconds)",
        above=60,
        minutes=1,
        summary="Deadlines of {{ $labels.job }} are more than a minute late.",
        description="In booking, this means that missed sessions are found late, and that undecided bookings do not end.",
    ),
    Alert(
        name="DeadlinesFailing",
        severity="warning",
        signal=grown("makegood_deadlines_failed_total", 15),
        above=0,
        minutes=0,
        summary="{{ $labels.job }} could not handle a deadline and put it off.",
        description="It is tried again, after up to five minutes. What the deadline should do has not happened yet.",
    ),
)

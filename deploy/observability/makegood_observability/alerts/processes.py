"""Alerts about processes and the servers they need."""

from __future__ import annotations

from typing import Final

from makegood_observability.alert import Alert
from makegood_observability.series import BY_JOB, GATEWAY, JOBS, SERVICES, grown

SERVERS: Final = (
    Alert(
        name="ProcessDown",
        severity="critical",
        signal=f'up{{job=~"{JOBS}"}}',
        below=1,
        minutes=1,
        summary="A process of {{ $labels.job }} does not answer ({{ $labels.instance }}).",
        description="Prometheus cannot read its metrics. Requests to it fail, unless another process of the service answers "
        "them. Events and deadlines wait. Nothing is lost.",
    ),
    Alert(
        name="ServiceMissing",
        severity="critical",
        missing=tuple(f'up{{job="{job}"}}' for job in (*SERVICES, GATEWAY)),
        minutes=5,
        summary="Prometheus knows no process of {{ $labels.job }}.",
        description="Either the service is not running at all, or its discovery is broken. Until it is back, no other alert "
        "about this service can fire.",
    ),
    Alert(
        name="DatabaseUnreachable",
        severity="critical",
        signal='min by (namespace, job) (makegood_condition_healthy{condition="database"})',
        below=1,
        minutes=1,
        summary="{{ $labels.job }} cannot reach its PostgreSQL database.",
        description="Requests to the service get 503 with Retry-After. Events and deadlines wait. The processes continue by "
        "themselves when the database answers again.",
    ),
    Alert(
        name="KafkaUnreachable",
        severity="critical",
        signal='min by (namespace, job) (makegood_condition_healthy{condition="kafka"})',
        below=1,
        minutes=1,
        summary="{{ $labels.job }} cannot reach Kafka.",
        description="Bookings are accepted but not decided: they stay `requested`. Missed sessions are found, but nobody is "
        "told and no credit returns until Kafka is back. Nothing is lost.",
    ),
    Alert(
        name="EventKeysUnusable",
        severity="critical",
        signal='min by (namespace, job) (makegood_condition_healthy{condition="event-keys"})',
        below=1,
        minutes=1,
        summary="{{ $labels.job }} cannot use the published keys of events.",
        description="The service sends no events until its own key is published again, and may not be able to check those of "
        "others.",
    ),
    Alert(
        name="KeysOld",
        severity="critical",
        signal="max by (namespace, job, keys) (makegood_keys_age_seconds)",
        above=120,
        minutes=1,
        summary="{{ $labels.job }} has not been able to fetch the keys of {{ $labels.keys }} for two minutes.",
        description="The known keys of access tokens serve for five minutes (JWKS_MAX_AGE), those of events for an hour. After "
        "that, requests get 503, or events wait. A key that was withdrawn meanwhile is still accepted.",
    ),
)

SATURATION: Final = (
    Alert(
        name="ProcessAtItsLimit",
        severity="warning",
        signal=grown('makegood_requests_refused_total{limit="total"}', 5),
        above=0,
        minutes=1,
        summary="{{ $labels.job }} refuses requests, because a process is at its limit.",
        description="Clients get 503 with Retry-After, whoever they are.",
    ),
    Alert(
        name="EventLoopBusy",
        severity="warning",
        signal=f"histogram_quantile(0.9, sum by ({BY_JOB}, le) (rate(makegood_event_loop_delay_seconds_bucket[5m])))",
        above=0.25,
        minutes=5,
        summary="A process of {{ $labels.job }} has more work than one processor core can do.",
        description="Everything in this process is late: answers, events and deadlines.",
    ),
    Alert(
        name="DatabasePoolExhausted",
        severity="warning",
        signal=f"sum by ({BY_JOB}) (min_over_time(db_client_connection_pending_requests[1m]))",
        above=0,
        minutes=2,
        summary="Work in {{ $labels.job }} waits for a free connection to PostgreSQL all the time.",
        description="Answers are slow. Some requests get 503, because they wait in vain.",
    ),
    Alert(
        name="PartRestarting",
        severity="warning",
        signal=grown("makegood_component_restarts_total", 15),
        above=3,
        minutes=0,
        summary="A part of a process of {{ $labels.job }} fails again and again.",
        description="The process starts the part again after each error. Until the cause is gone, its work is late.",
    ),
)

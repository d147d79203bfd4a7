"""Every metric that all services have. A service's own are in its `metrics.py`, made with the same functions.

Names are those of OpenTelemetry's semantic conventions where these have one, in Prometheus' spelling. All others begin with
`makegood_`. Labels come from a closed list, in which no id of a person, session or request can be put.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double what is served
REGISTRY_OF_PROCESS: Final = CollectorRegistry(auto_describe=False)

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One line of the table in docs/metrics.md. `service`: the only one that has it, or empty."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str
    service: str


DEFINITIONS: Final[list[Definition]] = []
"""What this process has. All services together: `makegood_testkit.metrics_table`."""

LABELS: Final = {
    "http_request_method": "`GET`, `POST` and so on; `other` if no route fits, or for a method that no route has",
    "http_route": "the route's pattern, such as `/v1/sessions/{session_id}`; `none` if no route fits",
    "http_response_status_code": "the status of the answer; 0 if the client went away before it",
    "messaging_destination_name": "the topic, without the cluster's prefix",
    "messaging_operation_name": "what was asked of the broker: `send`",
    "cloudevents_event_type": "the type of an event, such as `makegood.booking.ProviderMissed.v1`",
    "error_type": "the class of an error, or the reason of a refusal",
    "outcome": "what became of an event: `handled`, `skipped`, `dead`, `refused`; of a delivery: `sent`, `failed`, `skipped`; "
    "of a request to the payment provider: `answered`, `failed`",
    "reason": "why a booking was refused, such as `slot-taken`",
    "stage": "when a booking was refused: `request` or `decision`",
    "decision": "`reserved` or `rejected`",
    "step": "what was made good: `credit`, `slot` or `email`",
    "channel": "`email`, `whatsapp`, `chat` or `in_app`",
    "kind": "the kind of a deadline",
    "name": "what was grouped",
    "limit": "`person` or `total`",
    "what": "what there was too much of",
    "condition": "`database`, `kafka`, `consumer`, `relay`, `event-keys` and others",
    "keys": "`tokens` or `events`",
    "component": "a part of the process, such as `relay`",
    "task": "work that is repeated, such as `prune`",
    "db_client_connection_pool_name": "the pool, by the `application_name` of its connections",
    "db_client_connection_state": "`used` or `idle`",
    "cpu_mode": "`user` or `system`",
    "cpython_gc_generation": "the generation of the garbage collector",
}
"""All labels there are, with what their values can be."""

LATENCIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DELAYS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def _define(name: str, kind: Kind, unit: str, labels: Sequence[str], meaning: str, service: str) -> None:
    if unknown := set(labels) - LABELS.keys():
        raise ValueError(f"{name} has labels that the list of labels does not: {sorted(unknown)}")
    DEFINITIONS.append(Definition(name, kind, unit, tuple(labels), meaning, service))


def counter(name: str, unit: str, meaning: str, *labels: str, service: str = "") -> Counter:
    """A counter; `name` ends with `_total`. Raises ValueError for a label that `LABELS` does not have, or a name twice."""
    _define(name, "counter", unit, labels, meaning, service)
    return Counter(name, meaning, labels, registry=REGISTRY_OF_PROCESS)


def gauge(name: str, unit: str, meaning: str, *labels: str, service: str = "") -> Gauge:
    """As `counter`, for a value that also falls."""
    _define(name, "gauge", unit, labels, meaning, service)
    return Gauge(name, meaning, labels, registry=REGISTRY_OF_PROCESS)


def histogram(
    name: str, unit: str, meaning: str, *labels: str, buckets: Sequence[float] = LATENCIES, service: str = ""
) -> Histogram:
    """As `counter`, for a distribution."""
    _define(name, "histogram", unit, labels, meaning, service)
    return Histogram(name, meaning, labels, buckets=buckets, registry=REGISTRY_OF_PROCESS)


Reading = tuple[Sequence[str], float]
"""The values of a metric's labels, and its own."""


class _Read(Collector):
    """A metric whose values are read when somebody asks for them, and cost nothing in between."""

    def __init__(self, name: str, kind: Kind, meaning: str, labels: Sequence[str]) -> None:
        self._name, self._kind, self._meaning, self._labels = name, kind, meaning, labels
        self.read: Callable[[], Iterable[Reading]] = lambda: ()

    def collect(self) -> Iterator[Metric]:
        kind = CounterMetricFamily if self._kind == "counter" else GaugeMetricFamily
        family = kind(self._name, self._meaning, labels=self._labels)
        for values, value in self.read():
            family.add_metric(values, value)
        yield family


def read_when_asked(
    name: str, kind: Kind, unit: str, meaning: str, *labels: str, read: Callable[[], Iterable[Reading]]
) -> None:
    """A metric that `read` measures. Raises ValueError as `counter` does."""
    _define(name, kind, unit, labels, meaning, "")
    collector = _Read(name, kind, meaning, labels)
    collector.read = read
    REGISTRY_OF_PROCESS.register(collector)


# -- requests

HTTP_DURATION: Final = histogram(
    "http_server_request_duration_seconds",
    "seconds",
    "Duration of requests.",
    "http_request_method",
    "http_route",
    "http_response_status_code",
)
HTTP_ACTIVE: Final = gauge("http_server_active_requests", "requests", "Requests in progress, streams included.")
REQUESTS_REFUSED: Final = counter(
    "makegood_requests_refused_total",
    "requests",
    "Requests refused because of a limit, of one person or in total.",
    "limit",
    "what",
)
GROUP_COMMIT_SIZE: Final = histogram(
    "makegood_group_commit_size", "commands", "Commands that shared a transaction.", "name", buckets=SIZES
)
SIGNALS_LOST: Final = counter(
    "makegood_signals_lost_total", "signals", "Wake-ups between processes that could not be sent to Redis."
)

# -- events that come

CONSUMED: Final = counter(
    "messaging_client_consumed_messages_total",
    "events",
    "Events read from topics. `skipped`: of no concern to the service. `dead` and `refused` became dead letters.",
    "messaging_destination_name",
    "outcome",
)
OUTCOMES: Final = ("handled", "skipped", "dead", "refused")
CONSUMER_DURATION: Final = histogram(
    "messaging_process_duration_seconds", "seconds", "Duration of one poll's handling, from records to commit."
)
CONSUMER_BATCH: Final = histogram(
    "makegood_consumer_batch_size", "events", "Events of one poll, and so of one transaction.", buckets=SIZES
)
CONSUMER_LAG: Final = gauge(
    "makegood_consumer_lag_events",
    "events",
    "Events on the partitions of this process that it has not handled yet. Measured every five seconds.",
    "messaging_destination_name",
)
CONSUMER_PARTITIONS: Final = gauge(
    "makegood_consumer_partitions", "partitions", "Partitions that this process reads, of all topics."
)
CONSUMER_DELAY: Final = histogram(
    "makegood_consumer_delay_seconds",
    "seconds",
    "Age of the oldest event of a poll once it was handled.",
    buckets=DELAYS,
)
CONSUMER_RETRIES: Final = counter(
    "makegood_consumer_retries_total", "polls", "Polls that were tried again.", "error_type"
)
CONSUMER_STOPPED: Final = gauge(
    "makegood_consumer_stopped", "0 or 1", "1 while too many dead letters keep the consumer stopped."
)
REBALANCES: Final = counter(
    "makegood_consumer_rebalances_total", "rebalances", "Times that the group took partitions from this process."
)
INBOX_DUPLICATES: Final = counter(
    "makegood_inbox_duplicates_total", "events", "Events that came again after they were handled."
)
DEAD_LETTERS: Final = counter(
    "makegood_dead_letters_total",
    "events",
    "Events that became dead letters, by topic and by class of error or reason of refusal.",
    "messaging_destination_name",
    "error_type",
)

# -- events that go

EVENTS: Final = counter(
    "makegood_events_total",
    "events",
    "Events that this process committed: what happened to sessions, credits and messages.",
    "cloudevents_event_type",
)
PUBLISHED: Final = counter(
    "messaging_client_sent_messages_total",
    "events",
    "Events that the broker accepted.",
    "messaging_destination_name",
)
SEND_DURATION: Final = histogram(
    "messaging_client_operation_duration_seconds",
    "seconds",
    "How long the broker took to accept a batch of the outbox.",
    "messaging_operation_name",
)
RELAY_DELAY: Final = histogram(
    "makegood_outbox_relay_delay_seconds",
    "seconds",
    "Age of a batch's oldest row when the broker accepted it.",
    buckets=DELAYS,
)
RELAY_BATCH: Final = histogram("makegood_outbox_relay_batch_size", "events", "Rows of a batch.", buckets=SIZES)
RELAY_LEADER: Final = gauge(
    "makegood_outbox_relay_leader", "0 or 1", "1 in the process that sends its service's outbox."
)
RELAY_FAILURES: Final = counter(
    "makegood_outbox_relay_failures_total", "failures", "Attempts to send that failed.", "error_type"
)
OUTBOX_ROWS: Final = gauge(
    "makegood_outbox_rows", "events", "Rows that wait in the service's outbox, counted up to 100,000."
)
OUTBOX_AGE: Final = gauge("makegood_outbox_age_seconds", "seconds", "Age of the oldest row in the service's outbox.")

# -- deadlines

DEADLINES_HANDLED: Final = counter("makegood_deadlines_handled_total", "deadlines", "Deadlines handled.", "kind")
DEADLINES_FAILED: Final = counter(
    "makegood_deadlines_failed_total", "deadlines", "Deadlines put off after an error.", "kind", "error_type"
)
DEADLINES_LATENESS: Final = histogram(
    "makegood_deadlines_lateness_seconds",
    "seconds",
    "How late the oldest deadline of a batch was handled.",
    "kind",
    buckets=DELAYS,
)
DEADLINES_OVERDUE: Final = gauge(
    "makegood_deadlines_overdue_seconds",
    "seconds",
    "How long the service's oldest deadline has been due. 0 if none is.",
)

# -- what was made good

MADE_GOOD: Final = histogram(
    "makegood_made_good_seconds",
    "seconds",
    "Time from a session that the provider missed to one step of making it good: credit or co-pay settled, slot released, "
    "e-mail handed over.",
    "step",
    buckets=DELAYS,
)
for _step in ("credit", "slot", "email"):
    MADE_GOOD.labels(_step)  # so that the first one counts: Prometheus sees how much a series grows

# -- the process

READY: Final = gauge("makegood_ready", "0 or 1", "1 while /readyz says that the process can do its work.")
CONDITION_HEALTHY: Final = gauge(
    "makegood_condition_healthy",
    "0 or 1",
    "Each condition of /readyz: 1 while it is fulfilled.",
    "condition",
)
KEYS_AGE: Final = gauge(
    "makegood_keys_age_seconds",
    "seconds",
    "Time since the published keys were last fetched, of access tokens and of events. `+Inf` before the first time.",
    "keys",
)
COMPONENT_RESTARTS: Final = counter(
    "makegood_component_restarts_total",
    "restarts",
    "Parts of the process that were started again after an error.",
    "component",
    "error_type",
)
TASK_SUCCESS: Final = gauge(
    "makegood_task_last_success_timestamp_seconds",
    "seconds since 1970",
    "When repeated work last succeeded: `prune`, `prune-access`, `seal-access`, `seal-personal-data` and others.",
    "task",
)
LOOP_DELAY: Final = histogram(
    "makegood_event_loop_delay_seconds",
    "seconds",
    "How late the process's event loop ran a timer. One sample a second.",
)
POOL_WAIT: Final = histogram(
    "db_client_connection_wait_time_seconds",
    "seconds",
    "How long those waited for a connection to PostgreSQL who could not have one at once.",
    "db_client_connection_pool_name",
)
POOL_TIMEOUTS: Final = counter(
    "db_client_connection_timeouts_total",
    "requests",
    "Requests for a connection to PostgreSQL that got none in time.",
    "db_client_connection_pool_name",
)

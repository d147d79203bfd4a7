"""Every metric of a service process. Names follow OpenTelemetry's conventions, in Prometheus' spelling."""

from __future__ import annotations

from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

REGISTRY_OF_PROCESS: Final[CollectorRegistry] = REGISTRY

_LATENCIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

HTTP_DURATION: Final = Histogram(
    "http_server_request_duration_seconds",
    "Duration of requests.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=_LATENCIES,
)
HTTP_ACTIVE: Final = Gauge("http_server_active_requests", "Requests in progress.")

CONSUMED: Final = Counter(
    "messaging_client_consumed_messages_total",
    "Events read from topics, by outcome: handled, skipped, dead, refused.",
    ["messaging_destination_name", "outcome"],
)
CONSUMER_BATCH: Final = Histogram(
    "messaging_process_batch_size", "Events of one poll, and so of one transaction.", buckets=_SIZES
)
CONSUMER_DURATION: Final = Histogram(
    "messaging_process_duration_seconds", "Duration of one poll's transaction.", buckets=_LATENCIES
)
CONSUMER_DELAY: Final = Histogram(
    "messaging_delivery_delay_seconds", "Age of a poll's oldest event when it is handled.", buckets=_LATENCIES
)
CONSUMER_RETRIES: Final = Counter(
    "messaging_process_retries_total", "Polls that were retried, by class of error.", ["error_type"]
)
CONSUMER_STOPPED: Final = Gauge(
    "messaging_consumer_stopped", "1 while too many dead letters keep the consumer stopped."
)
REBALANCES: Final = Counter("messaging_consumer_rebalances_total", "Times that partitions were revoked.")
INBOX_DUPLICATES: Final = Counter("inbox_duplicates_total", "Events that were already handled.")
DEAD_LETTERS: Final = Counter(
    "dead_letters_total",
    "Events that became dead letters, by class of error or reason of refusal.",
    ["messaging_destination_name", "error_type"],
)
REDRIVEN: Final = Counter("dead_letters_redriven_total", "Dead letters that were put back on their topics.")

PUBLISHED: Final = Counter(
    "messaging_client_sent_messages_total", "Events that the broker accepted.", ["messaging_destination_name"]
)
RELAY_LAG: Final = Histogram(
    "outbox_relay_lag_seconds", "Age of a batch's oldest row when the broker accepted it.", buckets=_LATENCIES
)
RELAY_BATCH: Final = Histogram("outbox_relay_batch_size", "Rows per batch.", buckets=_SIZES)
RELAY_LEADER: Final = Gauge("outbox_relay_leader", "1 in the process that is its service's relay.")
RELAY_FAILURES: Final = Counter("outbox_relay_failures_total", "Sends that failed, by class of error.", ["error_type"])
OUTBOX_DEPTH: Final = Gauge("outbox_depth", "Rows that wait for the relay (counted up to 100,000).")
OUTBOX_AGE: Final = Gauge("outbox_age_seconds", "Age of the oldest row that waits for the relay.")

DEADLINES_HANDLED: Final = Counter("deadlines_handled_total", "Deadlines handled.", ["kind"])
DEADLINES_FAILED: Final = Counter(
    "deadlines_failed_total", "Deadlines that were postponed after an error.", ["kind", "error_type"]
)
DEADLINES_LATENESS: Final = Histogram(
    "deadlines_lateness_seconds", "How late the oldest deadline of a batch was.", ["kind"], buckets=_LATENCIES
)

GROUP_COMMIT_SIZE: Final = Histogram("group_commit_size", "Commands per transaction.", ["name"], buckets=_SIZES)
REQUESTS_REFUSED: Final = Counter(
    "http_server_requests_refused_total",
    "Requests refused because of a limit, per person or in total.",
    ["limit", "what"],
)
SIGNALS_LOST: Final = Counter("signals_lost_total", "Wake-ups that could not be sent.")
DB_POOL_IN_USE: Final = Gauge("db_client_connections_in_use", "Connections to PostgreSQL in use.")
COMPONENT_RESTARTS: Final = Counter(
    "process_component_restarts_total",
    "Components of the process that were restarted after an error.",
    ["component", "error_type"],
)

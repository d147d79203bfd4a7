"""The golden signals of each service: traffic, errors, latency, saturation."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from makegood_observability.panels import dashboard, graph, number, row
from makegood_observability.series import CHOSEN_JOB

_COUNT: Final = "http_server_request_duration_seconds_count"
_BUCKET: Final = "http_server_request_duration_seconds_bucket"
_PEOPLE: Final = f'{CHOSEN_JOB}, http_route=~"/v1/.*"'
_READS: Final = f'{_PEOPLE}, http_request_method="GET", http_route!~".*/stream"'
_WRITES: Final = f'{_PEOPLE}, http_request_method!="GET"'


def _quantile(share: float, selected: str) -> str:
    return f"histogram_quantile({share}, sum by (job, le) (rate({_BUCKET}{{{selected}}}[$__rate_interval])))"


def board() -> Dashboard:
    """How each service does: the first dashboard to look at."""
    return (
        dashboard("services", "Makegood: services", "Traffic, errors, latency and saturation.", by_service=True)
        .with_panel(
            number(
                "Processes that answer",
                f"sum by (job) (up{{{CHOSEN_JOB}}})",
                unit="short",
                says="How many processes of each service Prometheus can read.",
                width=12,
                legend="{{job}}",
            )
        )
        .with_panel(
            number(
                "Processes that are ready",
                f"sum by (job) (makegood_ready{{{CHOSEN_JOB}}})",
                unit="short",
                says="How many of them can do their work. Fewer than on the left: ask /readyz for the reason.",
                width=12,
                legend="{{job}}",
            )
        )
        .with_row(row("Traffic and errors"))
        .with_panel(
            graph(
                "Requests",
                (f"sum by (job) (rate({_COUNT}{{{_PEOPLE}}}[$__rate_interval]))", "{{job}}"),
                unit="reqps",
                says="Requests of people, without probes.",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Answers with an error of ours",
                (
                    f'sum by (job) (rate({_COUNT}{{{_PEOPLE}, http_response_status_code=~"5.."}}[$__rate_interval])) '
                    f"or 0 * sum by (job) (rate({_COUNT}{{{_PEOPLE}}}[$__rate_interval]))",
                    "{{job}}",
                ),
                unit="reqps",
                says="Status 500 and above. 503 means that something is away or full; 500 is a bug.",
            )
        )
        .with_panel(
            graph(
                "Refused because of a limit",
                (
                    f"sum by (job, limit) (rate(makegood_requests_refused_total{{{CHOSEN_JOB}}}[$__rate_interval])) "
                    f"or 0 * sum by (job) (makegood_ready{{{CHOSEN_JOB}}})",
                    "{{job}}: {{limit}}",
                ),
                unit="reqps",
                says="`total`: the process is full, start another one. `person`: one person asks for too much.",
            )
        )
        .with_row(row("Latency"))
        .with_panel(
            graph(
                "Reads",
                (_quantile(0.5, _READS), "{{job}} p50"),
                (_quantile(0.99, _READS), "{{job}} p99"),
                unit="s",
                says="How long answers to GET take, without live streams.",
                limit=0.5,
            )
        )
        .with_panel(
            graph(
                "Writes",
                (_quantile(0.5, _WRITES), "{{job}} p50"),
                (_quantile(0.99, _WRITES), "{{job}} p99"),
                unit="s",
                says="Includes requests that wait for the outcome of a booking (`Prefer: wait`).",
            )
        )
        .with_panel(
            graph(
                "Requests in progress",
                (f"sum by (job) (http_server_active_requests{{{CHOSEN_JOB}}})", "{{job}}"),
                unit="short",
                says="If it rises while the requests do not, something that the service waits for has become slow.",
            )
        )
        .with_row(row("Saturation"))
        .with_panel(
            graph(
                "Processor",
                (
                    f"sum by (job, instance) (rate(process_cpu_time_seconds_total{{{CHOSEN_JOB}}}[$__rate_interval]))",
                    "{{job}} {{instance}}",
                ),
                unit="percentunit",
                says="Of one core. A process uses one core at most: near 100 %, start another one.",
                limit=0.9,
            )
        )
        .with_panel(
            graph(
                "Delay of the event loop, p90",
                (
                    "histogram_quantile(0.9, sum by (job, le) "
                    f"(rate(makegood_event_loop_delay_seconds_bucket{{{CHOSEN_JOB}}}[$__rate_interval])))",
                    "{{job}}",
                ),
                unit="s",
                says="How late the process does anything. It adds to every answer.",
                limit=0.25,
            )
        )
        .with_panel(
            graph(
                "Memory",
                (f"process_memory_usage_bytes{{{CHOSEN_JOB}}}", "{{job}} {{instance}}"),
                unit="bytes",
                says="Memory in RAM, by process.",
            )
        )
        .with_panel(
            graph(
                "Connections to PostgreSQL in use",
                (
                    "sum by (job, db_client_connection_pool_name) "
                    f'(db_client_connection_count{{{CHOSEN_JOB}, db_client_connection_state="used"}})',
                    "{{job}} {{db_client_connection_pool_name}}",
                ),
                unit="short",
                says="Used connections of all processes.",
            )
        )
        .with_panel(
            graph(
                "Waiting for a connection",
                (
                    f"sum by (job) (db_client_connection_pending_requests{{{CHOSEN_JOB}}})",
                    "{{job}}",
                ),
                unit="short",
                says="Above 0 for long, queries are slow or blocked, or the pool is too small.",
            )
        )
        .with_panel(
            graph(
                "Parts started again after an error",
                (
                    f"sum by (job) (increase(makegood_component_restarts_total{{{CHOSEN_JOB}}}[$__rate_interval])) "
                    f"or 0 * sum by (job) (makegood_ready{{{CHOSEN_JOB}}})",
                    "{{job}}",
                ),
                unit="short",
                says="The log says which part and why.",
            )
        )
    )

"""The gateway (Envoy): what clients see, and how the services behind it answer."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from makegood_observability.panels import dashboard, graph, row
from makegood_observability.series import CHOSEN, GATEWAY, SERVICES

_FRONT: Final = f'{CHOSEN}, envoy_http_conn_manager_prefix="{GATEWAY}"'
_BEHIND: Final = f'{CHOSEN}, envoy_cluster_name=~"({"|".join(SERVICES)})(-.*)?|identity"'


def board() -> Dashboard:
    """Golden signals at the door of the platform."""
    return (
        dashboard("gateway", "Makegood: gateway", "What clients see, and how the services answer the gateway.")
        .with_row(row("Clients"))
        .with_panel(
            graph(
                "Answers by class",
                (
                    "sum by (envoy_response_code_class) "
                    f"(rate(envoy_http_downstream_rq_xx{{{_FRONT}}}[$__rate_interval]))",
                    "{{envoy_response_code_class}}xx",
                ),
                unit="reqps",
                says="5xx: the platform failed. 4xx: the client did, or a rule refused.",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Time to answer",
                *(
                    (
                        f"histogram_quantile({share}, sum by (le) "
                        f"(rate(envoy_http_downstream_rq_time_bucket{{{_FRONT}}}[$__rate_interval])))",
                        f"p{share * 100:g}",
                    )
                    for share in (0.5, 0.99)
                ),
                unit="ms",
                says="Whole requests, with those that wait for an outcome and live streams.",
            )
        )
        .with_panel(
            graph(
                "Open connections and requests",
                (f"sum(envoy_http_downstream_cx_active{{{_FRONT}}})", "connections"),
                (f"sum(envoy_http_downstream_rq_active{{{_FRONT}}})", "requests"),
                unit="short",
                says="Live streams and waiting requests stay open.",
            )
        )
        .with_panel(
            graph(
                "Tokens",
                (f"sum(rate(envoy_http_jwt_authn_allowed{{{_FRONT}}}[$__rate_interval]))", "accepted"),
                (f"sum(rate(envoy_http_jwt_authn_denied{{{_FRONT}}}[$__rate_interval]))", "refused"),
                unit="reqps",
                says="Many refused: expired tokens of a client app, keys that are not published, or an attack.",
            )
        )
        .with_panel(
            graph(
                "Refused by a limit of the gateway",
                (
                    "sum by (envoy_local_http_ratelimit_prefix) "
                    f"(rate(envoy_http_local_rate_limit_rate_limited{{{CHOSEN}}}[$__rate_interval]))",
                    "{{envoy_local_http_ratelimit_prefix}}",
                ),
                unit="reqps",
                says="`unverified`: requests with a bad token. `gateway`: all requests.",
            )
        )
        .with_panel(
            graph(
                "Memory",
                (f"sum by (instance) (envoy_server_memory_physical_size{{{CHOSEN}}})", "{{instance}}"),
                unit="bytes",
                says="Of Envoy's processes.",
            )
        )
        .with_row(row("Services behind it"))
        .with_panel(
            graph(
                "Healthy processes",
                (
                    f"min by (envoy_cluster_name) (envoy_cluster_membership_healthy{{{_BEHIND}}})",
                    "{{envoy_cluster_name}}",
                ),
                unit="short",
                says="0: the gateway answers 503 for this service.",
            )
        )
        .with_panel(
            graph(
                "Errors of the services",
                (
                    "sum by (envoy_cluster_name) (rate(envoy_cluster_upstream_rq_xx"
                    f'{{{_BEHIND}, envoy_response_code_class="5"}}[$__rate_interval])) '
                    f"or 0 * sum by (envoy_cluster_name) (envoy_cluster_membership_total{{{_BEHIND}}})",
                    "{{envoy_cluster_name}}",
                ),
                unit="reqps",
                says="Before the gateway repeats a request elsewhere.",
            )
        )
        .with_panel(
            graph(
                "Time that services take, p99",
                (
                    "histogram_quantile(0.99, sum by (envoy_cluster_name, le) "
                    f"(rate(envoy_cluster_upstream_rq_time_bucket{{{_BEHIND}}}[$__rate_interval])))",
                    "{{envoy_cluster_name}}",
                ),
                unit="ms",
                says="Without the gateway's own time.",
            )
        )
        .with_panel(
            graph(
                "Repeated requests",
                (
                    f"sum by (envoy_cluster_name) (rate(envoy_cluster_upstream_rq_retry{{{_BEHIND}}}[$__rate_interval]))",
                    "{{envoy_cluster_name}}",
                ),
                unit="reqps",
                says="A process answered that it is stopping, or did not answer.",
            )
        )
        .with_panel(
            graph(
                "Connections that failed",
                (
                    "sum by (envoy_cluster_name) "
                    f"(rate(envoy_cluster_upstream_cx_connect_fail{{{_BEHIND}}}[$__rate_interval]))",
                    "{{envoy_cluster_name}}",
                ),
                unit="cps",
                says="The process is not there, or the network between is broken.",
            )
        )
        .with_panel(
            graph(
                "Requests waiting for a connection",
                (
                    f"sum by (envoy_cluster_name) (envoy_cluster_upstream_rq_pending_active{{{_BEHIND}}})",
                    "{{envoy_cluster_name}}",
                ),
                unit="short",
                says="Above 0 for long, the service is full.",
            )
        )
    )

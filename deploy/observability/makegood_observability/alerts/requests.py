"""Alerts about the answers that clients get."""

from __future__ import annotations

from typing import Final

from makegood_observability.alert import Alert
from makegood_observability.series import BY_JOB, GATEWAY, SERVICES

_REQUESTS: Final = "http_server_request_duration_seconds"
_TO_PEOPLE: Final = 'http_route=~"/v1/.*"'
_READS: Final = f'{_TO_PEOPLE}, http_route!~".*/stream", http_request_method="GET"'
_THROUGH: Final = f'envoy_http_conn_manager_prefix="{GATEWAY}"'

REQUESTS: Final = (
    Alert(
        name="RequestsFailing",
        severity="critical",
        signal=f"""
            (sum by ({BY_JOB}) (rate({_REQUESTS}_count{{{_TO_PEOPLE}, http_response_status_code=~"5.."}}[5m]))
             or 0 * sum by ({BY_JOB}) (rate({_REQUESTS}_count{{{_TO_PEOPLE}}}[5m])))
            / sum by ({BY_JOB}) (rate({_REQUESTS}_count{{{_TO_PEOPLE}}}[5m]))
        """,
        above=0.02,
        minutes=2,
        summary="{{ $value | humanizePercentage }} of the requests to {{ $labels.job }} fail.",
        description="People see an error. Client apps repeat requests with their key, so nothing happens twice.",
    ),
    Alert(
        name="GatewayFailing",
        severity="critical",
        signal=f"""
            sum by ({BY_JOB}) (rate(envoy_http_downstream_rq_xx{{{_THROUGH}, envoy_response_code_class="5"}}[5m]))
            / sum by ({BY_JOB}) (rate(envoy_http_downstream_rq_xx{{{_THROUGH}}}[5m]))
        """,
        above=0.02,
        minutes=2,
        summary="{{ $value | humanizePercentage }} of all requests through the gateway fail.",
        description="People see an error. Either a service answers with one, or the gateway reaches no process of it.",
    ),
    Alert(
        name="NoProcessForRequests",
        severity="critical",
        signal=f"""
            min by ({BY_JOB}, envoy_cluster_name)
            (envoy_cluster_membership_healthy{{envoy_cluster_name=~"{"|".join(SERVICES)}"}})
        """,
        below=1,
        minutes=1,
        summary="The gateway has no healthy process of {{ $labels.envoy_cluster_name }} to send requests to.",
        description="The gateway sends requests all the same. They fail if the processes are gone or have no database.",
    ),
    Alert(
        name="AnswersSlow",
        severity="warning",
        signal=f"""
            1 - sum by ({BY_JOB}) (rate({_REQUESTS}_bucket{{{_READS}, le="0.5"}}[5m]))
            / sum by ({BY_JOB}) (rate({_REQUESTS}_count{{{_READS}}}[5m]))
        """,
        above=0.05,
        minutes=5,
        summary="{{ $value | humanizePercentage }} of what people read from {{ $labels.job }} takes more than half a second.",
        description="Apps feel slow. Bookings that wait for their outcome (`Prefer: wait`) are not counted here.",
    ),
    Alert(
        name="TokensTried",
        severity="warning",
        signal=f"""
            sum by ({BY_JOB})
            (increase(envoy_http_local_rate_limit_rate_limited{{envoy_local_http_ratelimit_prefix="unverified"}}[5m]))
        """,
        above=0,
        minutes=0,
        summary="Somebody sends so many bad tokens to the gateway that it limits them.",
        description="It may be an attack, or a client app that does not renew its token. People with good tokens are not "
        "affected.",
    ),
)

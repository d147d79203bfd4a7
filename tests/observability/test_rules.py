"""What each rule makes of series that are known beforehand: when it fires, and when it does not (promtool's unit tests).

One sample a minute. `0x10` is 0 and ten more samples of it, `0+2x10` rises by 2 each time, `_` is no sample.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from makegood_observability.alerts import ALERTS
from makegood_observability.command import RULES
from makegood_observability.series import event

pytestmark = pytest.mark.usefixtures("prometheus_installed")

_B = 'job="booking"'
_GATE = 'job="gateway", envoy_http_conn_manager_prefix="gateway"'
_HTTP = "http_server_request_duration_seconds"
_READ = f'{_B}, http_route="/v1/rooms", http_request_method="GET"'
_MISSED = f"makegood_events_total{{{_B}, {event('booking.ProviderMissed')}}}"
_ASKED = f"makegood_events_total{{{_B}, {event('booking.SessionRequested')}}}"
_CREDITED = 'makegood_made_good_seconds_count{job="credits", step="credit"}'
_DECIDED = f'makegood_booking_decision_seconds_count{{{_B}, decision="reserved"}}'
_LOST = "messaging_client_consumed_messages_total"
_READY = f"makegood_ready{{{_B}}}"
_LOOP = f"makegood_event_loop_delay_seconds_bucket{{{_B}, le="
_ALL = ("booking", "availability", "credits", "notifications", "gateway")

Series = dict[str, str]

FIRES: dict[str, Series] = {
    "ProcessDown": {f"up{{{_B}}}": "1x5 0x35"},
    "ServiceMissing": {f'up{{job="{job}"}}': "1x40" for job in _ALL if job != "credits"},
    "DatabaseUnreachable": {f'makegood_condition_healthy{{{_B}, condition="database"}}': "1x5 0x35"},
    "KafkaUnreachable": {f'makegood_condition_healthy{{{_B}, condition="kafka"}}': "1x5 0x35"},
    "EventKeysUnusable": {f'makegood_condition_healthy{{{_B}, condition="event-keys"}}': "0x40"},
    "KeysOld": {f'makegood_keys_age_seconds{{{_B}, keys="tokens"}}': "20x5 80+60x35"},
    "ConsumerStopped": {f"makegood_consumer_stopped{{{_B}}}": "0x30 1x10"},
    "ConsumerStuck": {
        f'makegood_consumer_lag_events{{{_B}, messaging_destination_name="t"}}': "0x5 7x35",
        f'{_LOST}{{{_B}, messaging_destination_name="t", outcome="handled"}}': "0+9x5 45x35",
    },
    "ConsumerLagging": {f'makegood_consumer_lag_events{{{_B}, messaging_destination_name="t"}}': "0x5 5000x35"},
    "DeadLetters": {f'{_LOST}{{{_B}, messaging_destination_name="t", outcome="dead"}}': "0x30 1x10"},
    "EventsRefused": {f'{_LOST}{{{_B}, messaging_destination_name="t", outcome="refused"}}': "0x30 1x10"},
    "OutboxOld": {f"makegood_outbox_age_seconds{{{_B}}}": "0x5 10+60x35"},
    "NoRelayLeader": {f"makegood_outbox_relay_leader{{{_B}}}": "1x5 0x35"},
    "DeadlinesLate": {f"makegood_deadlines_overdue_seconds{{{_B}}}": "0x5 10+60x35"},
    "DeadlinesFailing": {_READY: "1x40", f'makegood_deadlines_failed_total{{{_B}, kind="k"}}': "_x30 1x10"},
    "RequestsFailing": {
        f'{_HTTP}_count{{{_READ}, http_response_status_code="200"}}': "0+90x40",
        f'{_HTTP}_count{{{_READ}, http_response_status_code="500"}}': "0x20 0+10x20",
    },
    "GatewayFailing": {
        f'envoy_http_downstream_rq_xx{{{_GATE}, envoy_response_code_class="2"}}': "0+90x40",
        f'envoy_http_downstream_rq_xx{{{_GATE}, envoy_response_code_class="5"}}': "0x20 0+10x20",
    },
    "NoProcessForRequests": {
        'envoy_cluster_membership_healthy{job="gateway", envoy_cluster_name="booking"}': "1x5 0x35"
    },
    "AnswersSlow": {
        f'{_HTTP}_bucket{{{_READ}, le="0.5"}}': "0+80x40",
        f"{_HTTP}_count{{{_READ}}}": "0+100x40",
    },
    "TokensTried": {
        'envoy_http_local_rate_limit_rate_limited{job="gateway", envoy_local_http_ratelimit_prefix="unverified"}': "0x37 5x3"
    },
    "NotMadeGood": {_MISSED: "0x10 1x30", _CREDITED: "0x40"},
    "BookingsUndecided": {_ASKED: "0x35 3x5", _DECIDED: "0x40"},
    "MessagesNotHandedOver": {'makegood_channel_unreachable{job="notifications", channel="email"}': "0x5 1x35"},
    "MessagesFailing": {
        'makegood_deliveries_total{job="notifications", channel="email", outcome="failed"}': "0x30 2 4 6 8 10x6"
    },
    "PaymentProviderFailing": {'makegood_payment_requests_total{job="credits", outcome="failed"}': "0x30 0+2x10"},
    "ProcessAtItsLimit": {_READY: "1x40", f'makegood_requests_refused_total{{{_B}, limit="total"}}': "_x37 4x3"},
    "EventLoopBusy": {f'{_LOOP}"0.1"}}': "0+6x40", f'{_LOOP}"1.0"}}': "0+60x40", f'{_LOOP}"+Inf"}}': "0+60x40"},
    "DatabasePoolExhausted": {f"db_client_connection_pending_requests{{{_B}}}": "0x5 3x35"},
    "PartRestarting": {_READY: "1x40", f'makegood_component_restarts_total{{{_B}, component="relay"}}': "_x30 5x10"},
}
"""Series with which the alert fires after 39 minutes."""

STAYS_QUIET: dict[str, Series] = {
    "ServiceMissing": {f'up{{job="{job}"}}': "0x40" for job in _ALL},  # down, but known
    "ConsumerStuck": {
        f'makegood_consumer_lag_events{{{_B}, messaging_destination_name="t"}}': "7x40",
        f'{_LOST}{{{_B}, messaging_destination_name="t", outcome="handled"}}': "0+9x40",
    },
    "DeadLetters": {f'{_LOST}{{{_B}, messaging_destination_name="t", outcome="dead"}}': "5x40"},
    "DeadlinesFailing": {_READY: "1x40", f'makegood_deadlines_failed_total{{{_B}, kind="k"}}': "5x40"},
    "RequestsFailing": {f'{_HTTP}_count{{{_READ}, http_response_status_code="200"}}': "0+90x40"},
    "NotMadeGood": {_MISSED: "0x20 1x20", _CREDITED: "0x21 1x19"},
    "BookingsUndecided": {_ASKED: "0+3x40", _DECIDED: "0+3x40"},
    "NoRelayLeader": {
        f'makegood_outbox_relay_leader{{{_B}, instance="1"}}': "0x40",
        f'makegood_outbox_relay_leader{{{_B}, instance="2"}}': "1x40",
    },
    "PartRestarting": {_READY: "1x40", f'makegood_component_restarts_total{{{_B}, component="relay"}}': "5x20 0x20"},
    "EventLoopBusy": {f'{_LOOP}"0.1"}}': "0+60x40", f'{_LOOP}"+Inf"}}': "0+60x40"},
}
"""Series that look similar, with which it does not fire."""


def _judge(folder: Path, cases: dict[str, Series], count: int) -> subprocess.CompletedProcess[str]:
    tests: list[dict[str, Any]] = []
    for name, series in cases.items():
        firing = f'count(count by (alertname) (ALERTS{{alertname="Makegood{name}", alertstate="firing"}}))'
        expected = [{"labels": "{}", "value": count}] if count else []
        tests.append(
            {
                "name": name,
                "interval": "1m",
                "input_series": [{"series": one, "values": values} for one, values in series.items()],
                "promql_expr_test": [{"expr": firing, "eval_time": "39m", "exp_samples": expected}],
            }
        )
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (folder / "test.yaml").write_text(yaml.safe_dump(document))
    command = ["promtool", "test", "rules", str(folder / "test.yaml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_each_rule_fires_on_what_it_is_about(tmp_path: Path) -> None:
    assert set(FIRES) == {alert.name for alert in ALERTS}
    done = _judge(tmp_path, FIRES, 1)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_stay_quiet_on_what_only_looks_similar(tmp_path: Path) -> None:
    done = _judge(tmp_path, STAYS_QUIET, 0)
    assert done.returncode == 0, done.stdout + done.stderr

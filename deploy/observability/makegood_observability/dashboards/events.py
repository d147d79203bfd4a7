"""Events on their way: outbox, topics, consumers, deadlines, dead letters."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from makegood_observability.panels import dashboard, graph, row
from makegood_observability.series import CHOSEN_JOB


def _quantile(share: float, name: str, also: str = "") -> str:
    by = f"job, le{also}"
    return f"histogram_quantile({share}, sum by ({by}) (rate({name}_bucket{{{CHOSEN_JOB}}}[$__rate_interval])))"


def board() -> Dashboard:
    """Where events wait, and which of them failed."""
    return (
        dashboard("events", "Makegood: events", "Outbox, consumers, deadlines and dead letters.", by_service=True)
        .with_row(row("From the service to Kafka"))
        .with_panel(
            graph(
                "Age of the oldest event in the outbox",
                (f"max by (job) (makegood_outbox_age_seconds{{{CHOSEN_JOB}}})", "{{job}}"),
                unit="s",
                says="Rises while Kafka is away, or while nobody sends.",
                limit=60,
            )
        )
        .with_panel(
            graph(
                "Events in the outbox",
                (f"max by (job) (makegood_outbox_rows{{{CHOSEN_JOB}}})", "{{job}}"),
                unit="short",
                says="What waits to be sent.",
            )
        )
        .with_panel(
            graph(
                "Processes that send",
                (f"sum by (job) (makegood_outbox_relay_leader{{{CHOSEN_JOB}}})", "{{job}}"),
                unit="short",
                says="Exactly one of each service.",
            )
        )
        .with_panel(
            graph(
                "Events sent",
                (
                    "sum by (job, messaging_destination_name) "
                    f"(rate(messaging_client_sent_messages_total{{{CHOSEN_JOB}}}[$__rate_interval]))",
                    "{{messaging_destination_name}}",
                ),
                unit="cps",
                says="Events that Kafka accepted, by topic.",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Time in the outbox, p99",
                (_quantile(0.99, "makegood_outbox_relay_delay_seconds"), "{{job}}"),
                unit="s",
                says="From the commit until Kafka accepted the event.",
            )
        )
        .with_panel(
            graph(
                "Time that Kafka takes to accept, p99",
                (_quantile(0.99, "messaging_client_operation_duration_seconds"), "{{job}}"),
                unit="s",
                says="If this rises, look at the brokers.",
            )
        )
        .with_row(row("From Kafka to the service"))
        .with_panel(
            graph(
                "Consumer lag",
                (f"sum by (job) (makegood_consumer_lag_events{{{CHOSEN_JOB}}})", "{{job}}"),
                unit="short",
                says="Events that the service has not handled yet. Rising: it is too slow, or stuck.",
                limit=1000,
            )
        )
        .with_panel(
            graph(
                "Events handled",
                (
                    "sum by (job, outcome) "
                    f"(rate(messaging_client_consumed_messages_total{{{CHOSEN_JOB}}}[$__rate_interval]))",
                    "{{job}} {{outcome}}",
                ),
                unit="cps",
                says="`skipped`: of no concern to the service. `dead` and `refused` became dead letters.",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Age of events when they were handled, p99",
                (_quantile(0.99, "makegood_consumer_delay_seconds"), "{{job}}"),
                unit="s",
                says="How long after the other service announced something this one has acted on it.",
            )
        )
        .with_panel(
            graph(
                "Duration of a poll, p99",
                (_quantile(0.99, "messaging_process_duration_seconds"), "{{job}}"),
                unit="s",
                says="One transaction. Long: look for locks in PostgreSQL.",
            )
        )
        .with_panel(
            graph(
                "Dead letters",
                (
                    "sum by (job, outcome) (increase(messaging_client_consumed_messages_total"
                    f'{{{CHOSEN_JOB}, outcome=~"dead|refused"}}[$__rate_interval]))',
                    "{{job}} {{outcome}}",
                ),
                unit="short",
                says="`dead`: could not be handled. `refused`: forged, altered or impossible.",
                limit=1,
            )
        )
        .with_panel(
            graph(
                "Consumers that have stopped",
                (f"max by (job) (makegood_consumer_stopped{{{CHOSEN_JOB}}})", "{{job}}"),
                unit="short",
                says="1: too many events failed. See the dead letters for the reason.",
                limit=1,
            )
        )
        .with_row(row("Deadlines"))
        .with_panel(
            graph(
                "Longest overdue deadline",
                (f"max by (job) (makegood_deadlines_overdue_seconds{{{CHOSEN_JOB}}})", "{{job}}"),
                unit="s",
                says="Above some seconds, deadlines are not handled, or fail.",
                limit=60,
            )
        )
        .with_panel(
            graph(
                "Deadlines handled",
                (
                    f"sum by (job, kind) (rate(makegood_deadlines_handled_total{{{CHOSEN_JOB}}}[$__rate_interval]))",
                    "{{job}} {{kind}}",
                ),
                unit="cps",
                says="Moments that no request triggers: a session is missed, an undecided booking ends.",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Lateness of deadlines, p99",
                (_quantile(0.99, "makegood_deadlines_lateness_seconds"), "{{job}}"),
                unit="s",
                says="How late the oldest of each batch was.",
            )
        )
    )

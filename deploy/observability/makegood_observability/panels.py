"""How dashboards and their panels look. A panel says in its description what a person should conclude from it."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.models.common import (
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="$source")
WHOLE_WIDTH: Final = 24
Query = tuple[str, str]
"""PromQL, and the legend of its lines."""


def graph(
    title: str,
    *queries: Query,
    unit: str,
    says: str,
    width: int = 8,
    stacked: bool = False,
    limit: float | None = None,
) -> timeseries.Panel:
    """Lines over time. `unit`: Grafana's name of it. `limit`: where the alert about it begins, shown as a red line."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(says)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .fill_opacity(20 if stacked else 6)
        .line_width(1)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if limit is not None:
        panel = panel.thresholds(_limits(limit)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.LINE)
        )
    for number, (query, legend) in enumerate(queries):
        panel = panel.with_target(_target(query, legend, number))
    return panel


def number(
    title: str, query: str, *, unit: str, says: str, width: int = 4, limit: float | None = None, legend: str = ""
) -> stat.Panel:
    """One figure for each series, red from `limit` on."""
    panel = (
        stat.Panel()
        .title(title)
        .description(says)
        .datasource(SOURCE)
        .unit(unit)
        .span(width)
        .height(4)
        .thresholds(_limits(limit))
    )
    return panel.with_target(_target(query, legend, 0))


def dashboard(uid: str, title: str, about: str, *, by_service: bool = False) -> Dashboard:
    """An empty dashboard with the variables that all share."""
    board = (
        Dashboard(title)
        .uid(f"makegood-{uid}")
        .description(about)
        .tags(["makegood"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(_choice("namespace", "Namespace", "label_values(up, namespace)"))
    )
    if by_service:
        board = board.with_variable(_choice("job", "Service", "label_values(messaging_consumer_stopped, job)"))
    return board


def row(title: str) -> Row:
    """A heading between panels."""
    return Row(title)


def _choice(name: str, label: str, query: str) -> QueryVariable:
    """A variable with the values of a label. "All" also matches series without the label, as outside of Kubernetes."""
    return (
        QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )


def _target(query: str, legend: str, number: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(" ".join(query.split())).ref_id(chr(ord("A") + number)).datasource(SOURCE)
    return target.legend_format(legend) if legend else target


def _limits(limit: float | None) -> ThresholdsConfig:
    steps = [Threshold(value=None, color="green")]
    if limit is not None:
        steps.append(Threshold(value=limit, color="red"))
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)

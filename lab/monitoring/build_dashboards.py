"""Write `dashboards/*.json` from `panels`: python -m lab.monitoring.build_dashboards. A test holds them up to date."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphThresholdsStyleMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from lab.monitoring.panels import PAGES
from lab.monitoring.shapes import Page, Panel, Query

DIRECTORY = Path(__file__).resolve().parent / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
HIDDEN = ("Time", "__name__", "job", "instance", "alertstate")  # columns that say the same in every row
CHOICES = {  # name → title, what lists them, what is kept of it
    "tenant": ("Tenant", "label_values(onecity_service_slo_seconds_total, service)", r"/^([^\/]+)\//"),
    "service": ("Service", 'label_values(onecity_service_slo_seconds_total{service=~"$tenant/.*"}, service)', ""),
    "domain": ("Domain", "label_values(onecity_domain_up, domain)", ""),
}


def text(page: Page) -> str:
    """Return a dashboard as the JSON that Grafana imports."""
    return JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False).encode(_dashboard(page).build()) + "\n"


def _dashboard(page: Page) -> dashboard.Dashboard:
    built = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.words)
        .tags(["onecity"])
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh(page.refresh)
        .time(f"now-{page.shows}", "now")
        .timezone("browser")
        .link(_others())
        .annotation(_pages())
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
    )
    for name in page.choices:
        built = built.with_variable(_choice(name))
    ids = count(1)
    for title, panels in page.rows:
        built = built.with_row(dashboard.Row(title).id(next(ids)))
        for panel in panels:
            built = built.with_panel(_panel(panel).id(next(ids)))
    return built


def _others() -> Any:
    link = dashboard.DashboardLink("onecity").type(DashboardLinkType.DASHBOARDS).tags(["onecity"])
    return link.as_dropdown(False).keep_time(True).include_vars(True)


def _pages() -> Any:
    """Mark when somebody was woken."""
    return (
        dashboard.AnnotationQuery()
        .name("Pages")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("red")
        .expr('ALERTS{alertname=~"Onecity.*",severity="page",alertstate="firing"}')
    )


def _choice(name: str) -> Any:
    title, query, kept = CHOICES[name]
    built = (
        dashboard.QueryVariable(name)
        .label(title)
        .datasource(SOURCE)
        .query({"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )
    return built.regex(kept) if kept else built


def _panel(panel: Panel) -> Any:
    builder: Any
    if panel.kind == "stat":
        builder = stat.Panel().height(4)
    elif panel.kind == "table":
        builder = _table(panel)
    else:
        builder = timeseries.Panel().height(8).fill_opacity(8).line_width(1).legend(_legend())
        if panel.red_above is not None or panel.red_below is not None:
            style = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
            builder = builder.thresholds_style(style)
    builder = builder.title(panel.title).span(panel.span).unit(panel.unit).datasource(SOURCE)
    if panel.words:
        builder = builder.description(panel.words)
    if panel.when_none:
        builder = builder.no_value(panel.when_none)
    builder = builder.thresholds(_steps(panel))
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(_ref(number))
        if panel.kind == "table":
            target = target.instant().format(PromQueryFormat.TABLE)
        builder = builder.with_target(target)
    return builder


def _ref(number: int) -> str:
    return chr(ord("A") + number)


def _table(panel: Panel) -> Any:
    """One row for each set of labels, one column for each query, titled by its legend."""
    builder = table.Panel().height(8)
    several = len(panel.queries) > 1
    titles = {f"Value #{_ref(n)}" if several else "Value": query.legend for n, query in enumerate(panel.queries)}
    named = {column: title for column, title in titles.items() if "{{" not in title and title != "__auto"}
    if several:
        builder = builder.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    options = {"excludeByName": dict.fromkeys(HIDDEN, True), "renameByName": named}
    builder = builder.with_transformation(DataTransformerConfig(id_val="organize", options=options))
    for query in panel.queries:
        if properties := _column(query):
            builder = builder.override_by_name(query.legend, properties)
    if panel.leads_to:
        link = {
            "title": "Show this service",
            "url": f"/d/{panel.leads_to}?var-service=${{__value.raw}}&${{__url_time_range}}",
        }
        builder = builder.override_by_name("service", [DynamicConfigValue(id_val="links", value=[link])])
    return builder


def _column(query: Query) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue(id_val="unit", value=query.unit)] if query.unit else []
    if query.unit == "percentunit":  # five nines must not read as a hundred
        found.append(DynamicConfigValue(id_val="decimals", value=4))
    if query.red_above is not None or query.red_below is not None:
        steps = [{"value": s.value, "color": s.color} for s in _stairs(query.red_above, query.red_below)]
        found.append(DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps}))
        found.append(DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}))
    return found


def _legend() -> Any:
    shown = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return shown.show_legend(True)


def _stairs(above: float | None, below: float | None) -> list[Threshold]:
    if below is not None:
        return [Threshold(value=None, color="red"), Threshold(value=below, color="green")]
    healthy = [Threshold(value=None, color="green")]
    return healthy if above is None else [*healthy, Threshold(value=above, color="red")]


def _steps(panel: Panel) -> Any:
    """Grafana's own default turns red at 80, whatever is shown."""
    steps = _stairs(panel.red_above, panel.red_below)
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def main() -> None:
    """Write every dashboard."""
    DIRECTORY.mkdir(exist_ok=True)
    for page in PAGES:
        (DIRECTORY / f"{page.uid}.json").write_text(text(page), encoding="utf-8")
        print(DIRECTORY / f"{page.uid}.json")


if __name__ == "__main__":
    main()

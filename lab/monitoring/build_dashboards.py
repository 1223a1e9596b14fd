"""Write `dashboards/*.json` from `panels`: python -m lab.monitoring.build_dashboards. A test holds them up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef, Threshold, ThresholdsMode

from lab.monitoring.panels import PAGES
from lab.monitoring.shapes import Page, Panel

DIRECTORY = Path(__file__).resolve().parent / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")


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
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
    )
    for title, panels in page.rows:
        built = built.with_row(dashboard.Row(title))
        for panel in panels:
            built = built.with_panel(_panel(panel))
    return built


def _panel(panel: Panel) -> Any:
    builder: Any
    if panel.kind == "stat":
        builder = stat.Panel().height(4)
    elif panel.kind == "table":
        builder = table.Panel().height(8)
    else:
        legend = _legend()
        builder = timeseries.Panel().height(8).fill_opacity(8).line_width(1).legend(legend)
    builder = builder.title(panel.title).span(panel.span).unit(panel.unit).datasource(SOURCE)
    if panel.words:
        builder = builder.description(panel.words)
    steps = _steps(panel)
    if steps is not None:
        builder = builder.thresholds(steps)
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + number))
        builder = builder.with_target(target if panel.kind != "table" else target.instant())
    return builder


def _legend() -> Any:
    from grafana_foundation_sdk.builders.common import VizLegendOptions

    return VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)


def _steps(panel: Panel) -> Any:
    if panel.red_above is not None:
        steps = [Threshold(value=None, color="green"), Threshold(value=panel.red_above, color="red")]
    elif panel.red_below is not None:
        steps = [Threshold(value=None, color="red"), Threshold(value=panel.red_below, color="green")]
    else:
        return None
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def main() -> None:
    """Write every dashboard."""
    DIRECTORY.mkdir(exist_ok=True)
    for page in PAGES:
        (DIRECTORY / f"{page.uid}.json").write_text(text(page), encoding="utf-8")
        print(DIRECTORY / f"{page.uid}.json")


if __name__ == "__main__":
    main()

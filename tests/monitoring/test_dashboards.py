"""Dashboards as Grafana reads them: sound by its own schema, laid out without overlaps, led from one to the other."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from lab.monitoring.build_dashboards import DIRECTORY
from lab.monitoring.panels import PAGES
from lab.monitoring.shapes import STANDS_FOR

UIDS = ("onecity-overview", "onecity-services", "onecity-domains", "onecity-optical", "onecity-loop")
UNITS = {  # ids of Grafana's own formats: one it does not know is written behind the number as it stands
    "short", "none", "s", "bps", "percentunit", "bytes", "dB", "dBm", "ops", "bool_yes_no", "sci", "dtdurations",
}  # fmt: skip


def built(uid: str) -> dict[str, Any]:
    return dict(json.loads((DIRECTORY / f"{uid}.json").read_text(encoding="utf-8")))


def test_uids_are_stable_others_link_to_them() -> None:
    assert tuple(page.uid for page in PAGES) == UIDS
    for uid in UIDS:
        assert built(uid)["uid"] == uid


@pytest.mark.parametrize("uid", UIDS)
def test_grafanas_own_model_reads_all_of_it_and_writes_it_the_same(uid: str) -> None:
    read = Dashboard.from_json(built(uid))
    assert json.loads(JSONEncoder(sort_keys=True).encode(read)) == built(uid)


@pytest.mark.parametrize("uid", UIDS)
def test_panels_have_ids_of_their_own_fit_the_page_and_cover_no_other(uid: str) -> None:
    panels = built(uid)["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    assert all(p["id"] > 0 for p in panels)
    places = [p["gridPos"] for p in panels]
    assert all(g["x"] >= 0 and g["x"] + g["w"] <= 24 and g["h"] > 0 for g in places)
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, (a, b)


@pytest.mark.parametrize("uid", UIDS)
def test_units_are_known_and_red_is_shown_where_it_begins(uid: str) -> None:
    for panel in (p for p in built(uid)["panels"] if p["type"] != "row"):
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS, panel["title"]
        steps = defaults["thresholds"]["steps"]
        assert steps[0].get("value") is None
        if len(steps) > 1 and panel["type"] == "timeseries":
            assert defaults["custom"]["thresholdsStyle"]["mode"] == "dashed", panel["title"]
        for override in panel["fieldConfig"]["overrides"]:
            assert all(v["value"] in UNITS for v in override["properties"] if v["id"] == "unit")


@pytest.mark.parametrize("uid", UIDS)
def test_what_can_be_chosen_is_defined_and_of_the_chosen_source(uid: str) -> None:
    page = built(uid)
    variables = {v["name"]: v for v in page["templating"]["list"]}
    text = json.dumps(page["panels"]) + json.dumps([v.get("query") for v in variables.values()])
    used = set(re.findall(r"\$\{?([a-z]+)\b", text)) - {"__value", "__url_time_range"}
    assert used <= {*variables, "source"}, used
    assert set(variables) - {"source"} <= used, "it can be chosen and changes nothing"
    for variable in variables.values():
        assert variable["type"] == "datasource" or variable["datasource"]["uid"] == "${source}"
    for panel in (p for p in page["panels"] if p["type"] != "row"):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
        assert [t["refId"] for t in panel["targets"]] == [chr(65 + n) for n in range(len(panel["targets"]))]


def test_tenants_are_read_from_the_names_of_services() -> None:
    (tenant,) = (v for v in built("onecity-services")["templating"]["list"] if v["name"] == "tenant")
    slashes = tenant["regex"]
    assert slashes[0] == slashes[-1] == "/"
    found = re.search(slashes[1:-1], "gov-transport/flood-response")
    assert found
    assert found[1] == "gov-transport"
    assert tenant["allValue"] == ".*" == STANDS_FOR["$tenant"]


@pytest.mark.parametrize("uid", UIDS)
def test_every_page_leads_to_the_others_and_a_service_to_its_own(uid: str) -> None:
    page = built(uid)
    (link,) = page["links"]
    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["onecity"], True)
    assert page["tags"] == ["onecity"]
    urls = re.findall(r'"/d/([a-z-]+)\?', json.dumps(page))
    assert set(urls) <= set(UIDS)
    assert page["refresh"] in ("10s", "30s", "1m")
    assert page["time"]["to"] == "now"
    assert page["description"]

"""Rules, routes, dashboards and the unit as files: sound, tested by promtool, and up to date."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lab.monitoring import build_dashboards
from lab.monitoring.panels import PAGES

HERE = Path(build_dashboards.__file__).parent
UNIT = HERE.parent / "systemd" / "onecity.service"
RULES = [HERE / "rules" / name for name in ("recording.yaml", "alerts.yaml")]


def run(*line: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in line], capture_output=True, text=True, timeout=110)


promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Debian's prometheus")
amtool = pytest.mark.skipif(shutil.which("amtool") is None, reason="needs amtool, of Debian's prometheus-alertmanager")
systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


@promtool
def test_rules_are_sound() -> None:
    done = run("promtool", "check", "rules", *RULES)
    assert done.returncode == 0, done.stderr


@promtool
def test_rules_fire_and_end_as_their_tests_say() -> None:
    done = run("promtool", "test", "rules", *(HERE / "rules").glob("tests*.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_the_configuration_of_prometheus_is_sound() -> None:
    done = run("promtool", "check", "config", HERE / "prometheus.yaml")
    assert done.returncode == 0, done.stderr


@amtool
def test_one_fault_makes_one_ticket() -> None:
    done = run("amtool", "check-config", HERE / "alertmanager.yaml")
    assert done.returncode == 0, done.stderr


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    groups = yaml.safe_load(RULES[1].read_text(encoding="utf-8"))["groups"]
    alerts = [rule for group in groups for rule in group["rules"]]
    assert len({a["alert"] for a in alerts}) == len(alerts)
    for alert in alerts:
        severities = alert["labels"]["severity"]
        assert severities in ("page", "ticket", "info") or set(re.findall(r"}}(\w+){{", severities)) == {
            "page",
            "ticket",
        }
        assert set(alert["annotations"]) == {"summary", "remedy"}


def test_no_alert_is_held_back_by_one_that_does_not_exist() -> None:
    groups = yaml.safe_load(RULES[1].read_text(encoding="utf-8"))["groups"]
    known = {rule["alert"] for group in groups for rule in group["rules"]}
    named = set(re.findall(r"Onecity\w+", (HERE / "alertmanager.yaml").read_text(encoding="utf-8")))
    assert named <= known


def test_dashboards_checked_in_are_those_that_the_script_writes() -> None:
    for page in PAGES:
        file = HERE / "dashboards" / f"{page.uid}.json"
        assert file.read_text(encoding="utf-8") == build_dashboards.text(page), (
            f"{file.name} is out of date: python -m lab.monitoring.build_dashboards"
        )
    assert {f.stem for f in (HERE / "dashboards").glob("*.json")} == {page.uid for page in PAGES}


def test_dashboards_ask_for_what_the_panels_say() -> None:
    for page in PAGES:
        built = json.loads((HERE / "dashboards" / f"{page.uid}.json").read_text(encoding="utf-8"))
        asked = [t["expr"] for panel in built["panels"] for t in panel.get("targets", ())]
        assert asked == [query.expr for _, panels in page.rows for panel in panels for query in panel.queries]


@systemd
def test_the_unit_is_sound_and_shut_in(tmp_path: Path) -> None:
    """The command is replaced by one that is here; all else is as shipped."""
    unit = tmp_path / "onecity.service"
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/usr/local/bin/onecity", sys.executable))
    done = run("systemd-analyze", "verify", "--man=no", unit)
    assert done.returncode == 0, done.stderr
    rated = run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
    assert rated.returncode == 0, rated.stdout[-300:] + rated.stderr

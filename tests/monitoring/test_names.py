"""What rules and panels ask for is what the daemon tells: a name or a label that changed fails here, not at night."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.monitoring.panels import PAGES
from tests.monitoring.exposed import BEGIN, END, PAGE, exposition, families, table

RULES = PAGE.parent / "rules"
OWN = ("up", "ALERTS")  # of Prometheus itself, with the labels of our series
ANY = {"job", "instance", "alertname", "alertstate", "severity", "le"}
WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def rules() -> Iterator[dict[str, Any]]:
    for name in ("recording.yaml", "alerts.yaml"):
        for group in yaml.safe_load((RULES / name).read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def asked() -> Iterator[tuple[str, str, str]]:
    """Yield where, the expression, and the text in which its labels are used."""
    for rule in rules():
        used = " ".join([*rule.get("annotations", {}).values(), *map(str, rule.get("labels", {}).values())])
        yield rule.get("alert") or rule["record"], rule["expr"], used
    for page in PAGES:
        for _, panels in page.rows:
            for panel in panels:
                for query in panel.queries:
                    yield f"{page.uid}: {panel.title}", query.expr, query.legend.replace("{{", "$labels.")


def known() -> dict[str, frozenset[str]]:
    """Return every series that may be asked for with its labels: those told, and those recorded from them."""
    found = {series: family.labels for family in families().values() for series in family.series}
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    for name in recorded:
        by = re.search(r"by \(([^)]*)\)", _spelt_out(name, recorded))
        assert by, name
        found[name] = frozenset(label.strip() for label in by[1].split(",")) - {"le"}
    return found


def _spelt_out(name: str, recorded: dict[str, str]) -> str:
    """Return the expression of a recorded series, with those of what it is made of."""
    text = recorded[name]
    return text + "".join(_spelt_out(other, recorded) for other in WORD.findall(text) if other in recorded)


def metrics_in(expression: str) -> set[str]:
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\b(by|on|ignoring|group_left|group_right|without)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    return {w for w in WORD.findall(bare) if ":" in w or w.startswith(("onecity_", "process_")) or w in OWN}


def test_every_metric_that_a_rule_or_a_panel_asks_for_is_told() -> None:
    there = {*known(), *OWN}
    missing = {(where, name) for where, expression, _ in asked() for name in metrics_in(expression) - there}
    assert missing == set()
    assert all(metrics_in(expression) for _, expression, _ in asked())


def test_every_label_that_a_rule_or_a_panel_uses_is_one_of_what_it_asks_for() -> None:
    there = known()
    wrong = set()
    for where, expression, words in asked():
        names = metrics_in(expression)
        labels = {label for name in names for label in there.get(name, ())} | ANY | ({"cause"} & _of_alerts(names))
        matched = re.findall(r"([a-zA-Z_]+)\s*(?:=~|!~|!=|=)\s*\"", expression)
        grouped = re.findall(r"\b(?:by|on|group_left|without)\s*\(([^)]*)\)", expression)
        used = {*matched, *(g.strip() for group in grouped for g in group.split(",") if g.strip())}
        used |= set(re.findall(r"\$labels\.(\w+)", words))
        wrong |= {(where, label) for label in used - labels}
    assert wrong == set()


def _of_alerts(names: set[str]) -> set[str]:
    return {"cause"} if "ALERTS" in names else set()


def test_every_alert_says_its_cause_so_that_one_fault_makes_one_ticket() -> None:
    there = known()
    for rule in rules():
        if "alert" in rule:
            told = "cause" in rule["labels"] or "group_left (cause)" in rule["expr"]
            assert told or "cause" in there[rule["expr"].strip()], rule["alert"]


def test_the_table_of_metrics_for_users_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert text == table(), "python -m tests.monitoring.exposed writes it anew"


def test_names_follow_those_of_prometheus() -> None:
    bare = ("onecity_build_info",)
    for family in families().values():
        assert (family.type == "counter") == family.name.endswith("_total"), family.name
        assert family.help.endswith("."), family.name
        assert re.fullmatch(r"(onecity|process)_[a-z0-9_]+", family.name)
        assert not re.search(r"_(ms|milliseconds|percent|kb|mb|gb)(_|$)", family.name), family.name
        if family.name.endswith("_info") and family.name not in bare:
            assert "cause" in family.labels


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Debian's prometheus")
def test_promtool_finds_nothing_wrong_with_a_scrape() -> None:
    line = ["promtool", "check", "metrics"]
    done = subprocess.run(line, input=exposition(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def cases() -> Iterator[tuple[str, Path, str, float, bool]]:
    """Yield alert, file, name of the test, time, and whether it is to fire."""
    for file in sorted(RULES.glob("tests*.yaml")):
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                yield case["alertname"], file, test["name"], _seconds(case["eval_time"]), bool(case["exp_alerts"])


def _seconds(text: str) -> float:
    return sum(float(n) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[u] for n, u in re.findall(r"(\d+)([smhd])", text))


def test_every_alert_is_tried_before_it_fires_while_it_does_and_after_it() -> None:
    tried: dict[str, set[str]] = {}
    every = list(cases())
    for alert, file, test, at, fires in every:
        if not fires:
            continue
        same = [(t, f) for a, where, name, t, f in every if (a, where, name) == (alert, file, test)]
        quiet = [t for t, f in same if not f]
        stages = {"fires"} | {"before" for t in quiet if t < at} | {"after" for t in quiet if t > at}
        tried[alert] = max(tried.get(alert, set()), stages, key=len)
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert {a: tried.get(a, set()) for a in alerts if tried.get(a) != {"before", "fires", "after"}} == {}

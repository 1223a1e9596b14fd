"""The compose file where no container engine is: sound, and each path, port and name in it fits the files beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.monitoring import build_dashboards

HERE = Path(build_dashboards.__file__).parent
FILE = HERE / "compose.yaml"
PROVISIONING = Path("/etc/grafana/provisioning")


def read(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


def mounts(service: str) -> dict[Path, Path]:
    """Return where a container finds what of this directory."""
    found = {}
    for volume in read("compose.yaml")["services"][service]["volumes"]:
        source, target, *_ = volume.split(":")
        if source.startswith("."):
            found[Path(target)] = (HERE / source).resolve()
    return found


def option(service: str, name: str) -> str:
    (value,) = (c.partition("=")[2] for c in read("compose.yaml")["services"][service]["command"] if c.startswith(name))
    return str(value)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose, of Debian")
def test_compose_understands_it_and_asks_for_the_password() -> None:
    def config(**environment: str) -> subprocess.CompletedProcess[str]:
        around = {k: v for k, v in os.environ.items() if k != "GRAFANA_PASSWORD"}
        line = ["docker-compose", "-f", str(FILE), "config", "--quiet"]
        return subprocess.run(line, env={**around, **environment}, capture_output=True, text=True, timeout=60)

    assert config(GRAFANA_PASSWORD="x").returncode == 0, config(GRAFANA_PASSWORD="x").stderr
    without = config()
    assert without.returncode != 0
    assert "choose one" in without.stderr


@pytest.mark.parametrize("service", ["prometheus", "alertmanager", "grafana"])
def test_what_is_mounted_is_there(service: str) -> None:
    assert mounts(service)
    assert [path for path in mounts(service).values() if not path.exists()] == []


@pytest.mark.parametrize("service", ["prometheus", "alertmanager"])
def test_what_is_started_reads_what_is_mounted(service: str) -> None:
    file = Path(option(service, "--config.file"))
    assert mounts(service)[file] == HERE / f"{service}.yaml"
    kept = option(service, {"prometheus": "--storage.tsdb.path", "alertmanager": "--storage.path"}[service])
    assert f"{service}:{kept}" in read("compose.yaml")["services"][service]["volumes"]
    assert service in read("compose.yaml")["volumes"]


def test_rules_are_found_beside_the_configuration() -> None:
    file = Path(option("prometheus", "--config.file"))
    for name in read("prometheus.yaml")["rule_files"]:
        inside = mounts("prometheus")[(file.parent / name).parent] / Path(name).name
        assert inside.is_file()


def test_servers_listen_where_the_others_look_for_them_and_on_loopback_alone() -> None:
    prometheus, alertmanager = (option(s, "--web.listen-address") for s in ("prometheus", "alertmanager"))
    (source,) = read("grafana/datasources.yaml")["datasources"]
    assert source["url"] == f"http://{prometheus}"
    (target,) = read("prometheus.yaml")["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert target == alertmanager
    grafana = read("compose.yaml")["services"]["grafana"]["environment"]
    for address in (prometheus, alertmanager, grafana["GF_SERVER_HTTP_ADDR"]):
        assert address.partition(":")[0] == "127.0.0.1"
    (scraped,) = read("prometheus.yaml")["scrape_configs"]
    assert scraped["job_name"] == "onecity"  # alerts name it
    assert scraped["static_configs"][0]["targets"] == ["127.0.0.1:9464"]  # where the daemon listens if nobody says else


def test_grafana_is_given_its_source_and_its_dashboards_as_it_wants_them() -> None:
    """Fields as in Grafana's documentation of provisioning."""
    there = mounts("grafana")
    assert there[PROVISIONING / "datasources" / "onecity.yaml"] == HERE / "grafana" / "datasources.yaml"
    assert there[PROVISIONING / "dashboards" / "onecity.yaml"] == HERE / "grafana" / "dashboards.yaml"
    sources, dashboards = read("grafana/datasources.yaml"), read("grafana/dashboards.yaml")
    assert sources["apiVersion"] == dashboards["apiVersion"] == 1
    (source,) = sources["datasources"]
    assert (source["type"], source["access"], source["isDefault"]) == ("prometheus", "proxy", True)
    (provider,) = dashboards["providers"]
    assert provider["type"] == "file"
    assert there[Path(provider["options"]["path"])] == build_dashboards.DIRECTORY

"""`onecity lab export containerlab`: what containerlab, FRR and the processes inside would say of what is written."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from controller.settings import read_settings
from lab.city import CityError, available, load_city
from lab.command import command
from lab.containerlab import images
from lab.containerlab.addresses import every_link, plan_addresses
from lab.containerlab.export import export_containerlab
from lab.containerlab.frr import reflectors_of
from lab.containerlab.topology import MOUNT

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT.parent / "shared" / "containerlab" / "clab.schema.json"
CITIES = available()


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every city, exported as people do it."""
    found = {}
    for city in CITIES:
        found[city] = tmp_path_factory.mktemp("containerlab") / city
        assert command(["export", "containerlab", city, "--to", str(found[city])]) == 0
    return found


def topology(directory: Path) -> dict[str, Any]:
    (path,) = directory.glob("*.clab.yml")
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def judge() -> jsonschema.Draft7Validator:
    if not SCHEMA.is_file():
        pytest.skip("containerlab's JSON schema is not there; it is looked for in ../shared/containerlab")
    # The schema's patterns are JavaScript's; Python's have no \p and know the same letters as \w.
    text = SCHEMA.read_text(encoding="utf-8").replace(r"[\\p{N}\\p{L}]", r"\\w")
    return jsonschema.Draft7Validator(json.loads(text))


@pytest.mark.parametrize("city", CITIES)
def test_containerlab_s_own_schema_accepts_the_topology(
    exports: dict[str, Path], judge: jsonschema.Draft7Validator, city: str
) -> None:
    assert [f"{e.json_path}: {e.message}" for e in judge.iter_errors(topology(exports[city]))] == []


def test_the_schema_would_have_refused_a_wrong_one(exports: dict[str, Path], judge: jsonschema.Draft7Validator) -> None:
    document = topology(exports["longgang"])
    document["topology"]["nodes"]["lg-buji"]["kindd"] = "linux"
    assert list(judge.iter_errors(document))


def checked(configuration: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("vtysh") is None:
        pytest.skip("there is no vtysh; `make lab-deps` installs FRR")
    return subprocess.run(["vtysh", "-C", "-f", str(configuration)], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("city", CITIES)
def test_frr_accepts_every_router_s_configuration(exports: dict[str, Path], city: str) -> None:
    routers = sorted((exports[city] / "routers").iterdir())
    assert [r.name for r in routers] == sorted(n.id for d in load_city(city).ip.values() for n in d.nodes)
    refused = [(r.name, said.stderr) for r in routers if (said := checked(r / "frr.conf")).returncode]
    assert refused == []


def test_frr_would_have_refused_a_wrong_one(exports: dict[str, Path], tmp_path: Path) -> None:
    wrong = tmp_path / "frr.conf"
    right = (exports["longgang"] / "routers" / "lg-buji" / "frr.conf").read_text()
    wrong.write_text(right.replace("isis metric", "isis metrik"))
    assert checked(wrong).returncode != 0


def parts(configuration: str) -> dict[str, str]:
    """Return what each of FRR's daemons takes from a configuration: its own blocks, its own lines of interfaces."""
    own: dict[str, list[str]] = {"isisd": [], "bgpd": [], "ldpd": []}
    heads = {
        "isisd": ("router isis",),
        "bgpd": ("router bgp", "ip prefix", "ipv6 prefix", "route-map"),
        "ldpd": ("mpls",),
    }
    for block in re.split(r"^!\n", configuration, flags=re.M):
        lines = block.splitlines()
        for daemon, begins in heads.items():
            if block.startswith(begins):
                own[daemon] += lines
        if block.startswith("interface"):
            own["isisd"] += [x for x in lines if "isis" in x or x == "exit" or x.startswith("interface")]
    return {daemon: "\n".join(lines) + "\n" for daemon, lines in own.items()}


def complaints(daemon: str, configuration: str) -> list[str]:
    """Let one of FRR's daemons read its part and end; what vtysh cannot know, such as what needs what, it tells."""
    program = Path("/usr/lib/frr") / daemon
    if not program.exists():
        pytest.skip(f"there is no {program}; `make lab-deps` installs FRR")
    with tempfile.TemporaryDirectory() as room:  # the daemons read as a user of their own
        Path(room).chmod(0o755)
        (Path(room) / "part.conf").write_text(configuration)
        line = [program, "--dryrun", "-f", f"{room}/part.conf", "--vty_socket", room, "-i", f"{room}/pid"]
        said = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    lines = {*said.stdout.splitlines(), *said.stderr.splitlines()}
    return sorted(x for x in lines if x.startswith("%") or "config line" in x or "configuration file" in x)


@pytest.mark.skipif(os.geteuid() != 0, reason="FRR's daemons start as root only")
@pytest.mark.parametrize("router", ["lg-zhihui", "lg-buji"], ids=["at borders, reflecting", "inside"])
def test_each_of_frr_s_daemons_accepts_its_part(exports: dict[str, Path], router: str) -> None:
    found = parts((exports["longgang"] / "routers" / router / "frr.conf").read_text())
    assert all(len(part.splitlines()) > 5 for part in found.values())
    assert {daemon: complaints(daemon, part) for daemon, part in found.items()} == {daemon: [] for daemon in found}


@pytest.mark.skipif(os.geteuid() != 0, reason="FRR's daemons start as root only")
@pytest.mark.parametrize(
    ("daemon", "right", "wrong"),
    [
        ("isisd", "metric-style wide", "metric-style narrow"),
        ("bgpd", "neighbor 10.0.1.3 activate", "neighbor 10.0.1.99 activate"),
    ],
)
def test_they_would_have_refused_what_does_not_fit_together(
    exports: dict[str, Path], daemon: str, right: str, wrong: str
) -> None:
    part = parts((exports["longgang"] / "routers" / "lg-zhihui" / "frr.conf").read_text())[daemon]
    assert complaints(daemon, part.replace(right, wrong))


@pytest.mark.parametrize("city", CITIES)
def test_the_same_city_gives_the_same_files_but_for_its_secrets(
    exports: dict[str, Path], tmp_path: Path, city: str
) -> None:
    export_containerlab(city, tmp_path / "again")
    private = re.compile(r"run/(secrets/.*|certs/.*|ca\.pem|known_hosts)|monitoring/grafana\.password")
    seen = []
    for directory in (exports[city], tmp_path / "again"):
        files = {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}
        seen.append({name: content for name, content in files.items() if not private.fullmatch(name)})
    assert seen[0] == seen[1]


@pytest.mark.parametrize("city", CITIES)
def test_both_ends_of_every_link_and_session_agree(exports: dict[str, Path], city: str) -> None:
    plan = load_city(city)
    text = {r.name: (r / "frr.conf").read_text() for r in (exports[city] / "routers").iterdir()}
    owner: dict[str, str] = {}
    subnets: dict[tuple[str, str], str] = {}
    for name, configuration in text.items():
        for interface, block in re.findall(r"^interface (\S+).*\n((?: .*\n)+)exit", configuration, re.M):
            for end in re.findall(r"ip(?:v6)? address (\S+)", block):
                address = ipaddress.ip_interface(end)
                assert owner.setdefault(str(address.ip), name) == name  # no address twice
                subnets[name, f"{interface} {address.version}"] = str(address.network)
    for link in every_link(plan):
        for version in (4, 6):
            a, z = (subnets[node, f"{port} {version}"] for node, port in (link.a, link.z))
            assert a == z
        metrics = {
            found[1] if (found := re.search(rf"interface {port}\n(?: .*\n)* isis metric (\d+)", text[node])) else None
            for node, port in (link.a, link.z)
        }
        assert len(metrics) == 1
        assert (metrics == {None}) == (link.domain is None)  # a border runs no IS-IS
    asn = {n.id: d.asn for d in plan.ip.values() for n in d.nodes}
    for name, configuration in text.items():
        for peer, said in re.findall(r"neighbor (\S+) remote-as (\d+)", configuration):
            assert asn[owner[peer]] == int(said)
            mine = {str(a) for a, n in owner.items() if n == name}
            assert any(f"neighbor {a} remote-as {asn[name]}" in text[owner[peer]] for a in mine)


def test_metrics_are_the_links_delays_in_microseconds(exports: dict[str, Path]) -> None:
    text = (exports["longgang"] / "routers" / "lg-zhihui" / "frr.conf").read_text()
    assert " description lg-nanwan ge-1, 12 km\n" in text
    assert re.findall(r"isis metric (\d+)", text) == ["59", "88", "118"]  # 12, 18 and 24 km of fibre


def test_who_reflects_routes_stands_at_a_border_where_there_is_one() -> None:
    found = {d.name: reflectors_of(d) for d in load_city("longgang").ip.values()}
    assert found == {
        "city-ip": ["lg-zhihui", "lg-nanwan"],
        "district-ip": ["lg-longgang", "lg-henggang"],
        "compute-ip": ["lg-compute-a", "lg-compute-b"],
    }


@pytest.mark.parametrize("city", CITIES)
def test_every_file_that_a_node_binds_is_there_and_every_link_ends_at_a_node(
    exports: dict[str, Path], city: str
) -> None:
    document = topology(exports[city])["topology"]
    nodes = document["nodes"]
    for name, node in nodes.items():
        for bind in node["binds"]:
            assert (exports[city] / bind.partition(":")[0]).exists(), f"{name}: {bind}"
    ends = [e for link in document["links"] for e in link.get("endpoints", ())]
    ends += ["{node}:{interface}".format(**link["endpoint"]) for link in document["links"] if "endpoint" in link]
    assert len(ends) == len(set(ends))
    for node, _, interface in (e.partition(":") for e in ends):
        assert nodes[node]["image"] == images.FRR
        assert f"\ninterface {interface}" in (exports[city] / "routers" / node / "frr.conf").read_text()
    roles = {*load_city(city).ip, load_city(city).optical.name, "onecity", "prometheus", "grafana"}
    assert roles <= set(nodes)


def test_the_processes_of_the_containers_start_with_what_is_written(tmp_path: Path) -> None:
    """Each with its own command line, but for the place of the directory and, on a shared machine, the ports."""
    export_containerlab("longgang", tmp_path)
    nodes = topology(tmp_path)["topology"]["nodes"]
    lines = {n: node["cmd"] for n, node in nodes.items() if node["image"] == images.ONECITY}
    assert lines.pop("onecity") == f"onecity serve --config {MOUNT}/onecity.yaml"
    ready = {}
    running: list[subprocess.Popen[str]] = []
    try:
        for name, line in lines.items():
            words = shlex.split(re.sub(r"port \d+", "port 0", line.replace(MOUNT, str(tmp_path / "run"))))
            assert words[0] == "python"
            started = [sys.executable, *words[1:], "--watch-stdin"]
            running.append(subprocess.Popen(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            assert running[-1].stdout is not None
            ready[name] = json.loads(running[-1].stdout.readline())
    finally:
        for process in running:
            process.kill()
            process.communicate()
    assert all(said["ready"] for said in ready.values())
    assert set(ready) == {"plant", "city-ip", "district-ip", "compute-ip", "city-otn"}


def test_the_daemon_finds_every_domain_where_its_container_listens(exports: dict[str, Path]) -> None:
    path = exports["longgang"] / "run" / "onecity.yaml"
    settings = read_settings(path)
    nodes = topology(exports["longgang"])["topology"]["nodes"]
    told = yaml.safe_load(path.read_text())["domains"]
    for domain in told:
        ports = set(re.findall(r"port (\d+)", nodes[domain["name"]]["cmd"]))
        assert ports == {domain[end].rpartition(":")[2] for end in ("address", "telemetry")}
    assert {d["name"] for d in told} == {"city-ip", "district-ip", "compute-ip", "city-otn"}
    scraped = yaml.safe_load((exports["longgang"] / "monitoring" / "prometheus.yaml").read_text())
    targets = [t for job in scraped["scrape_configs"] for s in job["static_configs"] for t in s["targets"]]
    assert f"{settings.metrics.host}:{settings.metrics.port}" in targets


def test_what_stands_around_the_routers_listens_for_this_machine_only(exports: dict[str, Path]) -> None:
    nodes = topology(exports["longgang"])["topology"]["nodes"]
    assert all(p.startswith("127.0.0.1:") for node in nodes.values() for p in node.get("ports", ()))
    away = [n for n, node in nodes.items() if node["image"] != images.FRR and n != "plant"]
    assert all(nodes[n]["network-mode"] == "container:plant" for n in away)


def test_keys_and_passwords_are_their_owner_s_alone(exports: dict[str, Path]) -> None:
    secrets = list((exports["longgang"] / "run" / "secrets").iterdir())
    assert secrets
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in secrets)
    # Grafana's user reads its file through the mount; on this machine its directory is closed.
    assert stat.S_IMODE((exports["longgang"] / "monitoring").stat().st_mode) == 0o700


def test_every_image_is_pinned_in_one_place_and_the_same_everywhere(exports: dict[str, Path]) -> None:
    named = {v for k, v in vars(images).items() if k.isupper()}
    assert all(re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+", image) for image in named)
    nodes = topology(exports["longgang"])["topology"]["nodes"]
    assert {node["image"] for node in nodes.values()} == named
    compose = yaml.safe_load((ROOT / "lab" / "monitoring" / "compose.yaml").read_text())
    assert {s["image"] for s in compose["services"].values()} <= named
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"onecity:{version}" == images.ONECITY
    assert f"-t {images.ONECITY} " in (ROOT / "lab" / "containerlab" / "Dockerfile").read_text()


def test_the_image_is_made_from_all_that_the_package_is_built_from() -> None:
    text = (ROOT / "lab" / "containerlab" / "Dockerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for word in line.split()}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    named = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"], *packages}
    assert copied >= named | {"protos", "intents"}  # the last two by the build hook


def test_a_second_export_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    export_containerlab("longgang", tmp_path)
    (tmp_path / "routers" / "lg-buji" / "frr.conf").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    export_containerlab("longgang", tmp_path)
    assert "hostname lg-buji" in (tmp_path / "routers" / "lg-buji" / "frr.conf").read_text()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_directory_that_holds_something_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "routers").mkdir()
    (tmp_path / "routers" / "mine").write_text("mine")
    assert command(["export", "containerlab", "longgang", "--to", str(tmp_path)]) == 1
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "routers" / "mine").read_text() == "mine"


def test_a_city_that_is_misspelt_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["export", "containerlab", "longang"]) == 1
    assert capsys.readouterr().err == "onecity lab: no city 'longang'; did you mean longgang?\n"


def test_two_routers_with_one_id_are_a_mistake_that_is_told(tmp_path: Path) -> None:
    text = (ROOT / "lab" / "cities" / "longgang.yaml").read_text().replace("10.0.1.2,", "10.0.1.1,")
    (tmp_path / "twins.yaml").write_text(text)
    with pytest.raises(CityError, match=r"lg-nanwan: routerId 10\.0\.1\.1 is that of lg-zhihui too"):
        plan_addresses(load_city(str(tmp_path / "twins.yaml")))

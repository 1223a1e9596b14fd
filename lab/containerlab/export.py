"""`onecity lab export containerlab CITY`: writes a directory that containerlab can deploy.

    CITY.clab.yml     the topology
    delays.sh         gives its links their delays, once it stands
    routers/NAME/     FRR's configuration of each router
    monitoring/       Prometheus, Alertmanager and Grafana, as they are beside any controller
    run/              the city and onecity.yaml, with keys and passwords of this export alone

Everything but keys and passwords depends on the city file alone.
"""

from __future__ import annotations

import secrets
import shutil
from importlib.resources import files
from pathlib import Path

import yaml

from lab.city import City, CityError, city_file, load_city
from lab.containerlab.addresses import plan_addresses
from lab.containerlab.frr import DAEMONS, VTYSH, router_configuration
from lab.containerlab.topology import delays, endpoints, topology
from lab.credentials import make_credentials, write_known_hosts, write_private
from lab.inventory import configuration

LISTEN, METRICS = "127.0.0.1:50505", "127.0.0.1:9464"  # the latter is where the monitoring asks
_MONITORING = ("prometheus.yaml", "alertmanager.yaml", "rules/alerts.yaml", "rules/recording.yaml", "grafana")
_MARK = "monitoring/grafana.password"  # an export has it; what else lies in such a directory is not ours to replace


def export_containerlab(city_name: str, directory: Path) -> Path:
    """Write the export into `directory`, in place of an earlier one; return the topology file. Raises CityError."""
    city = load_city(city_name)
    if directory.exists() and any(directory.iterdir()) and not (directory / _MARK).is_file():
        raise CityError(f"{directory} holds something else; name an empty directory, or one of an earlier export")
    addresses = plan_addresses(city)
    document = topology(city, addresses)
    for room in ("routers", "monitoring", "run"):
        shutil.rmtree(directory / room, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    for node in (n for d in city.ip.values() for n in d.nodes):
        room_of = directory / "routers" / node.id
        room_of.mkdir(parents=True)
        (room_of / "frr.conf").write_text(router_configuration(city, node, addresses), encoding="utf-8")
        (room_of / "daemons").write_text(DAEMONS, encoding="utf-8")
        (room_of / "vtysh.conf").write_text(VTYSH, encoding="utf-8")
    _write_monitoring(directory / "monitoring")
    _write_run(city, city_name, directory / "run")
    script = directory / "delays.sh"
    script.write_text(delays(city), encoding="utf-8")
    script.chmod(0o755)
    path = directory / f"{city.name}.clab.yml"
    path.write_text(_yaml(document), encoding="utf-8")
    return path


def _write_monitoring(room: Path) -> None:
    """Copy what stands beside any controller, and give Grafana a password of its own."""
    room.mkdir(mode=0o700)  # closed to this machine's users; the containers' own see their mounts only
    ours = Path(str(files("lab").joinpath("monitoring")))
    for name in _MONITORING:
        copy = shutil.copytree if (ours / name).is_dir() else shutil.copyfile
        (room / name).parent.mkdir(exist_ok=True)
        copy(ours / name, room / name)
    shutil.copytree(ours / "dashboards", room / "dashboards")
    (room / "grafana.password").write_text(secrets.token_urlsafe(18))
    (room / "grafana.password").chmod(0o644)  # Grafana's user is not the owner


def _write_run(city: City, city_name: str, room: Path) -> None:
    make_credentials(room, list(city.ip))
    ports = endpoints(city)
    write_known_hosts(room, {d: p["netconf"] for d, p in ports.items() if "netconf" in p})
    shutil.copyfile(city_file(city_name), room / "city.yaml")
    write_private(room / "onecity.yaml", _yaml(configuration(city, ports, LISTEN, METRICS)).encode())


def _yaml(document: object) -> str:
    return yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)

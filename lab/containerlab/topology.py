"""The containerlab topology of a city: its routers and their links, and what stands around them.

Routers have the management network to themselves. The plant, the domain controllers, the daemon and the monitoring
share one network of their own (that of the plant's container), so that all they say stays on its loopback, as it does
where they run without containers; only what people look at is published, on the machine's own loopback.
"""

from __future__ import annotations

from typing import Any

from lab.city import City, CityError, IpNode
from lab.containerlab import images
from lab.containerlab.addresses import Addresses, every_link
from lab.containerlab.frr import delay_us, vrfs_of

FIRST_PORT = 20000  # of the domain controllers, inside the network that only they share
MOUNT = "/lab"
_SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv6.conf.all.disable_ipv6": 0,
    "net.ipv6.conf.all.forwarding": 1,
}


def lab_name(city: City) -> str:
    return f"onecity-{city.name}"


def container(city: City, node: str) -> str:
    """Return how containerlab calls a node's container."""
    return f"clab-{lab_name(city)}-{node}"


def endpoints(city: City) -> dict[str, dict[str, int]]:
    """Return where each domain controller listens: {"netconf" or "grpc": port, "gnmi": port} by domain."""
    found = {}
    for number, domain in enumerate((*city.ip, city.optical.name)):
        own = "grpc" if domain == city.optical.name else "netconf"
        found[domain] = {own: FIRST_PORT + 2 * number, "gnmi": FIRST_PORT + 2 * number + 1}
    return found


def topology(city: City, addresses: Addresses) -> dict[str, Any]:
    """Return the topology file as a document; raises CityError."""
    routers = {n.id: _router(city, n, addresses) for d in city.ip.values() for n in d.nodes}
    around = _around(city)
    if taken := sorted(set(routers) & set(around)):
        raise CityError(f"{taken[0]} is the name of a router and of what stands beside it; rename the router")
    links: list[dict[str, Any]] = [
        {"endpoints": [":".join(link.a), ":".join(link.z)]} for link in every_link(city)
    ]  # spare ports towards the OTN stay dark: no circuit stands on them
    for port in (p for d in city.ip.values() for p in d.ports if p.role == "access"):
        links.append({"type": "dummy", "endpoint": {"node": port.node, "interface": port.id}})
    return {"name": lab_name(city), "topology": {"nodes": {**routers, **around}, "links": links}}


def delays(city: City) -> str:
    """Return a shell script that gives every link the delay of its length, in both directions."""
    lines = ["#!/bin/sh", "# Gives every link the delay of its length; needs a kernel with netem.", "set -eu"]
    for link in every_link(city):
        for node, port in (link.a, link.z):
            where = f"-n {container(city, node)} -i {port}"
            lines.append(f"containerlab tools netem set {where} --delay {delay_us(link)}us")
    return "\n".join(lines) + "\n"


def _router(city: City, node: IpNode, addresses: Addresses) -> dict[str, Any]:
    room = f"routers/{node.id}"
    steps = ["sysctl -w net.mpls.platform_labels=1048575", "sysctl -w net.mpls.conf.lo.input=1"]
    for vrf in vrfs_of(city, node, addresses):
        steps += [f"ip link add {vrf.name} type vrf table {vrf.table}", f"ip link set {vrf.name} up"]
        steps += [f"ip link set {vrf.port} master {vrf.name}", f"sysctl -w net.mpls.conf.{vrf.name}.input=1"]
    names = ("frr.conf", "daemons", "vtysh.conf")
    return {
        "kind": "linux",
        "image": images.FRR,
        "group": node.domain,
        "labels": {"onecity-site": node.site},
        "binds": [f"{room}/{name}:/etc/frr/{name}" for name in names],
        "sysctls": dict(_SYSCTLS),
        "exec": steps,
    }


def _around(city: City) -> dict[str, Any]:
    nodes: dict[str, Any] = {"plant": _lab("plant", f"lab.plant.main --city {MOUNT}/city.yaml --dir {MOUNT}")}
    nodes["plant"]["ports"] = ["127.0.0.1:3000:3000", "127.0.0.1:9090:9090"]
    where = f"--city {MOUNT}/city.yaml --dir {MOUNT}"
    for domain, ports in endpoints(city).items():
        if domain == city.optical.name:
            line = f"lab.optical.main {where} --port {ports['grpc']}"
        else:
            line = f"lab.ip.main {where} --domain {domain} --netconf-port {ports['netconf']}"
        nodes[domain] = _beside_plant(_lab("domain-controllers", f"{line} --gnmi-port {ports['gnmi']}"))
    daemon = {"kind": "linux", "image": images.ONECITY, "group": "controller", "binds": [f"run:{MOUNT}"]}
    nodes["onecity"] = _beside_plant({**daemon, "cmd": f"onecity serve --config {MOUNT}/onecity.yaml"})
    nodes |= {name: _beside_plant(node) for name, node in _monitoring().items()}
    return nodes


def _lab(group: str, module: str) -> dict[str, Any]:
    line = f"python -m {module}"
    return {"kind": "linux", "image": images.ONECITY, "group": group, "binds": [f"run:{MOUNT}"], "cmd": line}


def _beside_plant(node: dict[str, Any]) -> dict[str, Any]:
    """Let a node stand in the plant's network, once that is there."""
    waiting = {"create": {"wait-for": [{"node": "plant", "stage": "create"}]}}
    return {**node, "network-mode": "container:plant", "stages": waiting}


def _monitoring() -> dict[str, dict[str, Any]]:
    room, prometheus, alertmanager = "monitoring", "/etc/prometheus", "/etc/alertmanager"
    grafana = "/etc/grafana/provisioning"
    return {
        "prometheus": {
            "kind": "linux",
            "image": images.PROMETHEUS,
            "group": "monitoring",
            "cmd": f"--config.file={prometheus}/prometheus.yaml --storage.tsdb.path=/prometheus",
            "binds": [
                f"{room}/prometheus.yaml:{prometheus}/prometheus.yaml:ro",
                f"{room}/rules:{prometheus}/rules:ro",
            ],
        },
        "alertmanager": {
            "kind": "linux",
            "image": images.ALERTMANAGER,
            "group": "monitoring",
            "cmd": f"--config.file={alertmanager}/alertmanager.yaml --storage.path=/alertmanager "
            "--web.listen-address=127.0.0.1:9093 --cluster.listen-address=",
            "binds": [f"{room}/alertmanager.yaml:{alertmanager}/alertmanager.yaml:ro"],
        },
        "grafana": {
            "kind": "linux",
            "image": images.GRAFANA,
            "group": "monitoring",
            "env": {
                "GF_SECURITY_ADMIN_PASSWORD__FILE": "/etc/grafana/password",
                "GF_ANALYTICS_REPORTING_ENABLED": "false",
            },
            "binds": [
                f"{room}/grafana.password:/etc/grafana/password:ro",
                f"{room}/grafana/datasources.yaml:{grafana}/datasources/onecity.yaml:ro",
                f"{room}/grafana/dashboards.yaml:{grafana}/dashboards/onecity.yaml:ro",
                f"{room}/dashboards:/var/lib/grafana/dashboards/onecity:ro",
            ],
        },
    }

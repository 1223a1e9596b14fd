"""The city as Mininet builds it: a switch a router, a switch and hosts a site, a cable a link, shaped to its rate.

Routers are Open vSwitch bridges in userspace that wait for their domain's OpenFlow process and forward nothing by
themselves (fail-mode secure); a site's own switch is an ordinary learning one. Circuits are cables too, which appear
and vanish with `light` and `darken`.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mininet.link import Link as Cable
from mininet.link import OVSLink
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import OVSBridge, OVSSwitch

from lab.city import PROPAGATION_S_PER_M, City
from lab.openflow import shaping
from lab.openflow.buffers import Buffers
from lab.openflow.names import Names
from lab.openflow.sandbox import PRIVATE, at_once

START_S = 10.0
UNPLUGGED_VLAN = 4094
_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Controller:
    """Where a switch finds its domain's OpenFlow process, in the words of Mininet."""

    name: str
    port: int
    protocol: str = "tcp"

    def IP(self) -> str:  # noqa: N802 – Mininet's name
        return "127.0.0.1"


class Router(OVSSwitch):  # type: ignore[misc]
    """A router of the city as a switch that only its domain's OpenFlow process programs."""

    def __init__(self, name: str, openflow_port: int, **params: Any) -> None:
        super().__init__(
            name, failMode="secure", datapath="user", protocols="OpenFlow13", batch=True, reconnectms=1000, **params
        )
        self._openflow = _Controller("c", openflow_port)

    def start(self, controllers: Sequence[Any]) -> None:
        super().start([self._openflow])


class SiteSwitch(OVSBridge):  # type: ignore[misc]
    """What a customer has on his own premises: VLANs to hosts, one trunk to the router."""

    def __init__(self, name: str, **params: Any) -> None:
        super().__init__(name, datapath="user", batch=True, **params)


class Fabric:
    """Switches, hosts and cables of one city. Rates are the city's times 1/scale."""

    def __init__(self, city: City, scale: int, hosts_per_site: int, logs: Path) -> None:
        self.city, self.scale, self.names = city, scale, Names(city)
        self._logs = logs
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.hosts: dict[str, Any] = {}
        self.site_hosts: dict[tuple[str, str], tuple[str, ...]] = {}  # router, access port → hosts
        self._partitions: dict[str, dict[int, float]] = {}
        self._rates: dict[str, float] = {}
        self._delays: dict[str, float] = {}
        self._up: dict[str, bool] = {}
        self._narrow: dict[str, float] = {}  # interface → the share of its rate that is left
        self._start_switching()
        self.net = self._wire(hosts_per_site)
        self.buffers.widen()

    def _start_switching(self) -> None:
        """Start a database and a switch daemon of our own; their sockets lie in the room, not on the machine."""
        os.environ["OVS_RUNDIR"] = os.environ["OVS_DBDIR"] = str(PRIVATE)
        subprocess.run(["ovsdb-tool", "create", str(PRIVATE / "conf.db"), _SCHEMA], check=True)
        database = ["ovsdb-server", str(PRIVATE / "conf.db"), f"--remote=punix:{PRIVATE}/db.sock", "--no-chdir"]
        self._daemon(database, "ovsdb")
        self._await(PRIVATE / "db.sock")
        settings = ["other_config:n-handler-threads=1", "other_config:n-revalidator-threads=1"]
        subprocess.run(["ovs-vsctl", "--no-wait", "init", "--", "set", "Open_vSwitch", ".", *settings], check=True)
        switching = [*at_once(), "ovs-vswitchd", f"unix:{PRIVATE}/db.sock", "--no-chdir"]
        self.buffers = Buffers(self._daemon(switching, "vswitchd").pid)

    def _daemon(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("ab") as log:
            self._daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return self._daemons[-1]

    @staticmethod
    def _await(path: Path) -> None:
        deadline = time.monotonic() + START_S
        while not path.exists():
            if time.monotonic() > deadline:
                raise RuntimeError(f"Open vSwitch's {path.name} was not there after {START_S:g} s")
            time.sleep(0.01)

    # ── building ────────────────────────────────────────────────────────────────────────────────────────────────

    def _wire(self, hosts_per_site: int) -> Any:
        setLogLevel("warning")
        Mininet.inited = True  # its own start would change limits of the whole machine
        net = Mininet(controller=None, build=False, autoSetMacs=False)
        routers = {}
        for domain in self.city.ip.values():
            for node in domain.nodes:
                number, openflow = self.names.number[node.id], self.names.openflow_port(domain.name)
                name = self.names.switch(node.id)
                routers[node.id] = net.addSwitch(name, cls=Router, openflow_port=openflow, dpid=f"{number:x}")
        for port in self.names.access_ports:
            site = net.addSwitch(self.names.site_switch(port), cls=SiteSwitch)
            trunk = self.names.interface(port.node, port.id)
            net.addLink(routers[port.node], site, cls=OVSLink, intfName1=trunk, intfName2=f"{site.name}-up")
            self.site_hosts[port.node, port.id] = self.names.hosts(port, hosts_per_site)
            for name in self.site_hosts[port.node, port.id]:
                host = self.hosts[name] = net.addHost(name, ip=None)
                net.addLink(host, site, cls=Cable, intfName1=f"{name}-e", intfName2=name)
        lines: list[str] = []
        for link in self._cables():
            a, z = (self.names.interface(*end) for end in (link.a, link.z))
            net.addLink(routers[link.a[0]], routers[link.z[0]], cls=Cable, intfName1=a, intfName2=z)
            for end in (a, z):
                lines += self._shape(end, link.rate_bps, link.length_m * PROPAGATION_S_PER_M)
        net.build()
        net.start()
        shaping.apply(lines)
        self._settle_hosts()
        return net

    def _cables(self) -> list[Any]:
        return [*(link for d in self.city.ip.values() for link in d.links), *self.city.borders]

    def _shape(self, interface: str, rate_bps: float, delay_s: float) -> list[str]:
        self._rates[interface] = rate_bps / self.scale
        self._delays[interface] = delay_s if shaping.kernel_delays() else 0.0
        self._partitions[interface], self._up[interface] = {}, True
        return shaping.port_lines(interface, self._rates[interface], {}, self._delays[interface])

    def _settle_hosts(self) -> None:
        """Turn off what veth pretends to do in hardware, and keep hosts to themselves until somebody plugs them in."""
        settings = [f"-- set port {name} tag={UNPLUGGED_VLAN}" for name in self.hosts]
        subprocess.run(" ".join(["ovs-vsctl", "--no-wait", *settings]).split(), check=True)
        for name, host in self.hosts.items():
            quiet = f"ethtool -K {name}-e tx off tso off gso off gro off >/dev/null 2>&1; ip link set {name}-e down"
            host.cmd(f"echo 0 > /proc/sys/net/ipv6/conf/{name}-e/accept_dad; {quiet}; ip link set lo up")

    # ── cables that come, go and break ──────────────────────────────────────────────────────────────────────────

    def light(self, a: tuple[str, str, int], z: tuple[str, str, int], rate_bps: float, delay_s: float) -> None:
        """Join two router ports (router, port, VLAN or 0) by a cable of this rate."""
        ends = [self.names.interface(*end) for end in (a, z)]
        _run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        ports = [["--", "add-port", self.names.switch(p[0]), e] for p, e in zip((a, z), ends, strict=True)]
        _run("ovs-vsctl", *(word for port in ports for word in port))
        # A switch clears the queues of an interface that it takes: they are cut after that, and then there is light.
        shaping.apply([line for end in ends for line in self._shape(end, rate_bps, delay_s)])
        for end in ends:
            _run("ip", "link", "set", end, "up")
        self.buffers.widen()

    def darken(self, a: tuple[str, str, int], z: tuple[str, str, int]) -> None:
        """Take the cable between two router ports away."""
        ends = [self.names.interface(*end) for end in (a, z)]
        _run("ovs-vsctl", "--no-wait", *(w for e in ends for w in ("--", "--if-exists", "del-port", e)))
        _run("ip", "link", "del", ends[0])
        for end in ends:
            for known in (self._rates, self._delays, self._partitions, self._up, self._narrow):
                known.pop(end, None)

    def set_links(self, states: Mapping[str, bool]) -> None:
        """Bring interfaces up or down, in one go."""
        changed = {i: up for i, up in states.items() if self._up.get(i, up) is not up}
        lines = [f"link set {i} {'up' if up else 'down'}" for i, up in changed.items()]
        if lines:
            subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)
            self._up.update(changed)

    def set_partitions(self, wanted: Mapping[str, Mapping[int, float]]) -> None:
        """Give ports their partitions (number → bit/s of the city); others keep theirs."""
        lines: list[str] = []
        for interface, partitions in wanted.items():
            if interface not in self._rates:
                continue
            left = self._narrow.get(interface, 1.0)
            new = {n: rate / self.scale * left for n, rate in partitions.items()}
            rate = self._rates[interface] * left
            lines += shaping.change_lines(interface, rate, self._partitions[interface], new, self._delays[interface])
            self._partitions[interface] = new
        shaping.apply(lines)

    def narrow(self, interface: str, rate_bps: float | None) -> None:
        """Have a port send no more than this (bit/s of the city), its partitions by the same share; None: heal it."""
        before = self._narrow.get(interface, 1.0)
        left = 1.0 if rate_bps is None else min(1.0, rate_bps / self.scale / self._rates[interface])
        self._narrow[interface] = left
        self._partitions[interface] = {n: r / before * left for n, r in self._partitions[interface].items()}
        shaping.apply(shaping.narrow_lines(interface, self._rates[interface] * left, self._partitions[interface]))

    # ── hosts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def plug(self, name: str, vlan: int, addresses: Sequence[str], gateways: Sequence[str], mtu: int = 1500) -> None:
        """Give a host a VLAN of its site's switch, its addresses and its ways out. The first address is its link's."""
        host, interface = self.hosts[name], f"{name}-e"
        subprocess.run(["ovs-vsctl", "--no-wait", "set", "port", name, f"tag={vlan}"], check=True)
        lines = [f"ip link set {interface} mtu {mtu} up", f"ip addr flush dev {interface} scope global"]
        lines += ["ip addr flush dev lo scope global", "echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce"]
        link = [a for a in addresses if not a.endswith(("/32", "/128"))]
        inner = [a for a in addresses if a not in link]
        lines += [f"ip addr add {a} dev {interface}{' nodad' if ':' in a else ''}" for a in link]
        lines += [f"ip addr add {a} dev lo" for a in inner]
        for gateway in gateways:
            six = ":" in gateway
            prefer = next((a.partition("/")[0] for a in inner if (":" in a) is six), "")
            source = f" src {prefer}" if prefer else ""
            lines.append(f"ip {'-6 ' if six else ''}route replace default via {gateway} dev {interface}{source}")
            # The kernel asks who the gateway is, and so the gateway learns at once who is here.
            lines.append(f"(ping -n -c 1 -W 1 {gateway} >/dev/null 2>&1 &)")
        said = host.cmd("; ".join(lines))
        if said.strip():
            _log.warning("%s: %s", name, said.strip())

    def unplug(self, name: str) -> None:
        subprocess.run(["ovs-vsctl", "--no-wait", "set", "port", name, f"tag={UNPLUGGED_VLAN}"], check=True)
        self.hosts[name].cmd(f"ip link set {name}-e down")

    def host_pids(self) -> dict[str, int]:
        return {name: int(host.pid) for name, host in self.hosts.items()}


def _run(*command: str) -> None:
    subprocess.run(command, check=True)

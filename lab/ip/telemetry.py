"""Measurements of the plant, put where a reader of the published models looks (RFC 9375), and on our own paths.

Our own, for what no model has: `/onecity-flow:accesses/access[vpn][access]/state/…`, `…/flows/flow[class][vpn]
[access]/state/…`, `…/hosts/host[vpn][address][direction]/state/…` (what one host of a class sends, and what it hears)
and `…/tunnels/tunnel[name]/state/throughput-bps`, in microseconds, ratios and bit/s.
A subject that the plant no longer measures disappears; a value that it leaves out is not made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.gnmi import JsonValue, TelemetryTree
from lab.gnmi.alarms import clear_alarm, raise_alarm, take_alarms
from lab.gnmi.paths import escape
from lab.ip.topology import DomainTopology

ACCESS_KEPT_S = 25.0  # two turns and a half of the slowest measurement: after that the access is gone
_MICROSECONDS = "ietf-lime-time-types:microseconds"
_NT, _TET = "ietf-network-topology", "ietf-te-topology"
_OWN_LEAVES = {
    "delay_s": ("delay-us", 1e6),
    "jitter_s": ("jitter-us", 1e6),
    "loss_ratio": ("loss-ratio", 1.0),
    "throughput_bps": ("throughput-bps", 1.0),
    "reachable": ("reachable", 1.0),
    "expected": ("expected", 1.0),
}
Values = Mapping[str, Any]


class IpTelemetry:
    """Writes samples and states into the tree; remembers which subjects it has written."""

    def __init__(self, tree: TelemetryTree, topology: DomainTopology) -> None:
        self._tree, self._topology = tree, topology
        self._networks = "/ietf-network:networks/network[network-id={}]"
        self._own = self._networks.format(escape(topology.domain.network_id))
        self._written: set[str] = set()  # leaves of the sample being taken
        self._accesses: dict[str, tuple[set[str], float]] = {}  # access → its leaves, and when it was measured
        self._octets: dict[str, float] = {}
        self._last_at: float | None = None
        self._tunnel_networks: dict[str, str] = {}

    # states

    def link_state(self, link: str, up: bool) -> None:
        self._status(f"{self._own}/{_NT}:link[link-id={escape(link)}]", up)
        self._alarm(f"link:{link}", "LINK_DOWN", "MAJOR", f"{link} is down", up)

    def link_gone(self, link: str) -> None:
        """Forget a link that is no longer configured: what is not there is not down."""
        self._tree.remove(f"{self._own}/{_NT}:link[link-id={escape(link)}]/{_TET}:te/oper-status")
        clear_alarm(self._tree, f"link:{link}", "LINK_DOWN")
        self._octets.pop(link, None)

    def node_state(self, node: str, up: bool) -> None:
        self._status(f"{self._own}/node[node-id=node:{escape(node)}]", up)
        self._alarm(f"node:node:{node}", "openconfig-alarm-types:EQPT", "CRITICAL", f"{node} does not answer", up)

    def alarms(self, told: Mapping[str, str]) -> None:
        """Take what equipment complains of by itself."""
        take_alarms(self._tree, told)

    def _alarm(self, resource: str, type_id: str, severity: str, text: str, up: bool) -> None:
        """Raise an alarm (openconfig-alarms) for what is down, and clear it with what is up again."""
        if up:
            clear_alarm(self._tree, resource, type_id)
        else:
            raise_alarm(self._tree, resource, type_id, severity, text)

    def port_state(self, node: str, port: str, up: bool) -> None:
        entry = f"{_NT}:termination-point[tp-id=tp:{escape(port)}]"
        self._status(f"{self._own}/node[node-id=node:{escape(node)}]/{entry}", up)

    def _status(self, holder: str, up: bool) -> None:
        self._tree.update(f"{holder}/{_TET}:te/oper-status", "up" if up else "down")

    # measurements

    def tunnels_measured_in(self, networks: Mapping[str, str]) -> None:
        """Learn which network (vpn:…) holds the measurements of each tunnel, by its configuration."""
        self._tunnel_networks = dict(networks)

    def samples(self, message: Values) -> None:
        """Take one second's samples."""
        at_ns = int(float(message["at"]) * 1e9)
        elapsed_s = 0.0 if self._last_at is None else max(0.0, float(message["at"]) - self._last_at)
        self._last_at = float(message["at"])
        before, self._written = self._written, set()
        for link, values in message.get("links", {}).items():
            self._link(link, values, elapsed_s, at_ns)
        for tunnel, values in message.get("tunnels", {}).items():
            self._tunnel(tunnel, values, at_ns)
        for flow, values in message.get("flows", {}).items():
            self._own_leaves(flow_path(flow), values, at_ns)
        for host, values in message.get("hosts", {}).items():
            wanted = {name: values[name] for name in ("delay_s", "jitter_s", "loss_ratio") if name in values}
            self._own_leaves(host_path(host), wanted, at_ns)
        for gone in before - self._written:
            self._tree.remove(gone)
        self._take_accesses(message.get("accesses", {}), at_ns)

    def _take_accesses(self, accesses: Mapping[str, Values], at_ns: int) -> None:
        """Write what was measured now; an access that is measured less often keeps its values for a while."""
        kept, now = self._written, at_ns / 1e9
        for access, values in accesses.items():
            before = self._accesses.get(access, (set[str](), 0.0))[0]
            self._written = set()
            self._own_leaves(access_path(access), values, at_ns)
            for gone in before - self._written:
                self._tree.remove(gone)
            self._accesses[access] = (self._written, now)
        self._written = kept
        for access in [a for a, (_, at) in self._accesses.items() if now - at > ACCESS_KEPT_S]:
            for gone in self._accesses.pop(access)[0]:
                self._tree.remove(gone)

    def _put(self, path: str, value: JsonValue, at_ns: int) -> None:
        self._written.add(path)
        self._tree.update(path, value, at_ns)

    def _link(self, link: str, values: Values, elapsed_s: float, at_ns: int) -> None:
        known = self._topology.source_of(link)
        if known is None:
            return  # written once, and gone since the sample was taken
        node, port = known
        if "throughput_bps" in values:
            self._octets[link] = self._octets.get(link, 0.0) + float(values["throughput_bps"]) * elapsed_s / 8
            entry = f"{_NT}:termination-point[tp-id={escape(port)}]"
            counters = f"{self._own}/node[node-id={escape(node)}]/{entry}/ietf-network-vpn-pm:pm-statistics"
            self._put(f"{counters}/outbound-octets", str(int(self._octets[link])), at_ns)
        holder = f"{self._own}/{_NT}:link[link-id={escape(link)}]/ietf-network-vpn-pm:perf-mon"
        self._statistics(holder, "pm-type-network-link", values, at_ns)

    def _tunnel(self, name: str, values: Values, at_ns: int) -> None:
        network = self._tunnel_networks.get(name) or _network_by_name(name)
        state = f"/ietf-te:te/tunnels/tunnel[name={escape(name)}]"
        if "up" in values:
            up_or_down = "up" if values["up"] else "down"
            self._put(f"{state}/operational-state", f"ietf-te-types:tunnel-state-{up_or_down}", at_ns)
        own = f"/onecity-flow:tunnels/tunnel[name={escape(name)}]"
        if "throughput_bps" in values:
            self._put(f"{own}/state/throughput-bps", values["throughput_bps"], at_ns)
        holder = self._networks.format(escape(network))
        link = f"{holder}/{_NT}:link[link-id=tunnel:{escape(name)}]/ietf-network-vpn-pm:perf-mon"
        self._statistics(link, "pm-type-vpn-tunnel", values, at_ns)

    def _statistics(self, holder: str, kind: str, values: Values, at_ns: int) -> None:
        """Write delay, jitter and loss as RFC 9375 has them: whole microseconds, percent with five decimals."""
        statistics = f"{holder}/pm[pm-type=ietf-network-vpn-pm:{kind}]/pm-attributes/one-way-pm-statistics"

        def put(leaf: str, value: JsonValue) -> None:
            self._put(f"{statistics}/{leaf}", value, at_ns)

        delay_s, jitter_s, loss = values.get("delay_s"), values.get("jitter_s"), values.get("loss_ratio")
        if delay_s is not None:
            spread_s = jitter_s or 0.0
            put("delay-statistics/unit-value", _MICROSECONDS)
            put("delay-statistics/min-delay-value", _us(values.get("least_delay_s", max(0.0, delay_s - spread_s))))
            put("delay-statistics/intermediate-delay-percentile", _us(delay_s))
            put("delay-statistics/high-delay-percentile", _us(delay_s + spread_s))
            put("delay-statistics/max-delay-value", _us(delay_s + spread_s))
        if jitter_s is not None:
            put("jitter-statistics/unit-value", _MICROSECONDS)
            put("jitter-statistics/high-jitter-percentile", _us(jitter_s))
            put("jitter-statistics/max-jitter-value", _us(jitter_s))
        if loss is not None:
            put("loss-statistics/loss-ratio", f"{100 * loss:.5f}")

    def _own_leaves(self, path: str, values: Values, at_ns: int) -> None:
        for name, value in values.items():
            leaf = _OWN_LEAVES.get(name)
            if leaf is not None and value is not None:
                scaled = value if leaf[1] == 1.0 else round(value * leaf[1], 3)
                self._put(f"{path}/state/{leaf[0]}", scaled, at_ns)


def access_path(subject: str) -> str:
    """`<vpn-id>/<access id>` as a path."""
    vpn, _, access = subject.partition("/")
    return f"/onecity-flow:accesses/access[vpn={escape(vpn)}][access={escape(access)}]"


def flow_path(subject: str) -> str:
    """`<class>@<vpn-id>/<access id>` as a path."""
    kind, _, rest = subject.partition("@")
    vpn, _, access = rest.partition("/")
    return f"/onecity-flow:flows/flow[class={escape(kind)}][vpn={escape(vpn)}][access={escape(access)}]"


def host_path(subject: str) -> str:
    """`<vpn-id>/<address>/<sent or heard>` as a path."""
    vpn, address, direction = subject.rsplit("/", 2)
    return f"/onecity-flow:hosts/host[vpn={escape(vpn)}][address={address}][direction={direction}]"


def _network_by_name(tunnel: str) -> str:
    """`slice/tenant.name/from-to` belongs to the VPN tenant.name, unless configuration says otherwise."""
    parts = tunnel.split("/")
    return f"vpn:{parts[1] if len(parts) > 2 else tunnel}"


def _us(seconds: float) -> str:
    return str(round(seconds * 1e6))

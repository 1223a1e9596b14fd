"""What is measured on real packets: counters of ports, and probes from access to access through the city.

A probe is an ordinary packet of the access that sends it – same VRF, class, meter, queue, path – but for one bit of
the frame's source address, by which the last router hands it to its OpenFlow process instead of the customer. That
one tells the sender's process when it arrived; one clock serves both, so the delay is one-way. The way from a process
to its switch and back is measured each second and taken off. Planes are probed by turns, slices and classes each
second; what a probe did not reach is counted as lost. Indicators are those of the modelled plant.
"""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any
from zlib import crc32

from lab.openflow import wire
from lab.openflow.compiler import Compiler, injection
from lab.openflow.domain import Domain
from lab.openflow.library import ofproto
from lab.openflow.names import Names
from lab.openflow.switch import Switch
from lab.plant.flows import DEFAULT_PORT, host_of, packets_of
from lab.plant.units import Access, Address

MAGIC = b"onecity-probe"
PLANE_TURNS = 10
PROBES = 5  # a second, of each pair or packet that is probed
MOST_PEERS, SAMPLED_PEERS = 50, 3
LATE_S = 0.9  # what has not come back by the next tick is lost
_ECHO = 0  # the number of a probe that only measures the way to the switch and back


@dataclass(slots=True)
class _Series:
    """The probes of one second of one access, class or pair."""

    expected: int = 0
    sent: dict[str, int] = field(default_factory=dict)  # peer → probes
    delays_s: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Responder:
    """A site access anywhere in the city."""

    domain: str
    name: str
    host: Address
    role: str


class Measuring:
    """Probes of one domain. All but the receiving of reports runs on the process's one thread."""

    def __init__(self, domain: Domain, names: Names, compiler: Compiler, scale: int) -> None:
        self._domain, self._names, self._compiler, self._scale = domain, names, compiler, scale
        self._responders: dict[str, dict[str, list[_Responder]]] = {}  # domain → VPN
        self._series: dict[tuple[str, str], _Series] = {}
        self._pending: dict[int, tuple[tuple[str, str], str, int]] = {}  # number → series, peer, when sent
        self._number = 0
        self._turn = 0
        self._echo_s: dict[str, float] = {}
        self._links: dict[str, dict[str, Any]] = {}
        self._octets: dict[str, tuple[float, int]] = {}
        self._reports = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told: dict[str, dict[str, Any]] = {"accesses": {}, "flows": {}}

    def start(self, heard: Callable[[int, int], None]) -> None:
        """Receive reports of our probes in a thread."""
        path = _reports_of(self._domain.name)
        path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(str(path))

        def run() -> None:
            while True:
                with contextlib.suppress(ValueError, TypeError):
                    number, at_ns = json.loads(receiver.recv(256))
                    heard(int(number), int(at_ns))

        threading.Thread(target=run, daemon=True, name="reports").start()

    # ── who answers ─────────────────────────────────────────────────────────────────────────────────────────────

    def follow(self) -> None:
        """Learn which of our accesses answer probes."""
        self._responders[self._domain.name] = {}
        for access, role in self._sites():
            mine = self._responders[self._domain.name].setdefault(access.vpn, [])
            mine.append(_Responder(self._domain.name, access.id, host_of(access), role))

    def _sites(self) -> Iterator[tuple[Access, str]]:
        for vrf in self._domain.vrfs():
            for access in vrf.accesses:
                if self._domain.is_site(access):
                    yield access, vrf.role

    def responders(self) -> dict[str, list[Any]]:
        mine = self._responders.get(self._domain.name, {})
        return {vpn: [[r.name, list(r.host), r.role] for r in found] for vpn, found in mine.items()}

    def hear_responders(self, domain: str, said: Mapping[str, list[Any]]) -> None:
        self._responders[domain] = {
            vpn: [_Responder(domain, str(n), (int(h[0]), int(h[1])), str(r)) for n, h, r in found]
            for vpn, found in said.items()
        }

    def accesses(self) -> list[dict[str, Any]]:
        """Return what a customer is told of each of our site accesses, so that he can plug in."""
        found = []
        for access, role in self._sites():
            found.append(
                {
                    "vpn": access.vpn,
                    "access": access.id,
                    "role": role,
                    "port": f"{access.node}/{access.port}",
                    "vlan": access.vlan,
                    "links": [[_text(c), s[1], _text(o)] for s, o, c in access.addresses if c is not None],
                    "lans": [f"{_text((p[0], p[2]))}/{p[1]}" for p, _ in access.lans],
                    "bandwidth_bps": access.in_bps,
                }
            )
        return found

    # ── probing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def probe(self, switches: Mapping[str, Switch]) -> None:
        """Send this second's probes."""
        self._turn = (self._turn + 1) % PLANE_TURNS
        self._series = {}
        every = list(self._sites())
        for access, role in every:
            switch = switches.get(access.node)
            if switch is None:
                continue
            if self._exclusive(access.vpn) or crc32(access.key.encode()) % PLANE_TURNS == self._turn:
                self._probe_access(switch, access, role)
            self._probe_classes(switch, access, [a for a, _ in every if a.vpn == access.vpn])
        for switch in switches.values():
            frame = wire.datagram(injection(0), (4, 0), (4, 0), wire.UDP, (9, 9), self._payload(_ECHO))
            switch.packet_out(frame, ofproto.OFPP_CONTROLLER)

    def _exclusive(self, vpn: str) -> bool:
        circuits = any(
            self._domain.role.get((a.node, a.port)) == "otn"
            for v in self._domain.vrfs()
            if v.key[1] == vpn
            for a in v.accesses
        )
        return circuits or any(t.split("/")[1] == vpn for t in self._domain.tunnels if t.startswith("slice/"))

    def _probe_access(self, switch: Switch, access: Access, role: str) -> None:
        peers = self._promised(access, role)
        series = self._series["accesses", access.key] = _Series(len(peers))
        where, packet = ("accesses", access.key), (wire.UDP, (DEFAULT_PORT, DEFAULT_PORT))
        for peer in peers:
            name = f"{peer.domain}|{peer.name}"
            self._send(switch, access, where, name, host_of(access), peer.host, *packet)
            series.sent[name] = PROBES

    def _promised(self, access: Access, role: str) -> list[_Responder]:
        others = [
            r
            for said in self._responders.values()
            for r in said.get(access.vpn, ())
            if (r.domain, r.name) != (access.domain, access.id) and r.host[0] == host_of(access)[0]
        ]
        others.sort(key=lambda r: (r.name, r.domain))
        hubs = [r for r in others if r.role == "hub-role"]
        if role == "spoke-role":
            return hubs
        if role == "hub-role":
            others = [r for r in others if r.role != "hub-role"]
        if len(others) <= MOST_PEERS:
            return others
        start = crc32(access.key.encode()) % len(others)
        return [others[(start + n * len(others) // SAMPLED_PEERS) % len(others)] for n in range(SAMPLED_PEERS)]

    def _probe_classes(self, switch: Switch, access: Access, sites: list[Access]) -> None:
        done: set[str] = set()
        for rule in access.rules:
            if rule.target in done or crc32(rule.target.encode()) % 2 == self._turn % 2:
                continue
            done.add(rule.target)
            packet = next(packets_of(access, rule, sites), None)
            if packet is None or not self._has_peer(access, packet.destination):
                continue
            where = ("flows", f"{rule.target}@{access.key}")
            series = self._series[where] = _Series(1)
            ports = (packet.source_port, packet.destination_port)
            self._send(switch, access, where, rule.target, packet.source, packet.destination, packet.protocol, ports)
            series.sent[rule.target] = PROBES

    def _has_peer(self, access: Access, destination: Address) -> bool:
        return destination[0] in {p[0] for p, _, _ in access.addresses}

    def _send(
        self,
        switch: Switch,
        access: Access,
        where: tuple[str, str],
        peer: str,
        source: Address,
        destination: Address,
        protocol: int,
        ports: tuple[int, int],
    ) -> None:
        mac = injection(self._compiler.access_number(access))
        for _ in range(PROBES):
            self._number += 1
            frame = wire.datagram(mac, source, destination, protocol, ports, self._payload(self._number))
            self._pending[self._number] = (where, peer, time.monotonic_ns())
            switch.packet_out(frame, ofproto.OFPP_TABLE)

    def _payload(self, number: int) -> bytes:
        return MAGIC + json.dumps([self._domain.name, number, time.monotonic_ns()]).encode()

    def arrived(self, switch: Switch, frame: bytes, at_ns: int) -> bool:
        """Take a packet that a switch handed over; return whether it was a probe."""
        payload = wire.payload_of(frame)
        if not payload.startswith(MAGIC):
            return False
        with contextlib.suppress(ValueError, OSError):
            origin, number, sent_ns = json.loads(payload[len(MAGIC) :].rstrip(b"\0"))
            if number == _ECHO:
                before, now = self._echo_s.get(switch.node), (at_ns - sent_ns) / 1e9
                self._echo_s[switch.node] = now if before is None else min(now, 0.9 * before + 0.1 * now)
            elif origin == self._domain.name:
                self.returned(number, at_ns)
            else:
                self._reports.sendto(json.dumps([number, at_ns]).encode(), str(_reports_of(origin)))
        return True

    def returned(self, number: int, at_ns: int) -> None:
        """Take the report that a probe of ours arrived."""
        known = self._pending.pop(number, None)
        if known is None:
            return
        where, peer, sent_ns = known
        series = self._series.get(where)
        if series is not None:
            series.delays_s.setdefault(peer, []).append((at_ns - sent_ns) / 1e9)

    # ── what comes of it ────────────────────────────────────────────────────────────────────────────────────────

    def samples(self) -> dict[str, Any]:
        """Return the indicators of the probes sent a tick ago, and of the ports."""
        self._pending.clear()
        out: dict[str, Any] = {"links": dict(self._links), "tunnels": self._tunnels(), "accesses": {}, "flows": {}}
        out["circuits"] = {}
        # Between a process and its switch a probe takes the way out once and the way in once, as an echo does.
        echo = statistics.fmean(self._echo_s.values()) if self._echo_s else 0.0
        for (kind, name), series in self._series.items():
            values = _fold(series, echo)
            if kind == "flows":
                self._told["flows"][name] = (values, time.monotonic())
            else:
                out[kind][name] = values
        fresh = time.monotonic() - 3.0
        self._told["flows"] = {n: v for n, v in self._told["flows"].items() if v[1] > fresh}
        out["flows"] = {n: v for n, (v, _) in self._told["flows"].items()}
        return out

    def _tunnels(self) -> dict[str, Any]:
        return {
            name: {"up": int(any(self._domain.path_up(p) for p in tunnel.paths))}
            for name, tunnel in self._domain.tunnels.items()
        }

    def counters(self, switch: Switch, counters: list[Any]) -> None:
        """Take a switch's port counters; rates are the city's again."""
        now, by_number = time.monotonic(), {number: name for name, (number, _) in switch.ports.items()}
        for port in counters:
            place = self._names.place(by_number.get(port.port_no, ""))
            link = self._domain.link_from.get((place.node, place.port)) if place is not None else None
            if link is None:
                continue
            before = self._octets.get(link.id)
            self._octets[link.id] = (now, port.tx_bytes)
            if not self._domain.link_up(link):
                self._links.pop(link.id, None)
            elif before is not None and port.tx_bytes >= before[1] and now > before[0]:
                rate = (port.tx_bytes - before[1]) * 8 / (now - before[0]) * self._scale
                self._links[link.id] = {"throughput_bps": rate}


def _fold(series: _Series, echo_s: float) -> dict[str, Any]:
    """Fold the peers of one access: the worst of what arrives, and how many do."""
    values: dict[str, Any] = {"expected": series.expected, "reachable": len(series.delays_s), "loss_ratio": 0.0}
    medians, spreads = [], []
    for peer, sent in series.sent.items():
        delays = series.delays_s.get(peer, [])
        values["loss_ratio"] = max(values["loss_ratio"], 1 - len(delays) / sent)
        if delays:
            medians.append(max(0.0, statistics.median(delays) - echo_s))
            spreads.append(statistics.pstdev(delays))
    if medians:
        values["delay_s"], values["jitter_s"] = max(medians), max(spreads)
    return values


def _reports_of(domain: str) -> Path:
    """Where a domain hears of its probes, seen from the run directory."""
    return Path(f"reports-{domain}.sock")


def _text(address: Address) -> str:
    return str(IPv4Address(address[1]) if address[0] == 4 else IPv6Address(address[1]))

"""Switches that are only imagined: they do with a packet what a program's rules say, as OpenFlow 1.3 has it.

So a test can say in a millisecond where a packet goes, without root and without Open vSwitch. Meters let all pass and
are counted; a bucket's port is alive unless its cable is cut; a switch never sends back where a packet came in, unless
told so with IN_PORT.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from lab.city import load_city
from lab.openflow.compiler import IN_PORT, Compiler, neighbour_key
from lab.openflow.domain import Domain
from lab.openflow.names import DEFAULT_SCALE, Names, gateway_mac
from lab.openflow.numbers import Numbers
from lab.openflow.program import Group, Program
from lab.plant.units import Access, Address

VLAN_PRESENT, HOPS = 0x1000, 30
LONGGANG = load_city("longgang")
NAMES = Names(LONGGANG)
Fields = dict[str, int]


def number(value: Any) -> int:
    return int(value.replace(":", ""), 16) if isinstance(value, str) else int(value)


def ipv4(source: str, target: str, vlan: int, *, udp: tuple[int, int] = (4000, 7000), **more: Any) -> Fields:
    """A datagram from a customer to his router; `more`: other fields, or others' values for these."""
    fields = {"eth_type": 0x0800, "ipv4_src": int(ip_address(source)), "ipv4_dst": int(ip_address(target))}
    fields |= {"ip_proto": 17, "udp_src": udp[0], "udp_dst": udp[1], "ip_dscp": 0, "ttl": 64, "metadata": 0}
    fields |= {"eth_src": number("02:99:00:00:00:01"), "vlan_vid": VLAN_PRESENT | vlan if vlan else 0}
    return fields | {name: number(value) for name, value in more.items()}


@dataclass(frozen=True)
class Arrival:
    """A packet that leaves the network: where, and how it looks then.

    nodes: the routers that it passed. between: the source address that its frame had on each link between two of them.
    met: the meters that it, and copies of it, were counted by.
    """

    node: str
    port: str
    packet: Fields
    nodes: tuple[str, ...]
    between: tuple[int, ...]
    met: Mapping[tuple[str, int], int]


class ImaginedCity:
    """All domains of Longgang, compiled as their OpenFlow processes would, with every neighbour's address known."""

    def __init__(self, room: Path, units: Mapping[str, Mapping[str, Any]]) -> None:
        self.domains = {name: Domain(LONGGANG, name) for name in LONGGANG.ip}
        self.numbers = {name: Numbers(room / f"{name}.json") for name in self.domains}
        self.compilers = {
            name: Compiler(domain, NAMES, self.numbers[name], DEFAULT_SCALE) for name, domain in self.domains.items()
        }
        ports = [p for d in LONGGANG.ip.values() for p in d.ports if p.role != "otn"]
        self.ports = {(p.node, p.id, 0): n for n, p in enumerate(ports, 1)}
        self.port_of = {(p.node, n): p.id for n, p in enumerate(ports, 1)}
        self.far = {link.source: link.destination for d in self.domains.values() for link in d.links.values()}
        self.programs: dict[str, Program] = {}
        for name, put in units.items():
            self.domains[name].configure(put, (), replace=False)
        self.compile()

    def compile(self) -> None:
        """Teach neighbours what each reaches until nobody learns more, then program every switch."""
        for _ in self.domains:
            for domain in self.domains.values():
                domain.settle()
                for other in self.domains.values():
                    said = domain.adverts() if other is not domain else {}
                    other.heard |= {place: advert for place, advert in said.items() if place[0] in other.nodes}
        for name, domain in self.domains.items():
            domain.settle()
            for access in (a for v in domain.vrfs() for a in v.accesses):
                for wanted in neighbours(access):
                    self.numbers[name].macs[neighbour_key(access, wanted)] = self._mac(access)
            self.programs |= self.compilers[name].programs(self.ports)

    def _mac(self, access: Access) -> str:
        far = self.far.get((access.node, access.port))
        return (
            gateway_mac(NAMES.number[far[0]])
            if far
            else f"02:99:00:00:01:{self.ports[access.node, access.port, 0]:02x}"
        )

    def cut(self, node: str, port: str) -> None:
        """Make a cable dark at both ends."""
        for place in ((node, port), self.far[node, port]):
            for domain in self.domains.values():
                if place[0] in domain.nodes:
                    domain.down.add((*place, 0))

    def dark(self, node: str, port: int) -> bool:
        return any((node, self.port_of[node, port], 0) in d.down for d in self.domains.values())

    # ── packets ─────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, node: str, port: str, packet: Fields) -> list[Arrival]:
        """Hand a packet to a router's port as a customer would; return where it, or copies of it, come out."""
        start = {"eth_dst": number(gateway_mac(NAMES.number[node])), **packet}
        arrivals: list[Arrival] = []
        met: Counter[tuple[str, int]] = Counter()
        under_way: list[tuple[str, str, Fields, tuple[str, ...], tuple[int, ...]]] = [(node, port, start, (node,), ())]
        while under_way:
            at, came_in, fields, nodes, between = under_way.pop()
            assert len(nodes) < HOPS, f"it goes round: {nodes}"
            came = {**fields, "in_port": self.ports[at, came_in, 0], "metadata": 0}
            for out, left in Switch(self, at, met).run(came):
                here = (at, self.port_of[at, out])
                if here in self.far:
                    if not self.dark(at, out):
                        far = self.far[here]
                        under_way.append((*far, left, (*nodes, far[0]), (*between, left["eth_src"])))
                else:
                    arrivals.append(Arrival(*here, left, nodes, between, met))
        return [replace(a, met=dict(met)) for a in arrivals]


def neighbours(access: Access) -> list[Address]:
    """Return whoever an access hands packets to."""
    found = [customer for _, _, customer in access.addresses if customer is not None]
    found += [hop for _, hop in access.lans]
    return [*found, access.bgp.neighbor] if access.bgp is not None and access.bgp.neighbor is not None else found


class Switch:
    """One packet's way through one switch."""

    def __init__(self, city: ImaginedCity, node: str, met: Counter[tuple[str, int]]) -> None:
        self.city, self.node, self.program, self.met = city, node, city.programs[node], met
        self.out: list[tuple[int, Fields]] = []

    def run(self, packet: Fields) -> list[tuple[int, Fields]]:
        """Return (port, packet) of everything that is sent."""
        table: int | None = 0
        while table is not None:
            rules = [r for r in self.program.rules if r[0] == table and matches(r[2], packet)]
            if not rules:
                break  # what matches nothing is dropped
            best = max(rules, key=lambda r: r[1])
            assert [r for r in rules if r[1] == best[1]] == [best], f"two rules of one priority match: {rules}"
            here, table = table, None
            for step in self.program.rules[best]:
                if step[0] == "goto":
                    assert step[1] > here
                    table = step[1]
                elif step[0] == "metadata":
                    packet["metadata"] = packet["metadata"] & ~step[2] | step[1]
                elif step[0] == "meter":
                    self.met[self.node, step[1]] += 1
                else:
                    self._act(step[1], packet)
        return self.out

    def _act(self, actions: tuple[Any, ...], packet: Fields) -> None:
        for action in actions:
            kind = action[0]
            if kind == "set":
                packet[action[1]] = number(action[2])
            elif kind == "load":
                _, name, start, bits, value = action
                mask = ((1 << bits) - 1) << start
                packet[name] = packet[name] & ~mask | value << start
            elif kind == "pop_vlan":
                packet["vlan_vid"] = 0
            elif kind == "dec_ttl":
                packet["ttl"] -= 1
            elif kind == "group":
                self._group(self.program.groups[action[1]], dict(packet))
            elif kind == "output":
                self._output(action[1], packet)
            else:
                assert kind in ("push_vlan", "controller"), kind

    def _group(self, group: Group, packet: Fields) -> None:
        living = next((steps for port, steps in group.buckets if not self.city.dark(self.node, port)), ())
        self._act(living, packet)

    def _output(self, port: int, packet: Fields) -> None:
        if port == IN_PORT:
            self.out.append((packet["in_port"], dict(packet)))
        elif port != packet["in_port"]:
            self.out.append((port, dict(packet)))


def matches(match: tuple[tuple[str, Any], ...], packet: Fields) -> bool:
    for name, wanted in match:
        if name not in packet:
            return False
        if isinstance(wanted, tuple):
            value, mask = map(number, wanted)
            if packet[name] & mask != value & mask:
                return False
        elif packet[name] != number(wanted):
            return False
    return True

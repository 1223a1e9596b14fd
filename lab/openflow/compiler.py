"""From a domain's state to what each of its switches holds; the same state always gives the same programs.

A packet from a site: INGRESS finds its access by port and VLAN, SOURCE drops it unless it comes from where that access
says, CLASS sorts and meters it, ROUTES looks up its VRF's table, TRANSPORT picks tunnel or shortest path, a group sends
it off under a path label. Routers between look at LABELS only. The last one looks up the VRF that the frame names
(FAR) and hands the packet to a neighbour whose address is known (NEIGHBOURS). What matches nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.openflow import frames
from lab.openflow.domain import Domain
from lab.openflow.groups import Forks
from lab.openflow.names import Names, gateway_mac
from lab.openflow.numbers import Numbers
from lab.openflow.program import (
    ACCESS_MASK,
    ACCESS_SHIFT,
    CLASS,
    CLASS_MASK,
    CLASS_SHIFT,
    FAR,
    INGRESS,
    LABELS,
    MARK,
    MEASURED_BIT,
    NEIGHBOURS,
    ROUTES,
    SOURCE,
    TARGET_MASK,
    TARGET_SHIFT,
    TRANSPORT,
    VRF_MASK,
    Action,
    Instruction,
    Meter,
    Program,
    apply,
    goto,
    metadata,
)
from lab.openflow.rules import rule_matches
from lab.plant.routes import Route, VrfKey
from lab.plant.units import Access, Address, Prefix, Vrf

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
VLAN_PRESENT = 0x1000
IN_PORT, CONTROLLER_PORT = 0xFFFF_FFF8, 0xFFFF_FFFD
PUNT_METER, PUNT = 1, Meter(400, 400)  # what a switch may ask its OpenFlow process
BURST_S, LEAST_BURST_KBIT = 0.2, 50
_IP = {4: IPV4, 6: IPV6}
_DST, _SRC = {4: "ipv4_dst", 6: "ipv6_dst"}, {4: "ipv4_src", 6: "ipv6_src"}
Ports = Mapping[tuple[str, str, int], int]  # router, port, VLAN or 0 → OpenFlow port


class Compiler:
    """Compiles one domain. `scale`: how many bit/s of the city are one among packets."""

    def __init__(self, domain: Domain, names: Names, numbers: Numbers, scale: int) -> None:
        self.domain, self.names, self.numbers, self.scale = domain, names, numbers, scale
        self._ports: Ports = {}
        self._programs: dict[str, Program] = {}

    def programs(self, ports: Ports, keep: bool = False) -> dict[str, Program]:
        """Return router → program. `keep`: not all is known yet, so that no number is forgotten."""
        self._ports = ports
        self.numbers.begin()
        self._programs = {node: Program(meters={PUNT_METER: PUNT}) for node in self.domain.nodes}
        forks = Forks(self.domain, self.numbers, ports, self._programs)
        vrfs = {v.key: v for v in self.domain.vrfs()}
        for node in self.domain.nodes:
            self._frame(node)
        forks.shortest_paths()
        for vrf in vrfs.values():
            for access in vrf.accesses:
                self._access(vrf, access)
            self._routes(vrf)
            forks.steering(vrf, self._vrf_number(vrf.key), self._class_number)
        if not keep:
            self.numbers.retain()
        return self._programs

    def fork_programs(self, ports: Ports) -> dict[str, Program]:
        """Return only groups, quickly: all that has to change when a link goes down inside the domain."""
        found = {node: Program() for node in self.domain.nodes}
        forks = Forks(self.domain, self.numbers, ports, found)
        forks.shortest_paths()
        for vrf in self.domain.vrfs():
            forks.steering(vrf, self._vrf_number(vrf.key), self._class_number)
        return found

    # ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _vrf_number(self, key: VrfKey) -> int:
        return self.numbers.of("vrf", *key)

    def access_number(self, access: Access) -> int:
        return self.numbers.of("access", access.node, access.vpn, access.id)

    def _class_number(self, node: str, target: str) -> int:
        return self.numbers.of(f"class|{node}", target)

    def neighbour_number(self, access: Access, address: Address) -> int:
        return self.numbers.of(f"neighbour|{access.node}", access.vpn, access.id, *address)

    def port(self, access: Access) -> tuple[int, bool] | None:
        """Return an access's OpenFlow port and whether it carries only this VLAN, None where it does not exist."""
        own = self._ports.get((access.node, access.port, access.vlan)) if access.vlan else None
        if own is not None:
            return own, True
        shared = self._ports.get((access.node, access.port, 0))
        return (shared, False) if shared is not None else None

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _frame(self, node: str) -> None:
        """What a router holds whoever its customers are."""
        program = self._programs[node]
        program.add(MARK, 1, {}, goto(ROUTES))
        bit = apply(("load", "eth_src", 43, 1, 1))  # MEASUREMENT_BIT
        program.add(MARK, 2, {"metadata": (MEASURED_BIT, MEASURED_BIT)}, bit, goto(ROUTES))
        labelled = {"eth_dst": (frames.mac(frames.LABEL_BASE), frames.mac(frames.SOURCE_KIND_MASK))}
        for link in self.domain.inner:
            port = self._ports.get((*link.source, 0))
            if link.source[0] == node and port is not None:
                program.add(INGRESS, 10, {"in_port": port, **labelled}, goto(LABELS))

    def _access(self, vrf: Vrf, access: Access) -> None:
        place = self.port(access)
        if place is None:
            return
        program, number = self._programs[access.node], self.access_number(access)
        value = self._vrf_number(vrf.key) | number << ACCESS_SHIFT
        tagged = access.vlan and not place[1]
        here = {"in_port": place[0], "vlan_vid": VLAN_PRESENT | access.vlan if tagged else 0}
        strip = (apply(("pop_vlan",)),) if tagged else ()
        ours = {"eth_dst": gateway_mac(self.names.number[access.node])}
        mask = VRF_MASK | ACCESS_MASK
        program.add(INGRESS, 20, {**here, **ours}, *strip, metadata(value, mask), goto(SOURCE))
        if not self.domain.is_site(access):
            kind = (frames.mac(frames.SOURCE_BASE | frames.MEASUREMENT_BIT), frames.mac(frames.SOURCE_KIND_MASK))
            measured = metadata(value | MEASURED_BIT, mask | MEASURED_BIT)
            program.add(INGRESS, 25, {**here, **ours, "eth_src": kind}, *strip, measured, goto(SOURCE))
        self._ask(program, here, access)
        injected = {"in_port": CONTROLLER_PORT, "eth_src": injection(number)}
        program.add(INGRESS, 30, injected, metadata(value | MEASURED_BIT, mask | MEASURED_BIT), goto(CLASS))
        self._sources(program, access, number)
        self._classes(program, access, number)

    def _ask(self, program: Program, here: Mapping[str, Any], access: Access) -> None:
        """Questions for hardware addresses go to the OpenFlow process, at a bounded rate."""
        punt = (("meter", PUNT_METER), apply(("controller",)))
        families = {ours[0] for _, ours, _ in access.addresses}
        if 4 in families:
            program.add(INGRESS, 40, {**here, "eth_type": ARP}, *punt)
        if 6 in families:
            for kind in (135, 136):
                program.add(INGRESS, 40, {**here, "eth_type": IPV6, "ip_proto": 58, "icmpv6_type": kind}, *punt)

    def _sources(self, program: Program, access: Access, number: int) -> None:
        """A site sends from its own prefixes only; what a neighbour router passes on was checked where it came in."""
        where = {"metadata": (number << ACCESS_SHIFT, ACCESS_MASK)}
        if not self.domain.is_site(access):
            program.add(SOURCE, 10, where, goto(CLASS))
            return
        for prefix in (*(s for s, _, _ in access.addresses), *(lan for lan, _ in access.lans)):
            program.add(SOURCE, 10, {**where, **towards(_SRC, prefix)}, goto(CLASS))

    def _classes(self, program: Program, access: Access, number: int) -> None:
        where, router = {"metadata": (number << ACCESS_SHIFT, ACCESS_MASK)}, self.names.number[access.node]
        entry = self.domain.is_site(access)  # metered once, where it enters the city
        for position, rule in enumerate(access.rules):
            action, target = access.actions.get(rule.target), self._class_number(access.node, rule.target)
            queue = min(max(action.queue, 0), 7) if action is not None else 0
            steps: list[Instruction] = []
            rate = _class_rate(access, rule.target)
            if entry and rate is not None:
                steps.append(("meter", self._meter(program, rate, access, rule.target)))
            marks: list[Action] = [("set", "eth_src", frames.source(queue, router))]
            if action is not None and action.dscp is not None:
                marks.append(("set", "ip_dscp", action.dscp))
            steps += [apply(*marks), metadata(target << CLASS_SHIFT, CLASS_MASK), goto(MARK)]
            for match in rule_matches(rule):
                program.add(CLASS, max(2, 60_000 - position), {**where, **match}, *steps)
        rest: list[Instruction] = [apply(("set", "eth_src", frames.source(0, router))), goto(MARK)]
        if entry and access.in_bps:
            rest.insert(0, ("meter", self._meter(program, access.in_bps, access, "")))
        program.add(CLASS, 1, where, *rest)

    def _meter(self, program: Program, rate_bps: float, access: Access, target: str) -> int:
        number = self.numbers.of(f"meter|{access.node}", access.vpn, access.id, target, first=PUNT_METER + 1)
        kbps = max(1, round(rate_bps / self.scale / 1000))
        program.meters[number] = Meter(kbps, max(LEAST_BURST_KBIT, round(kbps * BURST_S)))
        return number

    # ── through ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _routes(self, vrf: Vrf) -> None:
        node, key = vrf.key[2], vrf.key
        program, number = self._programs[node], self._vrf_number(key)
        for prefix, route in self.domain.tables.full.get(key, {}).items():
            where = {"metadata": (number, VRF_MASK)}
            if route.vrf[2] != node:
                egress = self.numbers.of("router", route.vrf[2])
                send = apply(("dec_ttl",), ("set", "eth_dst", frames.label(0, self._vrf_number(route.vrf))))
                towards_router = metadata(egress << TARGET_SHIFT, TARGET_MASK)
                match = {**where, **towards(_DST, prefix)}
                program.add(ROUTES, 100 + prefix[1], match, send, towards_router, goto(TRANSPORT))
                continue
            for exact, neighbour in self._ends(prefix, route):
                match = {**where, **towards(_DST, exact)}
                program.add(ROUTES, 100 + exact[1], match, apply(("dec_ttl",)), *_hand_to(neighbour))
        for prefix, route in self.domain.tables.own.get(key, {}).items():
            for exact, neighbour in self._ends(prefix, route):
                match = {"eth_dst": (frames.mac(number), frames.mac(VRF_MASK)), **towards(_DST, exact)}
                program.add(FAR, 100 + exact[1], match, *_hand_to(neighbour))

    def _ends(self, prefix: Prefix, route: Route) -> Iterable[tuple[Prefix, int]]:
        """Return (prefix, neighbour) of a route by an access of this router; a subnet has its customers only."""
        access = route.access
        if route.next_hop is not None:
            self._deliver(access, route.next_hop)
            return [(prefix, self.neighbour_number(access, route.next_hop))]
        found = []
        for subnet, _, customer in access.addresses:
            if subnet == prefix and customer is not None:
                self._deliver(access, customer)
                exact = (customer[0], 32 if customer[0] == 4 else 128, customer[1])
                found.append((exact, self.neighbour_number(access, customer)))
        return found

    def _deliver(self, access: Access, address: Address) -> None:
        """Say how packets reach a neighbour, once it has answered for its address."""
        place, mac = self.port(access), self.numbers.macs.get(neighbour_key(access, address))
        if place is None:
            return
        program, number = self._programs[access.node], self.neighbour_number(access, address)
        where = {"metadata": (number << TARGET_SHIFT, TARGET_MASK)}
        site = self.domain.is_site(access)
        if site:
            kind = (frames.mac(frames.SOURCE_BASE | frames.MEASUREMENT_BIT), frames.mac(frames.SOURCE_KIND_MASK))
            program.add(NEIGHBOURS, 30, {**where, "eth_src": kind}, apply(("controller",)))
        if mac is None:
            return
        own = ("set", "eth_src", gateway_mac(self.names.number[access.node]))
        steps: list[Action] = [own if site else ("load", "eth_src", frames.PARTITION_SHIFT, 16, 0)]
        steps.append(("set", "eth_dst", mac))
        if access.vlan and not place[1]:
            steps += [("push_vlan",), ("set", "vlan_vid", VLAN_PRESENT | access.vlan)]
        program.add(NEIGHBOURS, 10, where, apply(*steps, ("output", place[0])))
        if site:  # from one customer of a port to another of the same: a switch sends back only if told so
            program.add(NEIGHBOURS, 20, {**where, "in_port": place[0]}, apply(*steps, ("output", IN_PORT)))


def injection(access: int) -> str:
    """The source address under which the OpenFlow process hands a measurement to an access."""
    return frames.mac(frames.SOURCE_BASE | frames.MEASUREMENT_BIT | access)


def neighbour_key(access: Access, address: Address) -> str:
    return f"{access.node}|{access.port}|{access.vlan}|{address[0]}|{address[1]}"


def towards(field: Mapping[int, str], prefix: Prefix) -> dict[str, Any]:
    """Match a prefix as source or destination."""
    version, length, network = prefix
    bits = 32 if version == 4 else 128
    mask = ((1 << length) - 1) << (bits - length)
    return {"eth_type": _IP[version], field[version]: (network, mask)} if length else {"eth_type": _IP[version]}


def _hand_to(neighbour: int) -> tuple[Instruction, Instruction]:
    return metadata(neighbour << TARGET_SHIFT, TARGET_MASK), goto(NEIGHBOURS)


def _class_rate(access: Access, target: str) -> float | None:
    action = access.actions.get(target)
    if action is None:
        return None
    if action.committed_bps is not None:
        return float(action.committed_bps)
    if action.inbound_percent is not None:
        return access.in_bps * action.inbound_percent / 100
    return None

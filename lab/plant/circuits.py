"""Circuits as the equipment carries them: which leg works, how long it takes, and why one is dark.

Two circuits that claim one channel or slot spoil each other. A route that does not join up, a slot list of the
wrong length, a busy client port: dark. Nothing trusts that the domain controller checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import hypot
from typing import Any, NamedTuple

from lab.city import PROPAGATION_S_PER_M, City, Fibre, OduLink
from lab.optical.containers import slots_needed
from lab.plant.light import margin_db, pre_fec_ber
from lab.plant.receivers import (
    DETOUR_DB_M,
    DISPERSION_PS_NM_M,
    least_dbm,
    power_penalty_db,
    received_dbm,
    uncorrected,
)

OTN_SWITCH_S, ROADM_S, TRANSPONDERS_S, AMPLIFIER_S = 10e-6, 0.5e-6, 10e-6, 0.1e-6
AMPLIFIER_SPAN_M = 80_000
WAVELENGTH = "LAYER_WAVELENGTH"
Claim = tuple[str, str, int]


class Strain(NamedTuple):
    """What faults do to a fibre, or to a wavelength by itself: its line card, its patch cord, a way of its own."""

    loss: float = 0.0  # of blocks
    delay_s: float = 0.0
    light_db: float = 0.0
    longer_m: int = 0
    jitter_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CircuitLeg:
    route: tuple[str, ...]
    channel: int
    slots: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Circuit:
    id: str
    a: tuple[str, int]  # client port ("" for an ODU server), VLAN (0: whole port)
    z: tuple[str, int]
    layer: str
    rate_bps: int
    odu: str
    mode: str
    legs: tuple[CircuitLeg, ...]  # working, then protect

    def claims(self) -> Iterator[Claim]:
        """Every claim of every leg, repeated where the circuit spoils itself."""
        for port, vlan in (self.a, self.z):
            if port:
                yield "port", port, vlan
        for leg in self.legs:
            if self.layer == WAVELENGTH:
                yield from (("channel", hop, leg.channel) for hop in leg.route)
            else:
                for hop, slots in zip(leg.route, leg.slots, strict=False):
                    yield from (("slot", hop, slot) for slot in slots)


@dataclass(frozen=True, slots=True)
class CircuitState:
    up: bool
    active: str  # "working" | "protect" | "none"
    latency_s: float = 0.0
    margin_db: float | None = None
    ber: float | None = None
    loss: float = 0.0
    reason: str = ""
    fibres: tuple[str, ...] = ()
    rx_dbm: float | None = None
    dispersion_ps_nm: float | None = None
    jitter_s: float = 0.0

    def wire(self) -> dict[str, Any]:
        return {"up": self.up, "active": self.active, "latency_s": self.latency_s, "margin_db": self.margin_db}


def read_circuit(doc: Mapping[str, Any]) -> Circuit:
    """Read the protobuf JSON of a CircuitSpec."""

    def end(name: str) -> tuple[str, int]:
        value = doc.get(name) or {}
        return str(value.get("port", "")), int(value.get("vlan", 0))

    legs = tuple(
        CircuitLeg(
            tuple(leg.get("route", ())),
            int(leg.get("channel", 0)),
            tuple(tuple(int(s) for s in hop.get("slots", ())) for hop in leg.get("slots", ())),
        )
        # What is held for shared restoration is dark, and nothing switches to it.
        for leg in (doc.get("working"), None if doc.get("protect_shared") else doc.get("protect"))
        if leg
    )
    rate = int(doc.get("rate_bps", 0))
    layer, odu, mode = str(doc.get("layer", "")), str(doc.get("odu", "")), str(doc.get("mode", ""))
    return Circuit(str(doc["id"]), end("a"), end("z"), layer, rate, odu, mode, legs)


class Circuits:
    """All circuits with their states. `fibre_up`, `node_up`, `strain` (of a fibre or a wavelength) are the faults."""

    def __init__(
        self,
        city: City,
        fibre_up: Callable[[str], bool],
        node_up: Callable[[str], bool],
        strain: Callable[[str], Strain],
    ) -> None:
        self._fibre_up, self._node_up, self._strain = fibre_up, node_up, strain
        self._fibres: dict[str, Fibre] = {f.id: f for f in city.optical.fibres}
        self.odu_links: dict[str, OduLink] = {link.id: link for link in city.optical.odu_links}
        self._port_node = {p.id: p.node for p in city.optical.client_ports}
        self.failed: set[str] = set()  # circuits whose line card is broken
        self.stuck: dict[str, bool] = {}  # circuits and tunnels whose switch stays on the first way → whether unnoticed
        self._claims: dict[Claim, list[str]] = {}
        self._at_port: dict[str, set[str]] = {}
        self.specs: dict[str, Circuit] = {}
        self.states: dict[str, CircuitState] = {}
        self.pairs_of: dict[str, set[str]] = {}  # VPN → "a-z" of its circuits, from their ids
        for c in city.optical.circuits:
            leg = CircuitLeg(c.route, c.channel, ())
            mode = "100G QPSK oFEC"
            self._add(Circuit(c.id, (c.a_port, 0), (c.z_port, 0), WAVELENGTH, c.rate_bps, "ODU4", mode, (leg,)))
        self.infrastructure = frozenset(self.specs)
        self.refresh(self.specs)

    def change(self, put: Mapping[str, Circuit], drop: set[str]) -> set[str]:
        """Take changed circuits; return the ids of all whose state may be different now."""
        touched: set[str] = set()
        for circuit in (drop | put.keys()) - self.infrastructure:
            touched |= self._remove(circuit)
        for spec in put.values():
            if spec.id not in self.infrastructure:
                touched |= self._add(spec)
        touched |= drop | put.keys()
        self.refresh(touched)
        return touched

    def refresh(self, ids: Mapping[str, Circuit] | set[str]) -> set[str]:
        """Work out these states again, servers before clients; return those that changed."""
        changed = set()
        for wanted_wave in (True, False):
            for circuit in sorted(ids):
                spec = self.specs.get(circuit)
                if spec is None:
                    if self.states.pop(circuit, None) is not None:
                        changed.add(circuit)
                elif (spec.layer == WAVELENGTH) is wanted_wave:
                    state = self._evaluate(spec)
                    if self.states.get(circuit) != state:
                        self.states[circuit] = state
                        changed.add(circuit)
        return changed

    def at(self, port: str, vlan: int) -> list[tuple[Circuit, tuple[str, int]]]:
        """Return (circuit, far end) of what takes a frame that enters this client port with this VLAN."""
        found = []
        for circuit in sorted(self._at_port.get(port, ())):
            spec = self.specs[circuit]
            for near, far in ((spec.a, spec.z), (spec.z, spec.a)):
                if near[0] == port and near[1] in (0, vlan):
                    found.append((spec, far))
        return found

    def on_port(self, port: str) -> list[str]:
        return sorted(self._at_port.get(port, ()))

    def told(self, circuit: str) -> CircuitState:
        """Return what the domain believes of a circuit: a switch that sticks unnoticed is where it should be."""
        state = self.states[circuit]
        if state.up or not self.stuck.get(circuit):
            return state
        spec = self.specs[circuit]
        found = (self._leg(spec, leg, name) for leg, name in zip(spec.legs, ("working", "protect"), strict=False))
        return next((leg for leg in found if leg.up), state)

    def counts(self, circuit: str) -> bool:
        """Return whether a wavelength's receiver runs, at its far end, whether or not any light reaches it."""
        spec = self.specs[circuit]
        node = self._port_node.get(spec.z[0])
        return spec.layer == WAVELENGTH and circuit not in self.failed and (node is None or self._node_up(node))

    def length_m(self, fibres: tuple[str, ...]) -> int:
        return sum(self._fibres[f].length_m for f in fibres if f in self._fibres)

    def odu_up(self, link: str) -> bool:
        state = self.states.get(self.odu_links[link].circuit)
        return state is not None and state.up

    def _add(self, spec: Circuit) -> set[str]:
        self.specs[spec.id] = spec
        vpn, _, pair = spec.id.partition("/")
        self.pairs_of.setdefault(vpn, set()).add(pair)
        touched = {spec.id}
        for claim in spec.claims():
            holders = self._claims.setdefault(claim, [])
            touched.update(holders)
            holders.append(spec.id)
        for port, _ in (spec.a, spec.z):
            if port:
                touched |= self._at_port.setdefault(port, set())
                self._at_port[port].add(spec.id)
        return touched

    def _remove(self, circuit: str) -> set[str]:
        spec = self.specs.pop(circuit, None)
        if spec is None:
            return set()
        vpn, _, pair = circuit.partition("/")
        self.pairs_of[vpn].discard(pair)
        touched = set()
        for claim in spec.claims():
            holders = self._claims[claim]
            holders.remove(circuit)
            touched.update(holders)
            if not holders:
                del self._claims[claim]
        for port, _ in (spec.a, spec.z):
            self._at_port.get(port, set()).discard(circuit)
            touched |= self._at_port.get(port, set())
        return touched

    # ── one circuit ─────────────────────────────────────────────────────────────────────────────────────────────

    def _evaluate(self, spec: Circuit) -> CircuitState:
        problem = "its line card is broken" if spec.id in self.failed else self._ends_problem(spec)
        if problem:
            return CircuitState(False, "none", reason=problem)
        reasons = []
        legs = spec.legs[:1] if spec.id in self.stuck else spec.legs
        for leg, name in zip(legs, ("working", "protect"), strict=False):
            state = self._leg(spec, leg, name)
            if state.up:
                return state
            reasons.append(f"{name}: {state.reason}")
        return CircuitState(False, "none", reason="; ".join(reasons) or "no route")

    def _ends_problem(self, spec: Circuit) -> str:
        for port, vlan in (spec.a, spec.z):
            if not port:
                continue
            node = self._port_node.get(port)
            if node is None:
                return f"no client port {port}"
            for other in self._at_port.get(port, set()) - {spec.id}:
                rival = self.specs[other]
                if any(p == port and (0 in (v, vlan) or v == vlan) for p, v in (rival.a, rival.z)):
                    return f"client port {port} is claimed by {other} too"
        return ""

    def _leg(self, spec: Circuit, leg: CircuitLeg, name: str) -> CircuitState:
        problem = self._route_problem(spec, leg) or self._label_problem(spec, leg)
        if problem:
            return CircuitState(False, "none", reason=problem)
        if spec.layer == WAVELENGTH:
            return self._light(spec, leg, name)
        hops = [self.states[self.odu_links[hop].circuit] for hop in leg.route]
        delay = sum(h.latency_s for h in hops) + OTN_SWITCH_S * (len(hops) + 1)
        margins = [h.margin_db for h in hops if h.margin_db is not None]
        worst = min(margins, default=None)
        ber = max((h.ber for h in hops if h.ber is not None), default=None)
        passed = 1.0
        for h in hops:
            passed *= 1 - h.loss
        fibres = tuple(f for h in hops for f in h.fibres)
        jitter = hypot(*(h.jitter_s for h in hops))
        return CircuitState(True, name, delay, worst, ber, 1 - passed, "", fibres, jitter_s=jitter)

    def _light(self, spec: Circuit, leg: CircuitLeg, name: str) -> CircuitState:
        fibres = [self._fibres[f] for f in leg.route]
        strains, own = [self._strain(f.id) for f in fibres], self._strain(spec.id)
        metres = sum(f.length_m for f in fibres) + sum(s.longer_m for s in (*strains, own))
        amplifiers = sum(f.length_m // AMPLIFIER_SPAN_M for f in fibres)
        delay = metres * PROPAGATION_S_PER_M + TRANSPONDERS_S + ROADM_S * (len(fibres) + 1) + AMPLIFIER_S * amplifiers
        losses = [f.loss_db + s.light_db for f, s in zip(fibres, strains, strict=True)]
        losses += [DETOUR_DB_M * own.longer_m] if own.longer_m else []
        margin, power = margin_db(spec.mode, losses), received_dbm(losses, own.light_db)
        if margin is None:
            return CircuitState(False, "none", reason=f"no line mode {spec.mode!r}")
        least = least_dbm(spec.mode)
        if least is not None and power < least:
            return CircuitState(False, "none", reason=f"{power:.1f} dBm where {spec.mode} needs {least:g}")
        margin -= power_penalty_db(spec.mode, power)
        if margin < 0:
            return CircuitState(False, "none", reason=f"margin {margin:.1f} dB")
        passed = 1 - uncorrected(margin)
        for strain in (own, *strains):
            passed, delay = passed * (1 - strain.loss), delay + strain.delay_s
        ber, dispersion = pre_fec_ber(spec.mode, margin), metres * DISPERSION_PS_NM_M
        jitter = hypot(*(strain.jitter_s for strain in (*strains, own)))
        return CircuitState(True, name, delay, margin, ber, 1 - passed, "", leg.route, power, dispersion, jitter)

    def walk(self, spec: Circuit, leg: CircuitLeg) -> tuple[str, ...]:
        """Return the nodes that a wavelength passes, one more than fibres; its route must join up."""
        nodes = [self._port_node.get(spec.a[0]) or self._fibres[leg.route[0]].a]
        for hop in leg.route:
            fibre = self._fibres[hop]
            nodes.append(fibre.z if fibre.a == nodes[-1] else fibre.a)
        return tuple(nodes)

    def _route_problem(self, spec: Circuit, leg: CircuitLeg) -> str:
        wave = spec.layer == WAVELENGTH
        known: Mapping[str, Fibre | OduLink] = self._fibres if wave else self.odu_links
        if not leg.route:
            return "empty route"
        missing = [hop for hop in leg.route if hop not in known]
        if missing:
            return f"no {'fibre' if wave else 'ODU link'} {missing[0]}"
        here = self._port_node.get(spec.a[0]) or known[leg.route[0]].a  # an ODU server starts where its fibre does
        end = self._port_node.get(spec.z[0])
        for hop in leg.route:
            link = known[hop]
            if not self._node_up(here):
                return f"{here} is down"
            if here not in (link.a, link.z):
                return f"{hop} does not start at {here}"
            if not (self._fibre_up(hop) if wave else self.odu_up(hop)):
                return f"{hop} is down"
            here = link.z if here == link.a else link.a
        if end is not None and here != end:
            return f"the route ends at {here}, not at {end}"
        return "" if self._node_up(here) else f"{here} is down"

    def _label_problem(self, spec: Circuit, leg: CircuitLeg) -> str:
        if spec.layer == WAVELENGTH:
            spoilt = [(hop, leg.channel) for hop in leg.route if len(self._claims["channel", hop, leg.channel]) > 1]
            return f"channel {spoilt[0][1]} of {spoilt[0][0]} is lit twice" if spoilt else ""
        need = slots_needed(spec.odu, spec.rate_bps)
        if need is None:
            return f"{spec.rate_bps} bit/s does not fit {spec.odu!r}"
        if len(leg.slots) != len(leg.route):
            return f"{len(leg.slots)} slot lists for {len(leg.route)} hops"
        for hop, slots in zip(leg.route, leg.slots, strict=True):
            if len(set(slots)) != need or len(slots) != need:
                return f"{len(set(slots))} slots on {hop} where {spec.odu} takes {need}"
            for slot in slots:
                if not 1 <= slot <= self.odu_links[hop].slots:
                    return f"{hop} has no slot {slot}"
                if len(self._claims["slot", hop, slot]) > 1:
                    return f"slot {slot} of {hop} is used twice"
        return ""

"""One layer as a service sees it between two ends: what it may not use and why, what is full, what each part costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from controller.intent.model import Boundaries, DedicatedPlane, Disjointness, ExclusiveSlice, Service, ServiceId
from controller.network.ledger import Ledger
from controller.network.light import TRANSPONDER_PAIR_S
from controller.network.model import Fibre, OduLink
from controller.planning.constrained import DISJOINT, Burdens, Vector
from controller.planning.containers import container
from controller.planning.draft import rate_text
from controller.planning.layers import Layers, node_allowed, planes_of
from controller.planning.paths import Path
from controller.planning.placement import CircuitPlacement, Promise
from controller.planning.price import lit_link, share_of_ip, share_of_odu
from controller.planning.reasons import boundary_text, risk_names, short

Avoid = Mapping[ServiceId, frozenset[int]]
_NOTHING: Vector = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class Terrain:
    """Parts are the edges of `burdens.graph`. `used`: the working path; `fixed`: what the ends add to its sums."""

    net: Layers
    ledger: Ledger
    service: Service
    layer: str
    burdens: Burdens
    src: str
    dst: str
    used: Path
    standby: Path
    fixed: Vector
    rate_bps: int
    avoid: Avoid
    protected: bool
    disjoint: tuple[Disjointness, ...]

    @property
    def bounded(self) -> bool:
        return self.service.boundaries != Boundaries()

    @property
    def _plane(self) -> str | None:
        return self.service.plane if isinstance(self.service, DedicatedPlane | ExclusiveSlice) else None

    def way(self, path: Path) -> tuple[str, ...]:
        graph = self.burdens.graph
        return (short(self.src), *(x for i in path for x in (self.name(i), short(graph.edges[i].dst))))

    def name(self, edge: int) -> str:
        if self.layer == "ip":
            link = self.net.links[edge]
            return link.circuit or link.id
        return self._part(edge).id

    def _part(self, edge: int) -> Fibre | OduLink:
        return self.net.fibre_of[edge] if self.layer == "wavelength" else self.net.odu_of[edge]

    def forbidden(self, edge: int) -> str:
        """Say why the service may not use a part, whatever is free on it; empty where it may."""
        bounds, graph = self.service.boundaries, self.burdens.graph
        for name in (graph.edges[edge].src, graph.edges[edge].dst):
            node = self.net.nodes[name]
            if not node.up:
                return f"{short(name)} is down"
            if not node_allowed(node, bounds):
                return f"{short(name)} is outside the boundaries ({boundary_text(bounds)}; its trust is {node.trust})"
        up, trust, planes = self._facts(edge)
        if not up:
            return f"{self.name(edge)} is down"
        if trust < bounds.least_trust:
            return f"{self.name(edge)} has trust {trust}, {bounds.least_trust} is the least"
        if self._plane is not None and not planes <= {self._plane}:
            return f"{self.name(edge)} is of plane {', '.join(sorted(planes))}"
        for other, risks in self.avoid.items():
            shared = graph.edges[edge].risks & risks
            if shared:
                return f"{risk_names(self.net, shared)}: {other} uses it, to be diverse from"
        return ""

    def _facts(self, edge: int) -> tuple[bool, int, frozenset[str]]:
        if self.layer == "ip":
            link = self.net.links[edge]
            return bool(self.net.up[edge]), link.trust, frozenset({link.plane} if link.plane else ())
        part = self._part(edge)
        return part.up, part.trust, planes_of(part)

    def fading(self, path: Path) -> tuple[str, ...]:
        """Return the fibres under a way that wear out, sorted."""
        if not self.net.fading:
            return ()
        under = (self.net.links[i].fibres if self.layer == "ip" else _fibres_of(self._part(i)) for i in path)
        return tuple(sorted(self.net.fading & {f for fibres in under for f in fibres}))

    def full(self, edge: int) -> str:
        """Say what a part lacks for this service; empty where it has room."""
        if self.layer == "ip":
            link = self.net.links[edge]
            left = max(0, self.ledger.free_bps(link.id))
            if left >= self.rate_bps:
                return ""
            ends = f"{short(link.src.node)}–{short(link.dst.node)}"
            return f"link {ends} has {rate_text(left)} left of {rate_text(link.capacity_bps)}"
        free, _ = self._labels(edge)
        needed = self._needed()
        if free >= needed:
            return ""
        what = "free channel" if self.layer == "wavelength" else "free slot" if needed == 1 else f"{needed} free slots"
        return f"{self.name(edge)}: no {what} left"

    def _needed(self) -> int:
        box = container(self.rate_bps)
        return 1 if self.layer == "wavelength" or box is None else box.slots

    def _labels(self, edge: int) -> tuple[int, int]:
        part = self._part(edge)
        size = part.channels if isinstance(part, Fibre) else part.slots
        kind = "channel" if isinstance(part, Fibre) else "slot"
        return size - len(part.occupied | self.ledger.held_labels(f"{kind}:{part.id}")), size

    def load(self, edge: int) -> float:
        """Return how full a part would be with this service on it, 0..1 and above."""
        if self.layer == "ip":
            link = self.net.links[edge]
            held = link.capacity_bps - self.ledger.free_bps(link.id)
            return (held + self.rate_bps) / max(1, link.capacity_bps)
        free, size = self._labels(edge)
        return (size - free + self._needed()) / max(1, size)

    def price(self, edge: int) -> float:
        if self.layer == "ip":
            link = self.net.links[edge]
            return share_of_ip(self.rate_bps, link.capacity_bps, len(link.fibres))
        part = self._part(edge)
        if isinstance(part, Fibre):
            return lit_link(1) / max(1, len(self.used))
        return share_of_odu(self._needed(), part.slots, len(part.fibres))


def _fibres_of(part: Fibre | OduLink) -> tuple[str, ...]:
    return (part.id,) if isinstance(part, Fibre) else part.fibres


def over_optics(
    net: Layers, ledger: Ledger, service: Service, circuit: CircuitPlacement, avoid: Avoid
) -> Terrain | None:
    """Return the optical layer under one circuit; None where a part of its route is no longer on the map."""
    wave = circuit.layer == "wavelength"
    burdens = net.fibre_burdens if wave else net.odu_burdens
    index = _positions(tuple(p.id for p in (net.fibre_of if wave else net.odu_of)))
    legs = []
    for leg in (circuit.working, circuit.protect):
        at, path = circuit.a.node, []
        for hop in leg.route if leg is not None else ():
            if hop not in index:
                return None
            edge = index[hop] + (burdens.graph.edges[index[hop]].src != at)
            path.append(edge)
            at = burdens.graph.edges[edge].dst
        legs.append(tuple(path))
    fixed = (TRANSPONDER_PAIR_S if wave else 0.0, *(0.0,) * (burdens.sums.shape[1] - 1))
    kinds = service.disjoint if isinstance(service, ExclusiveSlice) else DISJOINT
    return Terrain(
        net, ledger, service, circuit.layer, burdens, circuit.a.node, circuit.z.node, legs[0], legs[1], fixed,
        circuit.rate_bps, avoid, circuit.protect is not None, kinds,
    )  # fmt: skip


@cache
def _positions(ids: tuple[str, ...]) -> Mapping[str, int]:
    return {part: 2 * i for i, part in enumerate(ids[::2])}


def over_ip(net: Layers, ledger: Ledger, service: Service, promise: Promise, avoid: Avoid) -> Terrain | None:
    """Return the IP layer under one promise; None where its way is no longer on the map."""
    nodes = [n if n.startswith("node:") else f"node:{n}" for n in promise.via[::2]]
    by_name = {(k.src.node, k.circuit or k.id): i for i, k in enumerate(net.links)}
    path = []
    for node, name in zip(nodes, promise.via[1::2], strict=False):
        at = by_name.get((node, name))
        if at is None:
            return None
        path.append(at)
    kinds = service.disjoint if isinstance(service, ExclusiveSlice) else DISJOINT
    return Terrain(
        net, ledger, service, "ip", net.ip_burdens, nodes[0], nodes[-1], tuple(path), (), _NOTHING,
        promise.rate_bps, avoid, promise.standby_delay_s is not None, kinds,
    )  # fmt: skip

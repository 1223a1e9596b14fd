"""What stands in the optical domain, and whether a wanted circuit fits the equipment at all.

Pure: whether resources are *free* is the claims' question (`claims.py`); here it is whether they exist, form a
route, have the right size and reach far enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from onecity.optical.v1 import optical_pb2 as pb

from lab.city import City, ClientPort, Fibre, OduLink
from lab.optical.containers import FLEXIBLE, MODES, reach_problem, slots_needed
from lab.optical.refusal import invalid, near, precondition, unknown

INFRASTRUCTURE = "infrastructure"
INFRASTRUCTURE_MODE = "100G QPSK oFEC"
_MAX_VLAN = 4094


class Equipment:
    """Indexes over the optical part of a city file."""

    def __init__(self, city: City) -> None:
        self.domain = city.optical
        self.sites = dict(city.optical.nodes)
        self.fibres: dict[str, Fibre] = {f.id: f for f in city.optical.fibres}
        self.odu_links: dict[str, OduLink] = {link.id: link for link in city.optical.odu_links}
        self.ports: dict[str, ClientPort] = {p.id: p for p in city.optical.client_ports}
        self.infrastructure = {c.id: self._infrastructure(c.id) for c in city.optical.circuits}

    def _infrastructure(self, circuit_id: str) -> pb.CircuitSpec:
        c = next(c for c in self.domain.circuits if c.id == circuit_id)
        return pb.CircuitSpec(
            id=c.id,
            owner=INFRASTRUCTURE,
            a=pb.ClientEnd(port=c.a_port),
            z=pb.ClientEnd(port=c.z_port),
            layer=pb.LAYER_WAVELENGTH,
            rate_bps=c.rate_bps,
            odu="ODU4",
            mode=INFRASTRUCTURE_MODE,
            working=pb.Leg(route=c.route, channel=c.channel),
        )

    def ends(self, layer: int, link: str) -> tuple[str, str]:
        """Return the two nodes of a fibre (wavelength) or of an ODU link; raises NOT_FOUND."""
        found: Fibre | OduLink | None
        if layer == pb.LAYER_WAVELENGTH:
            found, what = self.fibres.get(link), "fibre"
        else:
            found, what = self.odu_links.get(link), "ODU link"
        if found is None:
            raise unknown(what, link)
        return found.a, found.z

    def check(self, spec: pb.CircuitSpec) -> None:
        """Refuse a circuit that no assignment of free resources could make work."""
        if not spec.id:
            raise invalid("spec.id", "a circuit needs an id")
        if spec.owner == INFRASTRUCTURE or spec.id in self.infrastructure:
            raise invalid("spec.owner", f"circuit {spec.id}: infrastructure is not changed through this interface")
        if spec.layer not in (pb.LAYER_WAVELENGTH, pb.LAYER_ODU):
            raise invalid("spec.layer", f"circuit {spec.id}: layer must be wavelength or ODU")
        a_node, z_node = self._check_end(spec, spec.a, "a"), self._check_end(spec, spec.z, "z")
        if spec.a.port == spec.z.port:
            raise invalid("spec.z.port", f"circuit {spec.id}: both ends are {spec.a.port}")
        if (spec.a.vlan == 0) != (spec.z.vlan == 0):
            raise invalid("spec.z.vlan", f"circuit {spec.id}: one end takes the whole port, the other a VLAN")
        if not spec.HasField("working"):
            raise invalid("spec.working", f"circuit {spec.id}: no working leg")
        self._check_leg(spec, spec.working, "working", a_node, z_node)
        if spec.HasField("protect"):
            self._check_leg(spec, spec.protect, "protect", a_node, z_node)
            shared = sorted(set(spec.working.route) & set(spec.protect.route))
            if shared:
                raise invalid("spec.protect.route", f"circuit {spec.id}: both legs run over {near(shared)}")
        elif spec.protect_shared:
            raise invalid("spec.protect_shared", f"circuit {spec.id}: there is no protect leg to share")

    def risks(self, spec: pb.CircuitSpec) -> frozenset[str]:
        """Return what takes the working leg down: fibres, their ducts, the nodes that it passes."""
        wave = spec.layer == pb.LAYER_WAVELENGTH
        fibres = [self.fibres[f] for hop in spec.working.route for f in ((hop,) if wave else self._under(hop))]
        ends = {self.ports[end.port].node for end in (spec.a, spec.z)}
        found = {f"fibre:{f.id}" for f in fibres} | {f"srlg:{r}" for f in fibres for r in f.srlgs}
        return frozenset(found | {f"node:{n}" for f in fibres for n in (f.a, f.z) if n not in ends})

    def _under(self, odu_link: str) -> tuple[str, ...]:
        return tuple(self.infrastructure[self.odu_links[odu_link].circuit].working.route)

    def _check_end(self, spec: pb.CircuitSpec, end: pb.ClientEnd, name: str) -> str:
        port = self.ports.get(end.port)
        if port is None:
            raise unknown("client port", end.port)
        if end.vlan > _MAX_VLAN:
            raise invalid(f"spec.{name}.vlan", f"circuit {spec.id}: VLAN {end.vlan} is not 1 to {_MAX_VLAN}")
        if end.vlan == 0 and spec.layer == pb.LAYER_WAVELENGTH and spec.rate_bps not in port.rates_bps:
            rates = ", ".join(f"{r / 1e9:g}G" for r in port.rates_bps)
            raise invalid("spec.rate_bps", f"port {port.id} runs at {rates}, not {spec.rate_bps / 1e9:g}G")
        if spec.rate_bps == 0 or spec.rate_bps > max(port.rates_bps):
            raise invalid("spec.rate_bps", f"circuit {spec.id}: {spec.rate_bps} bit/s does not fit port {port.id}")
        return port.node

    def _check_leg(self, spec: pb.CircuitSpec, leg: pb.Leg, name: str, a_node: str, z_node: str) -> None:
        field = f"spec.{name}"
        if not leg.route:
            raise invalid(f"{field}.route", f"circuit {spec.id}: the {name} leg has no hops")
        self._check_continuity(spec, leg.route, field, a_node, z_node)
        if spec.layer == pb.LAYER_WAVELENGTH:
            self._check_light(spec, leg, field)
        else:
            self._check_slots(spec, leg, field)

    def _check_continuity(self, spec: pb.CircuitSpec, route: Sequence[str], field: str, a: str, z: str) -> None:
        here, seen = a, {a}
        for hop in route:
            ends = self.ends(spec.layer, hop)
            if here not in ends:
                raise invalid(f"{field}.route", f"circuit {spec.id}: {hop} does not start at {here}")
            here = ends[1] if ends[0] == here else ends[0]
            if here in seen:
                raise invalid(f"{field}.route", f"circuit {spec.id}: the route passes {here} twice")
            seen.add(here)
        if here != z:
            raise invalid(f"{field}.route", f"circuit {spec.id}: the route ends at {here}, not at {z}")

    def _check_light(self, spec: pb.CircuitSpec, leg: pb.Leg, field: str) -> None:
        mode = MODES.get(spec.mode)
        if mode is None:
            raise invalid("spec.mode", f"circuit {spec.id}: no line mode {spec.mode!r}; there are {', '.join(MODES)}")
        if spec.rate_bps > mode.client_bps:
            raise invalid("spec.mode", f"circuit {spec.id}: {spec.mode} is too slow for {spec.rate_bps / 1e9:g}G")
        if slots_needed(spec.odu, spec.rate_bps) is None:
            raise invalid(
                "spec.odu", f"circuit {spec.id}: {spec.rate_bps / 1e9:g}G does not fit container {spec.odu!r}"
            )
        if not 1 <= leg.channel <= self.domain.channels:
            raise invalid(
                f"{field}.channel", f"circuit {spec.id}: channel {leg.channel} is not 1 to {self.domain.channels}"
            )
        if leg.slots:
            raise invalid(f"{field}.slots", f"circuit {spec.id}: a wavelength takes no slots")
        problem = reach_problem(spec.mode, tuple(self.fibres[f].length_m for f in leg.route))
        if problem:
            raise precondition("NOT_FEASIBLE", f"circuit {spec.id}: {problem}")

    def _check_slots(self, spec: pb.CircuitSpec, leg: pb.Leg, field: str) -> None:
        if leg.channel or spec.mode:
            raise invalid(f"{field}.channel", f"circuit {spec.id}: an ODU circuit names no channel and no line mode")
        need = slots_needed(spec.odu, spec.rate_bps)
        if need is None:
            known = ", ".join(("ODU0", "ODU1", "ODU2", "ODU2e", "ODU3", "ODU4", *FLEXIBLE))
            raise invalid(
                "spec.odu", f"circuit {spec.id}: {spec.rate_bps} bit/s does not fit {spec.odu!r}; there are {known}"
            )
        if len(leg.slots) != len(leg.route):
            raise invalid(f"{field}.slots", f"circuit {spec.id}: {len(leg.slots)} slot lists for {len(leg.route)} hops")
        for hop, taken in zip(leg.route, leg.slots, strict=True):
            slots = list(taken.slots)
            if len(slots) != need or len(set(slots)) != need:
                raise invalid(
                    f"{field}.slots",
                    f"circuit {spec.id}: {spec.odu} takes {need} slots on {hop}, not {len(set(slots))}",
                )
            size = self.odu_links[hop].slots
            if not all(1 <= s <= size for s in slots):
                raise invalid(f"{field}.slots", f"circuit {spec.id}: slots of {hop} are 1 to {size}")

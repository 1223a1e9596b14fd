"""Everything that stands configured, indexed so that the cost of a check follows the change.

A model is a value: `updated` returns the next one and leaves this one as it was, so a change that is refused costs
nothing to forget. Claims gather who uses each label of each resource; two claimants are an over-booking, whatever
the planner believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from controller.network.model import PortRef
from controller.rendering.tree import Edit, Step, Tree
from controller.verification import parse
from controller.verification.parse import Circuit, Partition, Tunnel, Vpn

Unit = tuple[str, str]  # (domain, vpn id | tunnel name | partition name | circuit id)
Claim = tuple[str, str, str]  # (kind, resource, label)
T = TypeVar("T", Vpn, Tunnel, Partition, Circuit)


def rate_bps(generic: str) -> int:
    """Return a TE bandwidth (float32 in hex, bytes/s; RFC 8776 `te-bandwidth`) as bit/s, nearest Mbit/s if close."""
    try:
        bps = float.fromhex(generic) * 8
    except ValueError:
        return 0
    nearest = round(bps / 1e6) * 10**6
    return nearest if abs(bps - nearest) <= nearest * 2**-23 else int(bps)


@dataclass(frozen=True, slots=True)
class ConfigurationModel:
    """The configuration of all domains as facts. `looked_at` names the units that the last update read."""

    vpns: Mapping[Unit, Vpn] = field(default_factory=dict)
    tunnels: Mapping[Unit, Tunnel] = field(default_factory=dict)
    partitions: Mapping[Unit, Partition] = field(default_factory=dict)
    circuits: Mapping[Unit, Circuit] = field(default_factory=dict)
    claims: Mapping[Claim, tuple[str, ...]] = field(default_factory=dict)
    booked: Mapping[PortRef | str, int] = field(default_factory=dict)  # outgoing port or link id → bit/s
    looked_at: frozenset[Unit] = frozenset()

    @classmethod
    def build(cls, trees: Mapping[str, Tree]) -> ConfigurationModel:
        """Return the model of whole trees, domain → tree."""
        return _Update(cls()).whole(trees).result()

    def updated(self, trees: Mapping[str, Tree], edits: Iterable[Edit]) -> ConfigurationModel:
        """Return the model after these edits; `trees` are the trees after them, of at least the edited domains."""
        update = _Update(self)
        for edit in edits:
            update.edit(edit, trees[edit.domain])
        return update.result()

    def circuits_of(self, owner: str, domains: Iterable[str]) -> list[Circuit]:
        """Return the circuits that a service owns."""
        return [
            self.circuits[d, c]
            for d in domains
            for c in self.claims.get(("owner", d, owner), ())
            if (d, c) in self.circuits
        ]


class _Update:
    """Collects one update; copies each mapping once."""

    def __init__(self, base: ConfigurationModel) -> None:
        self.vpns, self.tunnels = dict(base.vpns), dict(base.tunnels)
        self.partitions, self.circuits = dict(base.partitions), dict(base.circuits)
        self.claims, self.booked = dict(base.claims), dict(base.booked)
        self.seen: set[Unit] = set()

    def result(self) -> ConfigurationModel:
        return ConfigurationModel(
            self.vpns, self.tunnels, self.partitions, self.circuits, self.claims, self.booked, frozenset(self.seen)
        )

    def whole(self, trees: Mapping[str, Tree]) -> _Update:
        for domain, tree in trees.items():
            for root, name in (
                (parse.VPNS, "l3nm:vpn-service"),
                (parse.TUNNELS, "te:tunnel"),
                (parse.PARTITIONS, "nrp:nrp-policy"),
            ):
                for keys, _ in parse.entries(parse.below(tree, *root), name):
                    self._unit(domain, (name, *keys), tree)
            for keys, _ in parse.entries(tree, "opt:circuit"):
                self._unit(domain, ("opt:circuit", *keys), tree)
        return self

    def edit(self, edit: Edit, tree: Tree) -> None:
        units: dict[Step, None] = {}
        for path in edit.touched:
            for step in path:
                if isinstance(step, tuple):
                    units[step] = None
                    break
        for step in units:
            self._unit(edit.domain, step, tree)

    def _unit(self, domain: str, step: Step, tree: Tree) -> None:
        """Read one unit again, and exchange what the old one claimed for what the new one claims."""
        name, key = step[0], (domain, str(step[1]))
        if name == "l3nm:vpn-service":
            found = parse.below(tree, *parse.VPNS, step)
            self._swap(self.vpns, key, parse.vpn(domain, found, self.vpns.get(key)) if found else None, claims_of_vpn)
        elif name == "te:tunnel":
            found = parse.below(tree, *parse.TUNNELS, step)
            self._swap(self.tunnels, key, parse.tunnel(domain, found) if found else None, claims_of_tunnel)
        elif name == "nrp:nrp-policy":
            found = parse.below(tree, *parse.PARTITIONS, step)
            self._swap(self.partitions, key, parse.partition(domain, found) if found else None, claims_of_partition)
        elif name == "opt:circuit":
            found = parse.below(tree, step)
            self._swap(self.circuits, key, parse.circuit(domain, found) if found else None, claims_of_circuit)

    def _swap(
        self, units: dict[Unit, T], key: Unit, new: T | None, claims_of: Callable[[T], Iterator[tuple[Claim, str]]]
    ) -> None:
        old = units.get(key)
        if old is not None:
            for claim, owner in claims_of(old):
                left = tuple(o for o in self.claims.get(claim, ()) if o != owner)
                if left:
                    self.claims[claim] = left
                else:
                    self.claims.pop(claim, None)
            self._book(old, -1)
        if new is None:
            units.pop(key, None)
        else:
            units[key] = new
            for claim, owner in claims_of(new):
                self.claims[claim] = (*self.claims.get(claim, ()), owner)
            self._book(new, 1)
        self.seen.add(key)

    def _book(self, unit: Vpn | Tunnel | Partition | Circuit, sign: int) -> None:
        taken: list[tuple[PortRef | str, int]] = []
        if isinstance(unit, Partition):
            taken = [(link, unit.rate_bps) for link in unit.links]
        elif isinstance(unit, Tunnel) and unit.partition is None:
            rate = rate_bps(unit.rate_text)
            taken = [(hop, rate) for hop in (*unit.working, *(unit.standby or ()))]
        for key, rate in taken:
            total = self.booked.get(key, 0) + sign * rate
            if total:
                self.booked[key] = total
            else:
                self.booked.pop(key, None)


def claims_of_vpn(vpn: Vpn) -> Iterator[tuple[Claim, str]]:
    for access in vpn.accesses.values():
        yield ("vlan", f"{access.node}/{access.port}", str(access.vlan)), f"{vpn.id}|{access.id}"
    for instance in vpn.instances.values():
        owner = f"{vpn.id}|{instance.node}|{instance.profile}"
        for target in instance.imports:
            yield ("import", vpn.domain, target), owner
        for target in instance.exports:
            yield ("export", vpn.domain, target), owner


def claims_of_tunnel(tunnel: Tunnel) -> Iterator[tuple[Claim, str]]:
    yield ("tunnel", tunnel.domain, tunnel.name), tunnel.name


def claims_of_partition(partition: Partition) -> Iterator[tuple[Claim, str]]:
    yield ("nrp-id", partition.domain, str(partition.nrp_id)), partition.name


def claims_of_circuit(circuit: Circuit) -> Iterator[tuple[Claim, str]]:
    yield ("owner", circuit.domain, circuit.owner), circuit.id
    for port, vlan in circuit.ends:
        yield ("client", port, str(vlan)), circuit.id
        yield ("client-port", port, ""), circuit.id
    for leg in (circuit.working, circuit.protect):
        if leg is None:
            continue
        for hop, slots in zip(leg.route, leg.slots, strict=False):
            for slot in slots:
                yield ("slot", hop, str(slot)), circuit.id
        if circuit.layer == "wavelength":
            for hop in leg.route:
                yield ("channel", hop, str(leg.channel)), circuit.id

"""Everything that stands configured, indexed so that the cost of a check follows the change.

A model is a value: `updated` returns the next one and leaves this one as it was, so a change that is refused costs
nothing to forget. Claims gather who uses each label of each resource; two claimants are an over-booking, whatever
the planner believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from controller.intent.model import ServiceId
from controller.rendering.tree import Edit, Step, Tree
from controller.verification import parse
from controller.verification.facts import Circuit, LitDirection, Partition, Tunnel, Vpn
from controller.verification.loads import LoadBook
from controller.verification.reading import below, entries

Key = tuple[str, str]  # (domain, vpn id | tunnel name | partition name | circuit id | link id)
Unit = tuple[str, str, str]  # ("vpn" | "tunnel" | "partition" | "circuit" | "link", domain, name)
Resource = tuple[str, str]  # (kind, what)
Claim = tuple[Resource, str, str]  # resource, label of it, who claims it
T = TypeVar("T", Vpn, Tunnel, Partition, Circuit, LitDirection)
KEPT = "kept "  # before "slot" and "channel": dark, for restoration
_KINDS = {"l3nm:vpn-service": "vpn", "te:tunnel": "tunnel", "nrp:nrp-policy": "partition", "opt:circuit": "circuit"}
_ROOTS = (
    (parse.VPNS, "l3nm:vpn-service"),
    (parse.TUNNELS, "te:tunnel"),
    (parse.PARTITIONS, "nrp:nrp-policy"),
    ((), "opt:circuit"),
    (parse.NETWORKS, "nw:network"),
)


def service_of(dotted: str) -> ServiceId:
    """Return the service that a VPN id stands for: `tenant.name` is `tenant/name`."""
    return ServiceId(dotted.replace(".", "/", 1))


def owner_of(kind: str, name: str) -> ServiceId:
    """Return the service that a unit belongs to by its name: `slice/<tenant>.<name>/…`, `<tenant>.<name>/a-z`."""
    dotted, more, rest = name.partition("/")
    if more and kind in ("tunnel", "partition"):
        dotted = rest.partition("/")[0]
    return service_of(dotted)


@dataclass(frozen=True, slots=True)
class ConfigurationModel:
    """The configuration of all domains as facts. `looked_at` names the units that the last update read."""

    vpns: Mapping[Key, Vpn] = field(default_factory=dict)
    tunnels: Mapping[Key, Tunnel] = field(default_factory=dict)
    partitions: Mapping[Key, Partition] = field(default_factory=dict)
    circuits: Mapping[Key, Circuit] = field(default_factory=dict)
    lit: Mapping[Key, LitDirection] = field(default_factory=dict)
    claims: Mapping[Resource, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    looked_at: frozenset[Unit] = frozenset()
    # The labels that circuits among these held before: as much a matter of one update.
    stood: frozenset[tuple[Resource, str]] = field(default=frozenset(), compare=False, repr=False)
    # What each service loads links with. Depends on the map too, so `prove` keeps it; equality is of configuration.
    loads: LoadBook = field(default_factory=LoadBook, compare=False, repr=False)
    ports: parse.Ports = field(default_factory=parse.Ports, compare=False, repr=False)

    @classmethod
    def build(cls, trees: Mapping[str, Tree]) -> ConfigurationModel:
        """Return the model of whole trees, domain → tree."""
        update = _Update(cls())
        for domain, tree in trees.items():
            for root, name in _ROOTS:
                for keys, _ in entries(below(tree, *root), name):
                    update.unit(domain, (name, *keys), tree)
        return update.result()

    def updated(self, trees: Mapping[str, Tree], edits: Iterable[Edit]) -> ConfigurationModel:
        """Return the model after these edits; `trees` are the trees after them, of at least the edited domains."""
        update = _Update(self)
        for edit in edits:
            steps = dict.fromkeys(next((s for s in path if isinstance(s, tuple)), None) for path in edit.touched)
            for step in steps:
                if step is not None:
                    update.unit(edit.domain, step, trees[edit.domain])
        return update.result()

    def ours(self, circuit: Circuit, kind: str, what: str, label: str) -> bool:
        """Return whether what a circuit holds was ours before this update: its domain may not say whose it is."""
        changed = ("circuit", circuit.domain, circuit.id) in self.looked_at
        return not changed or ((kind, what), label) in self.stood

    def owners(self, kind: str, what: str, label: str) -> tuple[str, ...]:
        """Return who claims one label of one resource."""
        return self.claims.get((kind, what), {}).get(label, ())

    def circuits_of(self, owner: str) -> list[Circuit]:
        """Return the circuits that a service owns, by id."""
        owned = self.claims.get(("circuits", owner), {})
        return [c for name in sorted(owned) for d in owned[name] if (c := self.circuits.get((d, name))) is not None]

    def tunnels_of(self, owner: str) -> list[Tunnel]:
        """Return the tunnels whose names say that they are this service's, by name."""
        owned = self.claims.get(("tunnels", owner), {})
        return [t for name in sorted(owned) for d in owned[name] if (t := self.tunnels.get((d, name))) is not None]

    def partitions_of(self, owner: str) -> list[Partition]:
        owned = self.claims.get(("partitions", owner), {})
        return [p for name in sorted(owned) for d in owned[name] if (p := self.partitions.get((d, name))) is not None]


class _Update:
    """Collects one update; copies what it writes to, once."""

    def __init__(self, base: ConfigurationModel) -> None:
        self.base = base
        self.vpns, self.tunnels = dict(base.vpns), dict(base.tunnels)
        self.partitions, self.circuits = dict(base.partitions), dict(base.circuits)
        self.lit = dict(base.lit)
        self.claims: dict[Resource, dict[str, tuple[str, ...]]] = dict(base.claims)  # type: ignore[arg-type]
        self.own: set[Resource] = set()
        self.seen: set[Unit] = set()
        self.stood: set[tuple[Resource, str]] = set()

    def result(self) -> ConfigurationModel:
        known = self.base.loads.by_service
        moved = {owner_of(kind, name) for kind, _, name in self.seen} if known else ()
        return ConfigurationModel(
            self.vpns,
            self.tunnels,
            self.partitions,
            self.circuits,
            self.lit,
            self.claims,
            frozenset(self.seen),
            frozenset(self.stood),
            self.base.loads.without(moved),
            self.base.ports,
        )

    def unit(self, domain: str, step: Step, tree: Tree) -> None:
        """Read one unit again, and exchange what the old one claimed for what the new one claims."""
        kind, key = _KINDS.get(step[0], ""), (domain, str(step[1]))
        if kind == "vpn":
            found = below(tree, *parse.VPNS, step)
            self._swap(self.vpns, key, parse.vpn(domain, found, self.vpns.get(key)) if found else None, claims_of_vpn)
        elif kind == "tunnel":
            found = below(tree, *parse.TUNNELS, step)
            self._swap(
                self.tunnels, key, parse.tunnel(domain, found, self.base.ports) if found else None, claims_of_tunnel
            )
        elif kind == "partition":
            found = below(tree, *parse.PARTITIONS, step)
            self._swap(self.partitions, key, parse.partition(domain, found) if found else None, claims_of_partition)
        elif kind == "circuit":
            found = below(tree, step)
            if (old := self.circuits.get(key)) is not None:
                self.stood.update((resource, label) for resource, label, _ in claims_of_circuit(old))
            self._swap(self.circuits, key, parse.circuit(domain, found) if found else None, claims_of_circuit)
        else:
            self._network(domain, step, tree)
            return
        self.seen.add((kind, *key))

    def _network(self, domain: str, step: Step, tree: Tree) -> None:
        """Read the links that are configured into a domain's own network; one to be measured forwards nothing."""
        found, network = below(tree, *parse.NETWORKS, step), str(step[1])
        if "nw:network-types" in found:
            return
        listed = entries(found, "nt:link") if found else ()
        now = {keys[0]: parse.lit_direction(domain, network, link) for keys, link in listed}
        gone = {name for (d, name), link in self.lit.items() if (d, link.network) == (domain, network)} - now.keys()
        for name in gone:
            del self.lit[domain, name]
        for name, link in now.items():
            if self.lit.get((domain, name)) != link:
                self.lit[domain, name] = link
                self.seen.add(("link", domain, name))
        self.seen |= {("link", domain, name) for name in gone}

    def _swap(self, units: dict[Key, T], key: Key, new: T | None, claims_of: Callable[[T], Iterator[Claim]]) -> None:
        old = units.get(key)
        if old is None and new is not None:
            for claim in dict.fromkeys(claims_of(new)):
                self._enter(claim)
            units[key] = new
            return
        before = dict.fromkeys(claims_of(old)) if old is not None else {}
        after = dict.fromkeys(claims_of(new)) if new is not None else {}
        for claim in before.keys() - after.keys():
            self._withdraw(claim)
        for claim in after:
            if claim not in before:
                self._enter(claim)
        if new is None:
            units.pop(key, None)
        else:
            units[key] = new

    def _enter(self, claim: Claim) -> None:
        resource, label, owner = claim
        table = self._table(resource)
        there = table.get(label)
        table[label] = (owner,) if there is None else tuple(sorted((*there, owner)))

    def _withdraw(self, claim: Claim) -> None:
        resource, label, owner = claim
        table = self._table(resource)
        left = tuple(o for o in table.get(label, ()) if o != owner)
        if left:
            table[label] = left
        else:
            table.pop(label, None)
        if not table:
            del self.claims[resource]
            self.own.discard(resource)

    def _table(self, resource: Resource) -> dict[str, tuple[str, ...]]:
        if resource not in self.own:
            self.claims[resource] = dict(self.claims.get(resource, {}))
            self.own.add(resource)
        return self.claims[resource]


def claims_of_vpn(vpn: Vpn) -> Iterator[Claim]:
    for access in vpn.accesses.values():
        yield ("vlan", str(access.where)), str(access.vlan), f"{vpn.id}|{access.id}"
    for instance in vpn.instances.values():
        owner = f"{vpn.id}|{instance.node}|{instance.profile}"
        yield ("rd", vpn.domain), instance.rd, owner
        for target in instance.imports:
            yield ("import", vpn.domain), target, owner
        for target in instance.exports:
            yield ("export", vpn.domain), target, owner


def claims_of_tunnel(tunnel: Tunnel) -> Iterator[Claim]:
    yield ("tunnels", owner_of("tunnel", tunnel.name)), tunnel.name, tunnel.domain


def claims_of_partition(partition: Partition) -> Iterator[Claim]:
    yield ("partitions", owner_of("partition", partition.name)), partition.name, partition.domain
    yield ("nrp-id", partition.domain), str(partition.nrp_id), partition.name


def claims_of_circuit(circuit: Circuit) -> Iterator[Claim]:
    yield ("circuits", circuit.owner), circuit.id, circuit.domain
    for port, vlan in circuit.ends:
        yield ("client", port), str(vlan), circuit.id
    for role, leg in (("working", circuit.working), ("protect", circuit.protect)):
        if leg is None:
            continue
        kept = KEPT if circuit.shared and leg is circuit.protect else ""
        for at, (hop, slots) in enumerate(zip(leg.route, leg.slots, strict=False)):
            for slot in slots:
                yield (f"{kept}slot", hop), str(slot), f"{circuit.id}|{role} {at}"
        if circuit.layer == "wavelength":
            for at, hop in enumerate(leg.route):
                yield (f"{kept}channel", hop), str(leg.channel), f"{circuit.id}|{role} {at}"

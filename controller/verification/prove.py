"""The verdict on a change, before anything of it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from controller.intent.model import DedicatedPlane, ExclusiveSlice, Service, ServiceId, VipAssurance
from controller.network.model import CityMap
from controller.verification.bookings import circuit_bookings, partition_bookings, tunnel_bookings
from controller.verification.forwarding import Forwarding
from controller.verification.igp import Interior
from controller.verification.model import ConfigurationModel, Unit, owner_of
from controller.verification.networks import NetworkProver
from controller.verification.planes import PlaneProver
from controller.verification.proof import CounterExample, Proofs, Property
from controller.verification.slices import SliceProver
from controller.verification.vips import VipProver
from controller.verification.walks import Walks

MOST_EXAMPLES = 20  # a person reads the first; more than this only repeats it
MOST_OF_ONE = 5  # and of one unit or service: the others' must not be hidden

_last: list[Interior] = []  # shortest paths of the newest map: they change only with the map

ServiceProver = PlaneProver | SliceProver | VipProver


def prove(
    model: ConfigurationModel,
    city: CityMap,
    intents: Mapping[ServiceId, Service],
    changed: Iterable[ServiceId],
) -> Proofs:
    """Check everything that a change could have broken, and return a counter-example for each thing it did break.

    model: the configuration after the change, its `looked_at` the units that changed. intents: all active services
    after the change. changed: services put or removed. The work is in what changed: its units, its services, and the
    VIPs over the VPNs that it touched.
    """
    forwarding = Forwarding(model, city, _interior(city))
    broken = tuple(islice(_Change(forwarding, intents, set(changed)).examine(), MOST_EXAMPLES))
    failed = {example.broken for example in broken}
    return Proofs(tuple(p for p in Property if p not in failed), broken, forwarding.steps)


class _Change:
    """One change under examination: which services it concerns, and their provers."""

    def __init__(self, forwarding: Forwarding, intents: Mapping[ServiceId, Service], changed: set[ServiceId]) -> None:
        self.forwarding, self.model, self.intents = forwarding, forwarding.model, intents
        self.vips: dict[ServiceId, list[VipAssurance]] = {}
        for service in intents.values():
            if isinstance(service, VipAssurance):
                self.vips.setdefault(service.protects, []).append(service)
        touched = changed | {self._owner(unit) for unit in self.model.looked_at}
        above = {vip.metadata.service for sid in touched for vip in self.vips.get(sid, ())}
        # What carries comes before what it carries: a broken plane explains its broken VIP.
        self.concerned = sorted((touched | above) & intents.keys(), key=lambda s: (s in above, s))
        self._walks: dict[str, Walks] = {}
        self._provers: dict[ServiceId, ServiceProver] = {}

    def examine(self) -> Iterator[CounterExample]:
        for unit in sorted(self._units()):
            yield from islice(self._unit(unit), MOST_OF_ONE)
        for sid in self.concerned:
            yield from islice(self._prover(sid).check(), MOST_OF_ONE)
        yield from self._capacity()

    def _units(self) -> set[Unit]:
        """Return the units that changed, and those whose rightness hangs on them: what faces or draws from them."""
        found = set(self.model.looked_at)
        for unit in self.model.looked_at:
            owner = self._owner(unit)
            vpn_id = owner.replace("/", ".", 1)
            if unit[0] in ("vpn", "circuit"):  # both ends of a border or circuit
                found |= {("vpn", d, vpn_id) for d in self.forwarding.city.domains if (d, vpn_id) in self.model.vpns}
            elif unit[0] == "partition":
                users = (owner, *(vip.metadata.service for vip in self.vips.get(owner, ())))
                found |= {("tunnel", t.domain, t.name) for user in users for t in self.model.tunnels_of(user)}
        return found

    def _owner(self, unit: Unit) -> ServiceId:
        kind, domain, name = unit
        circuit = self.model.circuits.get((domain, name)) if kind == "circuit" else None
        return ServiceId(circuit.owner) if circuit is not None else owner_of(kind, name)

    def _unit(self, unit: Unit) -> Iterator[CounterExample]:
        kind, domain, name = unit
        at = (domain, name)
        if kind == "vpn" and at in self.model.vpns:
            protectors = tuple(self.vips.get(owner_of(kind, name), ()))
            yield from NetworkProver(self.model.vpns[at], self.forwarding, protectors).check()
        elif kind == "tunnel" and at in self.model.tunnels:
            yield from tunnel_bookings(self.model.tunnels[at], self.forwarding)
        elif kind == "partition" and at in self.model.partitions:
            yield from partition_bookings(self.model.partitions[at], self.forwarding)
        elif kind == "circuit" and at in self.model.circuits:
            yield from circuit_bookings(self.model.circuits[at], self.forwarding)
        else:
            return
        owner = self._owner(unit)
        if owner not in self.intents:
            reason = f"no service {owner} stands that it could belong to"
            yield CounterExample(Property.ISOLATION, owner, f"{kind} {name} in {domain}", (), reason)

    def _prover(self, sid: ServiceId) -> ServiceProver:
        if sid not in self._provers:
            service = self.intents[sid]
            walks = self._walks_of(service.protects if isinstance(service, VipAssurance) else sid)
            if isinstance(service, DedicatedPlane):
                self._provers[sid] = PlaneProver(service, walks)
            elif isinstance(service, ExclusiveSlice):
                self._provers[sid] = SliceProver(service, walks)
            else:
                carrier = self.intents.get(service.protects)
                known = carrier if isinstance(carrier, (DedicatedPlane, ExclusiveSlice)) else None
                self._provers[sid] = VipProver(service, known, walks, self.vips[service.protects])
        return self._provers[sid]

    def _walks_of(self, carrier: ServiceId) -> Walks:
        vpn_id = carrier.replace("/", ".", 1)
        if vpn_id not in self._walks:
            self._walks[vpn_id] = Walks(self.forwarding, vpn_id)
        return self._walks[vpn_id]

    def _capacity(self) -> Iterator[CounterExample]:
        """Check every link that the concerned services load: together with all others, at what is guaranteed."""
        book, city = self.model.loads, self.forwarding.city
        book.start_over(city)
        for sid in self.concerned:
            book.drop(sid)
        for sid in self.intents.keys() - book.by_service.keys():
            book.put(sid, self._prover(sid).loads())
        full: dict[str, None] = {}
        for sid in self.concerned:
            for link_id, bps in sorted(book.by_service[sid].items()):
                self.forwarding.steps += 1
                link = city.link_by_id.get(link_id)
                if bps and link is not None and link_id not in full and book.totals[link_id] > link.capacity_bps:
                    full[link_id] = None
                    others = ", ".join(f"{s} {b / 1e9:g}" for s, b in islice(book.heaviest(link_id, sid), 3))
                    reason = (
                        f"{book.totals[link_id] / 1e9:g} Gbit/s are guaranteed on it, {link.capacity_bps / 1e9:g} exist"
                        f"; {sid} {bps / 1e9:g}{f', {others}' if others else ''}"
                    )
                    yield CounterExample(Property.CAPACITY, sid, link_id, (str(link.src), str(link.dst)), reason)


def _interior(city: CityMap) -> Interior:
    if not _last or _last[0].city is not city:
        _last[:] = [Interior(city)]
    return _last[0]

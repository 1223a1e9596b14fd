"""The verdict on a change, before anything of it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from controller.intent.model import DedicatedPlane, Disjointness, ExclusiveSlice, Service, ServiceId, VipAssurance
from controller.network.lit import LIT
from controller.network.model import CityMap
from controller.verification import bulk, plain
from controller.verification.bookings import circuit_bookings, partition_bookings, tunnel_bookings
from controller.verification.forwarding import Forwarding
from controller.verification.igp import Interior
from controller.verification.lit import configured, leftover, link_bookings
from controller.verification.loads import Loads
from controller.verification.model import ConfigurationModel, Unit, owner_of
from controller.verification.networks import NetworkProver
from controller.verification.planes import PlaneProver
from controller.verification.proof import CounterExample, Proofs, Property
from controller.verification.slices import SliceProver
from controller.verification.vips import VipProver
from controller.verification.walks import Walks

MOST_EXAMPLES = 20  # a person reads the first; more than this only repeats it
AGED_AT_ONCE = 20  # services of others whose loads are found anew with each change after links went down or came up
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
    city = configured(model, city)
    forwarding = Forwarding(model, city, _interior(city))
    broken = tuple(islice(_Change(forwarding, intents, set(changed)).examine(), MOST_EXAMPLES))
    failed = {example.broken for example in broken}
    return Proofs(tuple(p for p in Property if p not in failed), broken, forwarding.steps)


def renew(
    model: ConfigurationModel, city: CityMap, intents: Mapping[ServiceId, Service], most: int
) -> tuple[ConfigurationModel, int]:
    """Find anew what services load links with, where it is not known or was found over other states of the links.

    Returns the model with a book of loads of its own, at most so many services further, and how many are left. What
    `prove` says of capacity after a failure is whole again once none is: between changes there is time for what would
    hold up a repair.
    """
    book = model.loads.without(())
    quiet = replace(model, looked_at=frozenset(), loads=book)
    city = configured(model, city)
    left = _Change(Forwarding(quiet, city, _interior(city)), intents, set()).renew(most)
    return replace(model, loads=book), left


class _Change:
    """One change under examination: which services it concerns, and their provers."""

    def __init__(self, forwarding: Forwarding, intents: Mapping[ServiceId, Service], changed: set[ServiceId]) -> None:
        self.forwarding, self.model, self.intents = forwarding, forwarding.model, intents
        self.vips: dict[ServiceId, list[VipAssurance]] = {}
        self._owners: dict[Unit, ServiceId] = {}
        for service in intents.values():
            if isinstance(service, VipAssurance):
                self.vips.setdefault(service.protects, []).append(service)
        self._links_moved = any(self._of_light(unit) for unit in self.model.looked_at)
        touched = changed | {self._owner(unit) for unit in (*self.model.looked_at, *self._over_light())}
        above = {vip.metadata.service for sid in touched for vip in self.vips.get(sid, ())}
        self.gone = changed - intents.keys()
        self.sound: plain.Sound = {}  # tunnels that need no second look
        self.settled: Mapping[ServiceId, Loads] = {}  # services that need none
        self._walks: Walks | None = None
        self.concerned = self._in_order((touched | above) & intents.keys())

    def examine(self) -> Iterator[CounterExample]:
        units = sorted(self._units())
        tunnels = [t for kind, *at in units if kind == "tunnel" and (t := self.model.tunnels.get((at[0], at[1])))]
        if len(tunnels) >= bulk.AT_LEAST:
            self.sound = bulk.sound_tunnels(tunnels, self.forwarding)
            alone = [sid for sid in self.concerned if sid not in self.vips]
            self.settled = plain.settled(alone, self.intents, self.forwarding, self.sound)
        for unit in units:
            yield from islice(self._unit(unit), MOST_OF_ONE)
        book = self.model.loads
        book.start_over(self.forwarding.city)
        book.renew(AGED_AT_ONCE)
        for sid in (*self.concerned, *self.gone):
            book.drop(sid)
        for sid in self.concerned:
            if sid in self.settled:
                book.put(sid, self.settled[sid])
                continue
            prover = self._prover(sid)
            yield from islice(prover.check(), MOST_OF_ONE)
            book.put(sid, prover.loads())
        if not self.intents.keys() <= book.by_service.keys():  # after a new map: everybody
            for sid in self._in_order(self.intents.keys() - book.by_service.keys()):
                book.put(sid, self._prover(sid).loads())
        yield from self._capacity()

    def renew(self, most: int) -> int:
        book = self.model.loads
        book.start_over(self.forwarding.city)
        missing = [*(self.intents.keys() - book.by_service.keys()), *(book.aging.keys() & self.intents.keys())]
        for sid in self._in_order(sorted(missing)[:most]):
            book.put(sid, self._prover(sid).loads())
        return max(0, len(missing) - most)

    def _carrier(self, sid: ServiceId) -> ServiceId:
        service = self.intents[sid]
        return service.protects if isinstance(service, VipAssurance) else sid

    def _in_order(self, services: Iterable[ServiceId]) -> list[ServiceId]:
        """Return services by the VPN that carries them, carriers first: a broken plane explains its broken VIP."""
        return sorted(services, key=lambda sid: (self._carrier(sid), self._carrier(sid) != sid, sid))

    def _units(self) -> set[Unit]:
        """Return the units that changed, and those whose rightness hangs on them: what faces or draws from them."""
        found = {*self.model.looked_at, *self._over_light()}
        for unit in self.model.looked_at:
            owner = self._owner(unit)
            vpn_id = owner.replace("/", ".", 1)
            if unit[0] in ("vpn", "circuit"):  # both ends of a border or circuit
                found |= {("vpn", d, vpn_id) for d in self.forwarding.city.domains if (d, vpn_id) in self.model.vpns}
            elif unit[0] == "partition":
                users = (owner, *(vip.metadata.service for vip in self.vips.get(owner, ())))
                found |= {("tunnel", t.domain, t.name) for user in users for t in self.model.tunnels_of(user)}
        return found

    def _of_light(self, unit: Unit) -> bool:
        """Whether a unit is a link that was lit for services, or the light under one."""
        return unit[0] == "link" or (unit[0] == "circuit" and unit[2].startswith(LIT))

    def _over_light(self) -> set[Unit]:
        """Return the links that are lit, once any of them moved, and the tunnels that ride such, or rode one that went.

        There are few of them; whoever rides one may ride it no more.
        """
        if not self._links_moved:
            return set()
        out, model = self.forwarding.out, self.model
        found: set[Unit] = {("link", *key) for key in model.lit}
        found |= {("circuit", *key) for key in model.circuits if key[1].startswith(LIT)}
        spare = {link.src for link in self.forwarding.city.pinned_links}
        for tunnel in model.tunnels.values():
            hops = (*tunnel.working, *(tunnel.standby or ()))
            if any(hop in spare or hop not in out for hop in hops):
                found.add(("tunnel", tunnel.domain, tunnel.name))
        return found

    def _owner(self, unit: Unit) -> ServiceId:
        if unit not in self._owners:
            kind, domain, name = unit
            circuit = self.model.circuits.get((domain, name)) if kind == "circuit" else None
            own = LIT + name if kind == "link" else None if circuit is None else circuit.owner
            self._owners[unit] = owner_of(kind, name) if own is None else ServiceId(own)
        return self._owners[unit]

    def _unit(self, unit: Unit) -> Iterator[CounterExample]:
        kind, domain, name = unit
        at = (domain, name)
        if kind == "vpn" and self._owner(unit) in self.settled:
            return
        if kind == "vpn" and at in self.model.vpns:
            protectors = tuple(self.vips.get(owner_of(kind, name), ()))
            yield from NetworkProver(self.model.vpns[at], self.forwarding, protectors).check()
        elif kind == "tunnel" and at in self.model.tunnels:
            tunnel, apart = self.model.tunnels[at], self._apart(unit)
            if id(tunnel) not in self.sound or Disjointness.NODE in apart:
                yield from tunnel_bookings(tunnel, self.forwarding, apart)
        elif kind == "partition" and at in self.model.partitions:
            yield from partition_bookings(self.model.partitions[at], self.forwarding)
        elif kind == "circuit" and at in self.model.circuits:
            yield from circuit_bookings(self.model.circuits[at], self.forwarding, self._apart(unit))
        elif kind == "link" and at in self.model.lit:
            yield from link_bookings(self.model.lit[at], self.model, self.forwarding.city)
        else:
            return
        owner = self._owner(unit)
        if self._named(unit) != name:
            reason = f"it calls itself {self._named(unit) or 'nothing'}: who asks for it by name does not find it"
            yield CounterExample(Property.REACHABILITY, owner, f"{kind} {name} in {domain}", (), reason)
        if owner.startswith(LIT):
            if kind == "circuit" and leftover(self.model.circuits[at], self.model, self.forwarding.city):
                yield CounterExample(Property.ISOLATION, owner, f"circuit {name}", (), "no IP link runs over it")
        elif owner not in self.intents:
            reason = f"no service {owner} stands that it could belong to"
            yield CounterExample(Property.ISOLATION, owner, f"{kind} {name} in {domain}", (), reason)

    def _named(self, unit: Unit) -> str:
        """Return the name that a unit's own leaf gives it; the key of its entry is another leaf on paper only."""
        kind, *at = unit
        key = (at[0], at[1])
        if kind == "link":
            return self.model.lit[key].id
        if kind in ("vpn", "circuit"):
            return self.model.vpns[key].id if kind == "vpn" else self.model.circuits[key].id
        return self.model.tunnels[key].name if kind == "tunnel" else self.model.partitions[key].name

    def _apart(self, unit: Unit) -> tuple[Disjointness, ...]:
        service = self.intents.get(self._owner(unit))
        return service.disjoint if isinstance(service, ExclusiveSlice) else (Disjointness.SRLG,)

    def _prover(self, sid: ServiceId) -> ServiceProver:
        service, carrier = self.intents[sid], self._carrier(sid)
        vpn_id = carrier.replace("/", ".", 1)
        if self._walks is None or self._walks.vpn_id != vpn_id:
            self._walks = Walks(self.forwarding, vpn_id)  # those before are done with: thousands would fill memory
        if isinstance(service, DedicatedPlane):
            return PlaneProver(service, self._walks)
        if isinstance(service, ExclusiveSlice):
            return SliceProver(service, self._walks)
        below = self.intents.get(carrier)
        known = below if isinstance(below, (DedicatedPlane, ExclusiveSlice)) else None
        return VipProver(service, known, self._walks, self.vips[carrier])

    def _capacity(self) -> Iterator[CounterExample]:
        """Check every link that the concerned services load: together with all others, at what is guaranteed."""
        book, city = self.model.loads, self.forwarding.city
        full: dict[str, None] = {}
        self.forwarding.steps += sum(len(book.by_service[sid]) for sid in self.concerned)
        loaded = {link_id for sid in self.concerned for link_id in book.by_service[sid]}
        over = {k for k in loaded if (link := city.link_by_id.get(k)) and book.totals[k] > link.capacity_bps}
        for sid in self.concerned if over else ():
            for link_id, bps in sorted(book.by_service[sid].items()):
                if bps and link_id in over and link_id not in full:
                    full[link_id] = None
                    link = city.link_by_id[link_id]
                    others = ", ".join(f"{s} {b / 1e9:g}" for s, b in islice(book.heaviest(link_id, sid), 3))
                    reason = (
                        f"{book.totals[link_id] / 1e9:g} Gbit/s are guaranteed on it, {link.capacity_bps / 1e9:g} exist"
                        f"; {sid} {bps / 1e9:g}{f', {others}' if others else ''}"
                    )
                    yield CounterExample(Property.CAPACITY, sid, link_id, (str(link.src), str(link.dst)), reason)


def _interior(city: CityMap) -> Interior:
    if not _last or _last[0].city.links is not city.links or _last[0].city.nodes is not city.nodes:
        _last[:] = [Interior(city)]
    return _last[0]

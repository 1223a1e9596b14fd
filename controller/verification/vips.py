"""VIP assurance: every assured packet is recognised where it enters, treated as promised, and rides its own tunnels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from controller.intent.model import (
    Boundaries,
    Conference,
    DedicatedPlane,
    ExclusiveSlice,
    MediaFlow,
    Party,
    VipAssurance,
)
from controller.verification.classes import (
    REST,
    Classifier,
    Packet,
    belongs,
    class_of,
    from_server,
    misclassified,
    mistreated,
    to_server,
)
from controller.verification.facts import Access, Tunnel, covers
from controller.verification.forwarding import Key, Way, key_of
from controller.verification.loads import Loads
from controller.verification.promises import Prover, crosses_two_borders
from controller.verification.proof import CounterExample, Property
from controller.verification.strangers import Guests, shown, stranger
from controller.verification.walks import Walks

Carrier = DedicatedPlane | ExclusiveSlice


class VipProver(Prover):
    """Checks one VIP over the VPN that carries it. `others`: all VIPs over the same VPN."""

    def __init__(
        self, vip: VipAssurance, carrier: Carrier | None, walks: Walks, others: Sequence[VipAssurance]
    ) -> None:
        super().__init__(vip, walks)
        self.vip, self.carrier, self.others = vip, carrier, others
        self.flows = vip.conference.flows if vip.conference is not None else vip.flows
        self.tunnels = self.forwarding.model.tunnels_of(self.id)
        self._classifiers: dict[tuple[str, str], Classifier] = {}

    def check(self) -> Iterator[CounterExample]:
        if self.carrier is None:
            reason = f"{self.vip.protects}, which it protects, does not stand"
            yield self.broken(Property.REACHABILITY, self.vip.protects, (), reason)
            return
        yield from self.tunnels_inside(self.tunnels)
        if self.vip.conference is not None:
            yield from self._meeting(self.vip.conference)
        else:
            yield from self._everywhere()
        yield from self._only_its_own()
        yield from self._rides()

    # -- a conference: parties and an MCU ------------------------------------------------------------------------

    def _meeting(self, conference: Conference) -> Iterator[CounterExample]:
        mcu = self._access(conference.mcu)
        if mcu is None:
            yield self.broken(Property.REACHABILITY, conference.mcu.name, (), "the MCU's access is not configured")
            return
        seats: Counter[str] = Counter(party.access for party in conference.parties)
        seats[conference.mcu.access] = len(conference.parties)
        for party in conference.parties:
            access = self._access(party)
            if access is None:
                reason = f"its access {party.access} is not configured"
                yield self.broken(Property.REACHABILITY, party.name, (), reason)
                continue
            yield from self._party(party, access, conference, mcu)
        for name, count in sorted(seats.items()):
            access = self.walks.accesses.get(f"{self.walks.vpn_id}.{name}")
            if access is not None:
                yield from self._treated(access, count)
        yield from self._at_borders(conference, mcu)

    def _access(self, party: Party) -> Access | None:
        return self.walks.accesses.get(f"{self.walks.vpn_id}.{party.access}")

    def _party(self, party: Party, access: Access, conference: Conference, mcu: Access) -> Iterator[CounterExample]:
        for flow in self.flows:
            there = to_server(flow, int(party.address), int(conference.mcu.address))
            yield from self._classified(access, f"{party.name} {flow.name} → MCU", there, flow)
            back = from_server(flow, int(conference.mcu.address), int(party.address))
            yield from self._classified(mcu, f"MCU → {party.name} {flow.name}", back, flow)

    def _at_borders(self, conference: Conference, mcu: Access) -> Iterator[CounterExample]:
        """Check the borders between MCU and parties in both directions: a class does not cross by itself."""
        across: Counter[frozenset[str]] = Counter()
        example: dict[frozenset[str], Party] = {}
        for party in conference.parties:
            access = self._access(party)
            way = self.walks.way(key_of(access), key_of(mcu)) if access is not None else Way()
            for pair in {frozenset((near.domain, far.domain)) for near, far in way.borders}:
                across[pair] += 1
                example.setdefault(pair, party)
        for border in self.walks.borders:
            far = self.forwarding.across(border)
            pair = frozenset((border.domain, far.domain)) if far is not None else frozenset()
            if pair not in across:
                continue
            party = example[pair]
            for flow in self.flows:
                there = to_server(flow, int(party.address), int(conference.mcu.address))
                back = from_server(flow, int(conference.mcu.address), int(party.address))
                yield from self._classified(border, f"{party.name} {flow.name} → MCU", there, flow)
                yield from self._classified(border, f"MCU → {party.name} {flow.name}", back, flow)
            yield from self._treated(border, across[pair])

    # -- named flows, or all traffic, between all accesses --------------------------------------------------------

    def _everywhere(self) -> Iterator[CounterExample]:
        accesses = [a for a in self.walks.everywhere if self.forwarding.role(a) == "access"]
        for access in (*accesses, *self.walks.borders):
            peer = next((a for a in accesses if a.id != access.id), access)
            source = access if access in accesses else next((a for a in accesses if a.id != peer.id), access)
            for flow in self.flows:
                version = source.subnet[0] if source.subnet is not None else 4
                ends = (_host(source), _host(peer), version)
                both = (*to_server(flow, *ends), *from_server(flow, *ends))
                yield from self._classified(access, f"{flow.name} {source.id} → {peer.id}", both, flow)
            if not self.flows:
                yield from self._classified(access, f"everything at {access.id}", (_any(source, peer),), None)
            yield from self._treated(access, 1)

    # -- both -----------------------------------------------------------------------------------------------------

    def _classified(
        self, access: Access, witness: str, packets: Iterator[Packet] | Sequence[Packet], flow: MediaFlow | None
    ) -> Iterator[CounterExample]:
        here = (access.domain, access.id)
        if here not in self._classifiers:
            self._classifiers[here] = Classifier(access)
        wanted = class_of(self.vip, flow.target_class if flow is not None else REST)
        for packet in packets:
            self.forwarding.steps += 1
            rule = self._classifiers[here].first(packet)
            reason = misclassified(self.vip, rule, wanted, self.others)
            if reason:
                yield self.broken(Property.REACHABILITY, witness, (access.node,), f"at {access.id} {reason}")
                return

    def _only_its_own(self) -> Iterator[CounterExample]:
        """Check at every access that no rule takes more into a class than what is assured: it would leave less."""
        by_class: dict[str, list[MediaFlow]] = {}
        for flow in self.flows:
            by_class.setdefault(class_of(self.vip, flow.target_class), []).append(flow)
        theirs = [other for other in self.others if other is not self.vip]
        for access in self.walks.everywhere if by_class else ():
            self.forwarding.steps += len(access.rules)
            guests = self._guests(access) if access.rules else Guests()
            for rule in access.rules:
                flows = by_class.get(rule.target)
                packet = stranger(rule, flows, guests, access) if flows else None
                if packet is not None and not any(belongs(rule, other) for other in theirs):
                    reason = f"at {access.id} rule {rule.id} puts what is not assured into class {rule.target}"
                    yield self.broken(Property.CAPACITY, shown(packet), (access.node,), reason)
                    break

    def _guests(self, access: Access) -> Guests:
        conference = self.vip.conference
        if conference is None:
            return Guests()
        server, border = int(conference.mcu.address), self.forwarding.role(access) == "border"
        here = [p for p in conference.parties if f"{self.walks.vpn_id}.{p.access}" == access.id]
        at_server = access.id == f"{self.walks.vpn_id}.{conference.mcu.access}"
        return Guests(server, None if border else frozenset(int(p.address) for p in here), border or at_server)

    def _treated(self, access: Access, seats: int) -> Iterator[CounterExample]:
        """Check what the classes get at one access that so many parties' flows share."""
        binds = "onecity-binding" in self.city.domains[access.domain].modules
        by_class: dict[str, list[MediaFlow]] = {}
        for flow in self.flows:
            by_class.setdefault(flow.target_class, []).append(flow)
        for target, flows in by_class.items() or [(REST, [])]:
            self.forwarding.steps += 1
            rate = sum(f.rate_bps for f in flows) * seats if flows else self.vip.rate_bps or access.rate_bps
            reason = mistreated(access, class_of(self.vip, target), rate, flows, binds)
            if reason:
                yield self.broken(Property.CAPACITY, f"class {target} at {access.id}", (access.node,), reason)

    def _talks(self) -> dict[tuple[Key, Key], int]:
        """Return who talks to whom, by routing instance, and how many parties that stands for."""
        found: Counter[tuple[Key, Key]] = Counter()
        conference, prefix = self.vip.conference, self.walks.vpn_id
        if conference is not None:
            pairs = [(conference.mcu.access, party.access) for party in conference.parties]
        elif isinstance(self.carrier, ExclusiveSlice):
            pairs = [(d.a, d.z) for d in self.carrier.demands]
        else:
            pairs = list(self._site_pairs(self.carrier))
        for a, z in pairs:
            one, two = self.walks.accesses.get(f"{prefix}.{a}"), self.walks.accesses.get(f"{prefix}.{z}")
            if one is not None and two is not None and one.node != two.node:
                found[key_of(one), key_of(two)] += 1
                found[key_of(two), key_of(one)] += 1
        return dict(found)

    def _site_pairs(self, plane: DedicatedPlane | None) -> Iterator[tuple[str, str]]:
        """Yield pairs of a plane's accesses, one for each two provider edges: more would say the same."""
        seen: set[tuple[str, str]] = set()
        for a in plane.accesses if plane is not None else ():
            if plane is not None and plane.hub_and_spoke and not a.hub:
                continue
            for z in plane.accesses if plane is not None else ():
                ends = (self._node(a.name), self._node(z.name))
                if ends not in seen and ends[::-1] not in seen and not (a.hub and z.hub):
                    seen.add(ends)
                    yield a.name, z.name

    def _node(self, name: str) -> str:
        access = self.walks.accesses.get(f"{self.walks.vpn_id}.{name}")
        return access.node if access is not None else ""

    def _rides(self) -> Iterator[CounterExample]:
        """Check that every class arrives in time on tunnels of this VIP with room for it, and over either border."""
        targets = {f.target_class for f in self.flows}
        named = {t: class_of(self.vip, t) for t in targets} or {REST: class_of(self.vip, REST)}
        needed: Counter[str] = Counter()
        free = self.carrier is not None and self.bounds == self.carrier.boundaries == Boundaries()
        spare = free and any(border.rank > 1 for border in self.walks.borders)
        for (src, dst), seats in sorted(self._talks().items()):
            for target, name in sorted(named.items()):
                way = self.walks.way(src, dst, name)
                witness = f"class {target} from {src[2]} to {dst[2]}"
                yield from self.judge(way, witness)
                yield from self._pinned(way, witness)
                for tunnel in way.tunnels:
                    needed[tunnel.name] += seats * sum(f.rate_bps for f in self.flows if f.target_class == target)
                if not way.failure and spare and crosses_two_borders(self.forwarding, way):
                    second = self.walks.way(src, dst, name, cut=True)
                    if not second.torn:
                        yield from self.judge(second, f"{witness}, first border cut", timed=False)
        if self.vip.conference is not None:
            yield from self._room(needed)

    def _pinned(self, way: Way, witness: str) -> Iterator[CounterExample]:
        for domain, src, dst in way.unpinned:
            if "onecity-binding" in self.city.domains[domain].modules:
                reason = f"from {src} to {dst} in {domain} it is steered into no tunnel"
                yield self.broken(Property.REACHABILITY, witness, tuple(way.nodes), reason)
        foreign = next((t for t in way.tunnels if t not in self.tunnels), None)
        if foreign is not None:
            reason = f"it rides tunnel {foreign.name}, which is not this service's"
            yield self.broken(Property.CAPACITY, witness, tuple(way.nodes), reason)

    def _room(self, needed: Counter[str]) -> Iterator[CounterExample]:
        for tunnel in self.tunnels:
            if not covers(tunnel.rate_bps, needed[tunnel.name]):
                reason = f"it has {tunnel.rate_bps / 1e6:g} Mbit/s, its parties need {needed[tunnel.name] / 1e6:g}"
                yield self.broken(Property.CAPACITY, f"tunnel {tunnel.name}", (tunnel.src, tunnel.dst), reason)

    def loads(self) -> Loads:
        """Return what the VIP takes of links: tunnels with their standby, and a conference's media at the borders.

        What leads to a second border carries only while the first is gone, so a link bears the larger of the two
        sums. Of a conference it is known who talks to whom, and so what every tunnel carries in either case.
        """
        normal, spare = self._media() if self.vip.conference is not None else self._tunnels()
        return {link: max(normal[link], spare[link]) for link in {*normal, *spare}}

    def _media(self) -> tuple[Counter[str], Counter[str]]:
        by_class: Counter[str] = Counter()
        for flow in self.flows:
            by_class[class_of(self.vip, flow.target_class)] += flow.rate_bps
        books: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        carried: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for book, rides, cut in zip(books, carried, (False, True), strict=True):
            for (src, dst), seats in self._talks().items():
                for name, rate in by_class.items():
                    way = self.walks.way(src, dst, name, cut=cut)
                    for tunnel in way.tunnels:
                        rides[tunnel.name] += seats * rate
                    for near, _ in way.borders:
                        book[self.forwarding.out[near.where].id] += seats * rate
        for tunnel in self.tunnels:
            most = max(rides[tunnel.name] for rides in carried)
            more = max(0, tunnel.rate_bps - most)  # its domain sets aside what is configured, used or not
            for link in _links(tunnel, self) if tunnel.partition is None else ():
                for book, rides in zip(books, carried, strict=True):
                    book[link] += rides[tunnel.name] + more
        return books

    def _tunnels(self) -> tuple[Counter[str], Counter[str]]:
        normal: Counter[str] = Counter()
        spare: Counter[str] = Counter()
        only_second = self._second_edges()
        for tunnel in self.tunnels:
            if tunnel.partition is None:
                book = spare if {tunnel.src, tunnel.dst} & only_second else normal
                for link in _links(tunnel, self):
                    book[link] += tunnel.rate_bps
        return normal, spare

    def _second_edges(self) -> frozenset[str]:
        """Return the nodes that the VPN uses for nothing but a second border."""
        second = {a.node for a in self.walks.borders if a.rank > 1}
        rest = {a.node for a in self.walks.everywhere if a.rank < 2}
        return frozenset(second - rest)


def _links(tunnel: Tunnel, prover: VipProver) -> Iterator[str]:
    for hop in (*tunnel.working, *(tunnel.standby or ())):
        link = prover.forwarding.out.get(hop)
        if link is not None:
            yield link.id


def _host(access: Access) -> int:
    """Return some address behind an access."""
    span = next(iter(access.spans), access.subnet)
    return min(span[1] + 1, span[2]) if span is not None else 0


def _any(source: Access, peer: Access) -> Packet:
    version = source.subnet[0] if source.subnet is not None else 4
    return Packet(version, _host(source), _host(peer), "17", 40_000, 40_001)

"""Everything that one domain's forwarding follows from: its running configuration, its links, and what it was taught.

A pure value holder: it takes units as the front sends them, port states and adverts, and answers questions. Nothing is
filled in that the configuration does not say (see lab/plant/units.py).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lab.city import City
from lab.openflow.routing import Advert, Place, Tables, adverts, settle
from lab.plant.cable import Link, Port
from lab.plant.physical import Physical
from lab.plant.units import Access, Partition, Path, Tunnel, Vrf, read_partition, read_tunnel, read_vpn


class Domain:
    """One IP domain as its OpenFlow process knows it."""

    def __init__(self, city: City, name: str) -> None:
        self.city, self.name = city, name
        self.nodes = tuple(n.id for n in city.ip[name].nodes)
        physical = Physical(city)
        self.role = physical.port_role
        self.links = {k: link for k, link in physical.links.items() if link.source[0] in self.nodes}
        self.link_from: dict[Port, Link] = {link.source: link for link in self.links.values()}
        self.inner = tuple(link for link in self.links.values() if link.domain == name)
        self._services: dict[str, tuple[Vrf, ...]] = {}
        self.tunnels: dict[str, Tunnel] = {}
        self.partitions: dict[str, Partition] = {}
        self.heard: dict[Place, Advert] = {}  # by our own border place
        self.down: set[Place] = set()  # ports (VLAN 0) and circuits' VLANs that are dark
        self.tables = Tables({}, {})

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def configure(self, put: Mapping[str, Any], drop: Iterable[str], replace: bool) -> None:
        """Take changed units, or all of them."""
        if replace:
            self._services, self.tunnels, self.partitions = {}, {}, {}
        for unit in (*drop, *put):
            kind, _, name = unit.partition("/")
            doc = put.get(unit)
            if kind == "vpn-service":
                self._services.pop(name, None)
                if doc is not None:
                    self._services[name] = read_vpn(self.name, doc)
            elif kind == "tunnel":
                self.tunnels.pop(name, None)
                if doc is not None:
                    self.tunnels[name] = read_tunnel(self.name, doc)
            elif kind == "nrp-policy":
                self.partitions.pop(name, None)
                if doc is not None:
                    self.partitions[name] = read_partition(self.name, doc)

    def settle(self) -> None:
        """Work out the routing tables from what is configured, taught and up."""
        self.tables = settle(self.vrfs(), self.heard, self.access_up)

    # ── what follows ────────────────────────────────────────────────────────────────────────────────────────────

    def vrfs(self) -> Iterator[Vrf]:
        for service in self._services.values():
            yield from service

    def adverts(self) -> dict[Place, Advert]:
        """Return what we say on each border, by the place at the far end, where it is heard."""
        said = adverts(self.vrfs(), self.tables, self.is_border)
        return {(*self.link_from[node, port].destination, vlan): a for (node, port, vlan), a in said.items()}

    def is_border(self, access: Access) -> bool:
        link = self.link_from.get((access.node, access.port))
        return link is not None and link.domain is None

    def is_site(self, access: Access) -> bool:
        return self.role.get((access.node, access.port)) == "access"

    def access_up(self, access: Access) -> bool:
        return self.place_up(access.node, access.port, access.vlan)

    def place_up(self, node: str, port: str, vlan: int) -> bool:
        return (node, port, 0) not in self.down and (node, port, vlan) not in self.down

    def link_up(self, link: Link) -> bool:
        """Whether a link is whole: neither of its ends that we see is dark."""
        far_is_ours = link.destination[0] in self.nodes
        return self.place_up(*link.source, 0) and (not far_is_ours or self.place_up(*link.destination, 0))

    def path_up(self, path: Path) -> bool:
        links = [self.link_from.get(hop) for hop in path.hops]
        return bool(path.hops) and all(link is None or self.link_up(link) for link in links)

    def partition(self, number: int | None) -> Partition | None:
        return next((p for p in self.partitions.values() if p.nrp == number), None) if number is not None else None

    def partition_rates(self) -> dict[Port, dict[int, float]]:
        """Return what each port of the domain has to keep for partitions; every inner port is named."""
        rates: dict[Port, dict[int, float]] = {link.source: {} for link in self.inner}
        for partition in self.partitions.values():
            for link, rate in partition.rates_bps.items():
                if link in self.links:
                    rates.setdefault(self.links[link].source, {})[partition.nrp] = float(rate)
        return rates

    def next_hops(self, target: str) -> dict[str, tuple[Link, ...]]:
        """Return each router's ways towards a target: the shortest first, then the loop-free alternates (RFC 5286)."""
        distance = self._distances(target)
        ways: dict[str, tuple[Link, ...]] = {}
        for node in self.nodes:
            if node == target or node not in distance:
                continue
            out = [k for k in self.inner if k.source[0] == node and self.link_up(k) and k.destination[0] in distance]
            ranked = sorted(out, key=lambda k: (_cost(k) + distance[k.destination[0]], k.id))
            loop_free = [k for k in ranked[1:] if self._loop_free(k, node, distance)]
            ways[node] = (ranked[0], *loop_free)
        return ways

    def _loop_free(self, link: Link, node: str, distance: Mapping[str, int]) -> bool:
        """Whether the neighbour's own shortest way to the target does not lead back through us."""
        neighbour = link.destination[0]
        back = min((_cost(k) for k in self.inner if k.source[0] == neighbour and k.destination[0] == node), default=0)
        return distance[neighbour] < distance[node] + back

    def _distances(self, target: str) -> dict[str, int]:
        into: dict[str, list[Link]] = {}
        for link in self.inner:
            if self.link_up(link):
                into.setdefault(link.destination[0], []).append(link)
        done: dict[str, int] = {}
        queue = [(0, target)]
        while queue:
            metric, node = heapq.heappop(queue)
            if node not in done:
                done[node] = metric
                for link in into.get(node, ()):
                    heapq.heappush(queue, (metric + _cost(link), link.source[0]))
        return done


def _cost(link: Link) -> int:
    return max(1, link.length_m)

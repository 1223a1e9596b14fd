"""Networks to measure and to try the planner on: real ones of SNDlib (through topohub), and seeded cities of any size.

topohub holds the topologies and demand matrices of SNDlib (Orlowski et al., 2010). What they lack is added in one
place: delay from length, capacity as the caller says, ducts from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from random import Random

import numpy as np
import topohub
from scipy.spatial import cKDTree

from controller.intent.model import SiteId
from controller.network.discovered import DomainKind
from controller.network.model import CityMap, Domain, Link, Node, Port, PortRef, Site
from controller.planning.engine.network import Network
from controller.planning.engine.ragged import Indices, Ragged
from tests.support.cities import MODULES

S_PER_KM = 4.897e-6


@dataclass(frozen=True)
class Sample:
    """A network of cables: both directions of cable i are links i and i + cables. `ducts`: cables that share one."""

    name: str
    nodes: int
    a: Indices
    z: Indices
    km: np.ndarray
    ducts: tuple[tuple[int, ...], ...] = ()
    demands: tuple[tuple[int, int, float], ...] = field(default=(), repr=False)  # SNDlib's, in its own unit

    @property
    def cables(self) -> int:
        return len(self.a)

    def network(self) -> Network:
        """Return it as the engine's arrays."""
        risks: list[list[int]] = [[] for _ in range(self.cables)]
        for number, cables in enumerate(self.ducts):
            for cable in cables:
                risks[cable].append(number)
        every = np.arange(self.cables)
        return Network(
            self.nodes, np.concatenate((self.a, self.z)), np.concatenate((self.z, self.a)),
            np.tile(self.km * S_PER_KM, 2), Ragged.of(risks * 2), np.concatenate((every + self.cables, every)),
        )  # fmt: skip

    def map(self, capacity_bps: int) -> CityMap:
        """Return it as a city of one IP domain with a site and an access port at every node."""
        node, place = [f"node:n{i:04d}" for i in range(self.nodes)], [f"s{i:04d}" for i in range(self.nodes)]
        ports: dict[PortRef, Port] = {}
        links: list[Link] = []
        risks: list[set[int]] = [set() for _ in range(self.cables)]
        for number, cables in enumerate(self.ducts):
            for cable in cables:
                risks[cable].add(1000 + number)
        for i, (a, z, km) in enumerate(zip(self.a.tolist(), self.z.tolist(), self.km.tolist(), strict=True)):
            ends = [PortRef(node[n], f"tp:ge-{i}") for n in (a, z)]
            for ref in ends:
                ports[ref] = Port(ref, "ip", (capacity_bps,), "core", None, None, True)
            ids = [f"link:{i:05d}.{way}" for way in ("az", "za")]
            for here, there, ref, far in ((0, 1, *ends), (1, 0, *reversed(ends))):
                links.append(
                    Link(
                        ids[here], "ip", ref, far, capacity_bps, km * S_PER_KM, frozenset(risks[i]), None, 4, 0.9999,
                        None, ids[there], True,
                    )
                )  # fmt: skip
        for n, s in zip(node, place, strict=True):
            ports[PortRef(n, "tp:acc-1")] = Port(PortRef(n, "tp:acc-1"), "ip", (10**13,), "access", None, s, True)
        return CityMap(
            1,
            {s: Site(SiteId(s), s, "west", 0.0, 0.0, PortRef(n, "tp:acc-1")) for n, s in zip(node, place, strict=True)},
            {"ip": Domain("ip", DomainKind.IP, "net:ip", 65001, MODULES, frozenset(), frozenset())},
            {
                n: Node(n, "ip", DomainKind.IP, s, frozenset({"west"}), 4, 0.99999, f"10.0.{i // 250}.{i % 250}", True)
                for i, (n, s) in enumerate(zip(node, place, strict=True))
            },
            ports, tuple(sorted(links, key=lambda k: k.id)), {}, {},
            {1000 + i: f"D{i}" for i in range(len(self.ducts))},
        )  # fmt: skip


@cache
def sndlib(name: str) -> Sample:
    """Return `newyork` (16 nodes, 49 links), `germany50` (50, 88) or `brain` (161, 166; 14,311 demands)."""
    found = topohub.get(f"sndlib/{name}")
    edges = sorted((min(e["source"], e["target"]), max(e["source"], e["target"]), e["dist"]) for e in found["edges"])
    demands = sorted(
        (int(a), int(z), float(value))
        for a, row in found["graph"]["demands"].items()
        for z, value in row.items()
        if value > 0
    )
    a, z, km = (np.array(column) for column in zip(*edges, strict=True))
    return Sample(name, len(found["nodes"]), a, z, km.astype(np.float64), (), tuple(demands))


def with_ducts(sample: Sample, count: int, seed: int = 1, most: int = 4) -> Sample:
    """Return the network with ducts of 2 to `most` cables that leave the same node, as trenches out of a building."""
    random = Random(seed)
    ducts = []
    while len(ducts) < count:
        node = random.randrange(sample.nodes)
        here = [i for i in range(sample.cables) if node in (sample.a[i], sample.z[i])]
        if len(here) > 2:
            ducts.append(tuple(sorted(random.sample(here, min(len(here) - 1, random.randint(2, most))))))
    return Sample(sample.name, sample.nodes, sample.a, sample.z, sample.km, tuple(ducts), sample.demands)


@cache
def city(nodes: int = 1000, links: int = 3000, ducts: int = 300, seed: int = 1) -> Sample:
    """Return a city: 2-connected, cables between neighbours, ducts of 2 to 20 cables that lie close together.

    A closed tour through every node (along a grid of strips) makes it 2-connected; the shortest cables between
    neighbours fill up to `links`. Positions are even over a square of 40 km.
    """
    rng = np.random.default_rng(seed)
    place = rng.random((nodes, 2)) * 40
    tour = _tour(place)
    pairs = {(min(a, z), max(a, z)): None for a, z in zip(tour, np.roll(tour, -1), strict=True)}
    _, near = cKDTree(place).query(place, k=min(nodes, 12))
    more = sorted(
        {(min(i, int(j)), max(i, int(j))) for i in range(nodes) for j in near[i][1:]} - set(pairs),
        key=lambda e: (float(np.hypot(*(place[e[0]] - place[e[1]]))), e),
    )
    spread = [
        more[i] for i in sorted(rng.permutation(min(len(more), 2 * links))[: max(0, links - len(pairs))].tolist())
    ]
    every = sorted([(int(a), int(z)) for a, z in pairs] + spread)
    a, z = (np.array(column, dtype=np.int64) for column in zip(*every, strict=True))
    middle = (place[a] + place[z]) / 2
    tree = cKDTree(middle)
    found: set[tuple[int, ...]] = set()
    while len(found) < ducts:
        size = int(rng.integers(2, 21))
        _, close = tree.query(rng.random(2) * 40, k=2 * size)
        found.add(tuple(sorted(rng.permutation(close)[:size].tolist())))
    return Sample(f"city{nodes}", nodes, a, z, np.hypot(*(place[a] - place[z]).T), tuple(sorted(found)))


def _tour(place: np.ndarray) -> np.ndarray:
    """Return all nodes along strips up and down, closed by a way back along the edge."""
    strips = 2 * max(1, round(len(place) ** 0.5 / 4))
    strip = np.minimum((place[:, 0] / 40 * strips).astype(int), strips - 1)
    upward = np.where(strip % 2 == 0, place[:, 1], -place[:, 1])
    return np.lexsort((upward, strip))

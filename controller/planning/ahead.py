"""Ways for many slices of a batch at once, found by the engine before each is placed by itself.

Only what the engine can weigh alone: slices of kind `nrp` that are new, keep away from nobody and stay inside one
domain. What it finds is a proposal; whoever places the slice takes it where it serves and looks for itself elsewhere.
The working way is the quickest that leaves a second one, not the one of the pair that is quickest together.
Where not all fit and the caller gives rounds for it, all compete at once (`engine/packing.py`) instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from controller.intent.model import Boundaries, Disjointness, ExclusiveSlice, Isolation, Protection, Service, ServiceId
from controller.network.ledger import BitsPerSecond
from controller.network.model import CityMap
from controller.planning.chains import Segment
from controller.planning.draft import Proposal
from controller.planning.engine.batch import route
from controller.planning.engine.demands import ANY_HOPS, Answers, Demands, Fate
from controller.planning.engine.network import Apart, Mask
from controller.planning.engine.packing import pack
from controller.planning.engine.room import Room
from controller.planning.layers import Layers, ip_mask
from controller.planning.paths import Path

FEWEST = 8  # slices that make it worth while
MOST_PACKED = 2000  # demands that may compete at once: the work grows faster than their number
_APART = {Disjointness.LINK: Apart.LINKS, Disjointness.SRLG: Apart.RISKS, Disjointness.NODE: Apart.NODES}
_Fence = tuple[Boundaries, str | None, str]  # where a slice may run, and the domain


@dataclass(frozen=True, slots=True)
class Ahead:
    """`ways`: those found, which fit together. `left_out`: whom the others left no room, to be placed after them."""

    ways: dict[ServiceId, Proposal] = field(default_factory=dict)
    left_out: frozenset[ServiceId] = frozenset()


def proposals(
    city: CityMap,
    net: Layers,
    free: BitsPerSecond,
    wanted: Iterable[Service],
    first: Collection[ServiceId] = (),
    rounds: int = 0,
) -> Ahead:
    """Return ways that fit together, in the order in which the services are to be placed.

    free: by link. first: the services that nobody else may displace. rounds: 0 places one after the other.
    """
    rows = [row for service in wanted for row in _rows(city, service)]
    if len({name for name, *_ in rows}) < FEWEST:
        return Ahead()
    fences: dict[_Fence, int] = {}
    for _, wish, segment, _ in rows:
        fences.setdefault((wish.boundaries, wish.plane, segment[0]), len(fences))
    masks = [_mask(net, fence) for fence in fences]
    index = net.ip.node_index
    demands = Demands.of(
        [index[s[1]] for _, _, s, _ in rows], [index[s[2]] for _, _, s, _ in rows], [rate for *_, rate in rows],
        budget_s=[np.inf if w.slo.latency_s is None else w.slo.latency_s for _, w, _, _ in rows],
        hops=[ANY_HOPS if w.slo.most_hops is None else w.slo.most_hops for _, w, _, _ in rows],
        rank=[name not in first for name, *_ in rows],
        apart=[_apart(w) for _, w, _, _ in rows],
        fence=[fences[w.boundaries, w.plane, s[0]] for _, w, s, _ in rows],
    )  # fmt: skip
    answers = route(Room.of(net.ip.net, free), demands, masks, order=np.arange(len(rows)))
    if rounds and len(rows) <= MOST_PACKED and (answers.fate == Fate.FULL).any():
        number: dict[ServiceId, int] = {}
        group = np.array([number.setdefault(name, len(number)) for name, *_ in rows])
        answers = pack(Room.of(net.ip.net, free), demands, masks, group, rounds)
    return _gathered(rows, answers)


_Row = tuple[ServiceId, ExclusiveSlice, Segment, int]


def _rows(city: CityMap, service: Service) -> Iterator[_Row]:
    """Yield what a slice asks between each two of its routers; nothing where the engine cannot weigh it."""
    if not isinstance(service, ExclusiveSlice) or service.isolation is not Isolation.NRP:
        return
    if service.diverse_from or service.together_with:
        return
    node: dict[str, str] = {}
    for access in service.endpoints:
        site = city.sites.get(access.site)
        if site is None or site.access is None or access.port is not None:
            return
        node[access.name] = site.access.node
    rates: Counter[Segment] = Counter()
    for demand in service.demands:
        a, z = sorted((node[demand.a], node[demand.z]))
        if city.nodes[a].domain != city.nodes[z].domain:
            return
        if a != z:
            rates[city.nodes[a].domain, a, z] += demand.rate_bps
    yield from ((service.metadata.service, service, segment, rate) for segment, rate in sorted(rates.items()))


def _apart(wanted: ExclusiveSlice) -> int:
    if wanted.protection is not Protection.STANDBY:
        return int(Apart.NOTHING)
    kinds = Apart.LINKS
    for kind in wanted.disjoint:
        kinds |= _APART[kind]
    return int(kinds)


def _mask(net: Layers, fence: _Fence) -> Mask:
    boundaries, plane, domain = fence
    mask: Mask = ip_mask(net, boundaries, plane) & net.inside[domain]
    return mask


def _gathered(rows: list[_Row], answers: Answers) -> Ahead:
    found: dict[ServiceId, dict[Segment, tuple[Path, Path | None]]] = {}
    left_out: set[ServiceId] = set()
    for i, placed in enumerate(answers.placed.tolist()):
        name, wanted, segment, _ = rows[i]
        if not placed:
            left_out.add(name)
            continue
        standby = tuple(answers.standby[i].tolist()) if _apart(wanted) else None
        found.setdefault(name, {})[segment] = (tuple(answers.working[i].tolist()), standby)
    return Ahead(dict(found), frozenset(left_out))

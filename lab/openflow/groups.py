"""Where a domain's packets fork: shortest paths with their alternates, and tunnels with their standby.

Every fork is a fast-failover group: a switch that sees its own port go dark takes the next bucket by itself. What goes
dark further away, the OpenFlow process takes out of the groups as soon as a switch tells it. Path labels are numbered
by what they stand for, so that a route that moves gets a new label, is built beside the old one and switched over to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.openflow import frames
from lab.openflow.domain import Domain
from lab.openflow.numbers import Numbers
from lab.openflow.program import (
    CLASS_MASK,
    CLASS_SHIFT,
    FAR,
    LABELS,
    TARGET_MASK,
    TARGET_SHIFT,
    TRANSPORT,
    VRF_MASK,
    Action,
    Group,
    Program,
    apply,
    goto,
)
from lab.plant.units import Path, Tunnel, Vrf

Bucket = tuple[int, tuple[Action, ...]]
_PATH_FIELD = frames.mac(frames.PATH_MASK)


class Forks:
    """Adds labels and groups to the programs of a domain."""

    def __init__(
        self,
        domain: Domain,
        numbers: Numbers,
        ports: Mapping[tuple[str, str, int], int],
        programs: Mapping[str, Program],
    ) -> None:
        self._domain, self._numbers, self._ports, self._programs = domain, numbers, ports, programs
        self._shortest: dict[tuple[str, str], tuple[Bucket, ...]] = {}  # router, target → ways
        self._built: set[str] = set()

    def shortest_paths(self) -> None:
        """Every router reaches every other by a label that stands for it."""
        for target in self._domain.nodes:
            path = self._numbers.of("path", "to", target)
            ways = self._domain.next_hops(target)
            self._programs[target].add(LABELS, 10, _labelled(path), goto(FAR))
            for node in self._domain.nodes:
                if node == target:
                    continue
                buckets = [(port, ("output", port)) for k in ways.get(node, ()) if (port := self._port(k.source))]
                group = self._numbers.of(f"group|{node}", "to", target)
                self._programs[node].groups[group] = Group(tuple((port, (out,)) for port, out in buckets))
                self._programs[node].add(LABELS, 10, _labelled(path), apply(("group", group)))
                label: Action = ("load", "eth_dst", frames.PATH_SHIFT, 16, path)
                self._shortest[node, target] = tuple((port, (label, out)) for port, out in buckets)
                self._entry(node, target, label, group)

    def _entry(self, node: str, target: str, label: Action, group: int) -> None:
        match = {"metadata": (self._numbers.of("router", target) << TARGET_SHIFT, TARGET_MASK)}
        self._programs[node].add(TRANSPORT, 10, match, apply(label, ("group", group)))

    def steering(self, vrf: Vrf, number: int, class_number: Callable[[str, str], int]) -> None:
        """Put a VRF's traffic on its tunnels, by far router and class ("*": all the rest)."""
        node = vrf.key[2]
        for (remote, target), (names, drop_else) in vrf.steering.items():
            if remote not in self._domain.nodes or not names:
                continue
            where = number | self._numbers.of("router", remote) << TARGET_SHIFT
            mask, priority = VRF_MASK | TARGET_MASK, 20
            if target != "*":
                where |= class_number(node, target) << CLASS_SHIFT
                mask, priority = mask | CLASS_MASK, 30
            group = self._numbers.of(f"group|{node}", "tunnels", remote, drop_else, *names)
            if group not in self._programs[node].groups:
                self._programs[node].groups[group] = Group(tuple(self._ways(node, remote, names, drop_else)))
            self._programs[node].add(TRANSPORT, priority, {"metadata": (where, mask)}, apply(("group", group)))

    def _ways(self, node: str, remote: str, names: tuple[str, ...], drop_else: bool) -> list[Bucket]:
        ways: list[Bucket] = []
        for name in names:
            tunnel = self._domain.tunnels.get(name)
            if tunnel is None or tunnel.source != node:
                continue
            for path in tunnel.paths:
                bucket = self._path(tunnel, path)
                if bucket is not None and self._domain.path_up(path):
                    ways.append(bucket)
        return ways if drop_else else [*ways, *self._shortest.get((node, remote), ())]

    def _path(self, tunnel: Tunnel, path: Path) -> Bucket | None:
        """Build a pinned path hop by hop, as configured; return the bucket that sends into it."""
        if not path.hops or path.hops[0][0] != tunnel.source:
            return None
        hops = ",".join(f"{node}/{port}" for node, port in path.hops)
        label = self._numbers.of("path", tunnel.name, path.name, tunnel.destination, hops)
        for node, name in path.hops[1:]:
            port = self._port((node, name))
            if node in self._programs and port is not None and self._inside(node, name):
                self._programs[node].add(LABELS, 10, _labelled(label), apply(("output", port)))
        if tunnel.destination in self._programs:
            self._programs[tunnel.destination].add(LABELS, 10, _labelled(label), goto(FAR))
        first = self._port(path.hops[0])
        if first is None or not self._inside(*path.hops[0]) or not self._partitioned(tunnel, path):
            return None
        steps: tuple[Action, ...] = (("load", "eth_dst", frames.PATH_SHIFT, 16, label),)
        if tunnel.nrp is not None:
            steps += (("load", "eth_src", frames.PARTITION_SHIFT, 16, tunnel.nrp),)
        return first, (*steps, ("output", first))

    def _partitioned(self, tunnel: Tunnel, path: Path) -> bool:
        """A tunnel of a partition uses only links on which that partition has its part."""
        if tunnel.nrp is None:
            return True
        partition = self._domain.partition(tunnel.nrp)
        links = [self._domain.link_from.get(hop) for hop in path.hops]
        return partition is not None and all(link is None or link.id in partition.rates_bps for link in links)

    def _inside(self, node: str, port: str) -> bool:
        link = self._domain.link_from.get((node, port))
        return link is not None and link.domain == self._domain.name

    def _port(self, place: tuple[str, str]) -> int | None:
        return self._ports.get((*place, 0))


def _labelled(path: int) -> dict[str, tuple[str, str]]:
    return {"eth_dst": (frames.label(path, 0), _PATH_FIELD)}

"""Where packets go, derived from configuration units and physical state and from nothing else.

Keeps indexes up to date unit by unit; routing tables are settled again only for the VRFs that a change can reach.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lab.plant.cable import Link, Port
from lab.plant.physical import Physical
from lab.plant.routes import Session, Table, VrfKey, tables
from lab.plant.units import Access, Partition, Tunnel, Vrf, read_partition, read_tunnel, read_vpn

Unit = tuple[str, str]  # domain, unit name


class Forwarding:
    """All configuration that routers run, and the tables that follow from it."""

    def __init__(self, physical: Physical) -> None:
        self.physical = physical
        self.units: dict[Unit, tuple[Vrf, ...]] = {}
        self.vrfs: dict[VrfKey, Vrf] = {}
        self.tunnels: dict[tuple[str, str], Tunnel] = {}
        self.partitions: dict[tuple[str, str], Partition] = {}
        self.partition_by_number: dict[tuple[str, int], Partition] = {}
        self.accesses_at: dict[tuple[str, str, int], list[Access]] = {}
        self.vrf_of: dict[tuple[str, str], VrfKey] = {}  # (domain, access key) → VRF
        self.by_vpn: dict[str, dict[tuple[str, str], Access]] = {}  # vpn → (domain, access id) → access
        self.tables: dict[VrfKey, Table] = {}
        self._importers: dict[tuple[str, str], set[VrfKey]] = {}
        self._exporters: dict[tuple[str, str], set[VrfKey]] = {}
        self._steered: dict[str, set[VrfKey]] = {}  # tunnel → VRFs that steer into it
        self._drawing: dict[tuple[str, int], set[str]] = {}  # (domain, NRP) → tunnels that draw from it
        self._paths: dict[tuple[str, str], dict[str, tuple[Link, ...]]] = {}
        self._unsettled: set[VrfKey] = set()

    # ── configuration ───────────────────────────────────────────────────────────────────────────────────────────

    def change(self, domain: str, put: Mapping[str, Any], drop: Iterable[str]) -> set[str]:
        """Take changed units of one domain; return the VPNs whose traffic may go elsewhere now (None of ours: "")."""
        touched: set[str] = set()
        for unit in (*drop, *put):
            kind, _, name = unit.partition("/")
            if kind == "vpn-service":
                touched |= self._change_vpn(domain, unit, name, put.get(unit))
            elif kind == "tunnel":
                touched |= self._change_tunnel(domain, name, put.get(unit))
            elif kind == "nrp-policy":
                touched |= self._change_partition(domain, name, put.get(unit))
        return touched

    def _change_vpn(self, domain: str, unit: str, name: str, doc: Any) -> set[str]:
        old = self.units.pop((domain, unit), ())
        reach = self._reach(v.key for v in old)
        for vrf in old:
            self._forget(vrf)
        if doc is not None:
            new = read_vpn(domain, doc)
            self.units[domain, unit] = new
            for vrf in new:
                self._learn(vrf)
            reach |= self._reach(v.key for v in new)
        self._unsettled |= reach
        return {name} | {key[1] for key in reach}

    def _change_tunnel(self, domain: str, name: str, doc: Any) -> set[str]:
        old = self.tunnels.pop((domain, name), None)
        if old is not None and old.nrp is not None:
            self._drawing[domain, old.nrp].discard(name)
        if doc is not None:
            new = self.tunnels[domain, name] = read_tunnel(domain, doc)
            if new.nrp is not None:
                self._drawing.setdefault((domain, new.nrp), set()).add(name)
        return {key[1] for key in self._steered.get(name, ()) if key[0] == domain}

    def _change_partition(self, domain: str, name: str, doc: Any) -> set[str]:
        old = self.partitions.pop((domain, name), None)
        if old is not None:
            self.partition_by_number.pop((domain, old.nrp), None)
        numbers = {old.nrp} if old else set()
        if doc is not None:
            new = read_partition(domain, doc)
            self.partitions[domain, name] = self.partition_by_number[domain, new.nrp] = new
            numbers.add(new.nrp)
        names = {tunnel for number in numbers for tunnel in self._drawing.get((domain, number), ())}
        return {key[1] for tunnel in names for key in self._steered.get(tunnel, ())}

    def _learn(self, vrf: Vrf) -> None:
        domain = vrf.key[0]
        self.vrfs[vrf.key] = vrf
        for target in vrf.imports:
            self._importers.setdefault((domain, target), set()).add(vrf.key)
        for target in vrf.exports:
            self._exporters.setdefault((domain, target), set()).add(vrf.key)
        for tunnel in _steers_into(vrf):
            self._steered.setdefault(tunnel, set()).add(vrf.key)
        for access in vrf.accesses:
            self.accesses_at.setdefault((access.node, access.port, access.vlan), []).append(access)
            self.vrf_of[domain, access.key] = vrf.key
            self.by_vpn.setdefault(access.vpn, {})[domain, access.id] = access

    def _forget(self, vrf: Vrf) -> None:
        domain = vrf.key[0]
        self.vrfs.pop(vrf.key, None)
        self.tables.pop(vrf.key, None)
        for target in vrf.imports:
            self._importers[domain, target].discard(vrf.key)
        for target in vrf.exports:
            self._exporters[domain, target].discard(vrf.key)
        for tunnel in _steers_into(vrf):
            self._steered[tunnel].discard(vrf.key)
        for access in vrf.accesses:
            self.accesses_at[access.node, access.port, access.vlan].remove(access)
            self.vrf_of.pop((domain, access.key), None)
            self.by_vpn.get(access.vpn, {}).pop((domain, access.id), None)

    # ── routing tables ──────────────────────────────────────────────────────────────────────────────────────────

    def ports_changed(self, ports: Iterable[Port]) -> set[str]:
        """Follow ports that went up or down; return the VPNs that have accesses on them or hear from those."""
        changed = set(ports)
        keys = [v.key for v in self.vrfs.values() if any((a.node, a.port) in changed for a in v.accesses)]
        reach = self._reach(keys)
        self._unsettled |= reach
        self._paths.clear()
        return {key[1] for key in reach}

    def links_changed(self) -> None:
        """Follow links that came, went, or carry something else than before: every inner way may be another."""
        self._paths.clear()

    def settle(self) -> None:
        """Bring the routing tables up to date."""
        keys = {k for k in self._unsettled if k in self.vrfs}
        self._unsettled.clear()
        if keys:
            vrfs = [self.vrfs[k] for k in sorted(keys)]
            sessions = [s for v in vrfs for s in self._sessions(v)]
            self.tables.update(tables(vrfs, sessions, self.port_up))

    def port_up(self, access: Access) -> bool:
        return self.physical.port_up.get((access.node, access.port), False)

    def _reach(self, keys: Iterable[VrfKey]) -> set[VrfKey]:
        found: set[VrfKey] = set()
        queue = list(keys)
        while queue:
            key = queue.pop()
            if key in found:
                continue
            found.add(key)
            vrf = self.vrfs.get(key)
            if vrf is not None:
                queue.extend(k for k in self._neighbours(vrf) if k not in found)
        return found

    def _neighbours(self, vrf: Vrf) -> Iterator[VrfKey]:
        domain = vrf.key[0]
        for target in vrf.exports:
            yield from self._importers.get((domain, target), ())
        for target in vrf.imports:
            yield from self._exporters.get((domain, target), ())
        for access in vrf.accesses:
            if access.bgp is not None:
                for far in self._far_accesses(access):
                    yield self.vrf_of[far.domain, far.key]

    def _far_accesses(self, access: Access) -> list[Access]:
        link = self.physical.link_from.get((access.node, access.port))
        return self.accesses_at.get((*link.destination, access.vlan), []) if link is not None else []

    def _sessions(self, vrf: Vrf) -> Iterator[Session]:
        """Yield the sessions in which this VRF learns: everything must mirror, or the session stays down."""
        for access in vrf.accesses:
            if access.bgp is None or not self.port_up(access):
                continue
            for far in self._far_accesses(access):
                if self.port_up(far) and mirrored(access, far):
                    yield Session(vrf.key, access, self.vrf_of[far.domain, far.key], far)

    # ── inside a domain ─────────────────────────────────────────────────────────────────────────────────────────

    def shortest(self, domain: str, source: str, target: str) -> tuple[Link, ...] | None:
        """Return the links of the IGP's path (length by metric, over links that are up); None where there is none."""
        found = self._paths.get((domain, source))
        if found is None:
            found = self._paths[domain, source] = self._dijkstra(domain, source)
        return found.get(target)

    def _dijkstra(self, domain: str, source: str) -> dict[str, tuple[Link, ...]]:
        physical = self.physical
        out: dict[str, list[Link]] = {}
        for link in physical.links.values():
            if link.domain == domain and physical.link_up[link.id] and link.cost is not None:
                out.setdefault(link.source[0], []).append(link)
        done: dict[str, tuple[Link, ...]] = {}
        queue: list[tuple[float, tuple[str, ...], str, tuple[Link, ...]]] = [(0, (), source, ())]
        while queue:
            metric, names, node, path = heapq.heappop(queue)
            if node in done:
                continue
            done[node] = path
            for link in out.get(node, ()):
                if link.destination[0] not in done and link.cost is not None:
                    heapq.heappush(queue, (metric + link.cost, (*names, link.id), link.destination[0], (*path, link)))
        return done


def mirrored(a: Access, z: Access) -> bool:
    """Whether two border accesses can hold a BGP session: AS numbers, neighbours and subnets answer each other."""
    if a.bgp is None or z.bgp is None:
        return False
    if (a.bgp.local_as, a.bgp.peer_as) != (z.bgp.peer_as, z.bgp.local_as):
        return False
    return _speaks_to(a, z) and _speaks_to(z, a) and {s for s, _, _ in a.addresses} == {s for s, _, _ in z.addresses}


def _speaks_to(a: Access, z: Access) -> bool:
    assert a.bgp is not None
    ours = [address for _, address, _ in a.addresses]
    theirs = [address for _, address, _ in z.addresses]
    return a.bgp.neighbor in theirs and (a.bgp.local_address is None or a.bgp.local_address in ours)


def _steers_into(vrf: Vrf) -> set[str]:
    return {name for names, _ in vrf.steering.values() for name in names}

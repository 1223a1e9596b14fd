"""What the devices of a domain can carry out, beyond what the schema says: ports, links, VLANs, hops, partitions.

Only what a change touches is looked at. A customer address outside its subnet is accepted, as real devices do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lab.ip.topology import DomainTopology
from lab.ip.written import WrittenLinks
from lab.netconf.data import Data, changed_entries, lookup
from lab.netconf.editing import schema_error
from lab.netconf.errors import NetconfError
from lab.netconf.schema import InstancePath, Schema

_SERVICES: InstancePath = ("l3nm:l3vpn-ntw", "l3nm:vpn-services", "l3nm:vpn-service")
_TUNNELS: InstancePath = ("te:te", "te:tunnels", "te:tunnel")
_POLICIES: InstancePath = ("nw:networks", "nrp:nrp-policies", "nrp:nrp-policy")
_ACCESSES = "l3nm:vpn-network-accesses"
_ENCAPSULATION = ("l3nm:connection", "l3nm:encapsulation")
_PATH_LISTS = (("te:primary-paths", "te:primary-path"), ("te:secondary-paths", "te:secondary-path"))
_HOPS = ("te:explicit-route-objects", "te:route-object-include-exclude")
_UNTAGGED = "untagged"


@dataclass(frozen=True, slots=True)
class _Claim:
    """A VLAN of a port, or the port without a tag."""

    node: str
    port: str
    vlan: str


@dataclass(frozen=True, slots=True)
class _Access:
    """One changed access: where it is, what it was, what it becomes."""

    path: InstancePath
    old_node: str
    old: Data | None
    new_node: str
    new: Data | None

    def claims(self) -> tuple[_Claim | None, _Claim | None]:
        return _claim(self.old_node, self.old), _claim(self.new_node, self.new)


class DomainResources:
    """Who holds what in running; answers whether a candidate fits."""

    def __init__(self, schema: Schema, topology: DomainTopology) -> None:
        self._schema, self._topology = schema, topology
        self._holders: dict[_Claim, InstancePath] = {}
        self._numbers: dict[str, str] = {}  # nrp-id → policy
        self._leaving: dict[tuple[str, str], set[tuple[str, ...]]] = {}  # port of no own link → tunnels over it

    def errors(self, old: Data, new: Data) -> list[NetconfError]:
        links = self._topology.written_in(new)
        return [
            *self._link_errors(old, new, links),
            *self._access_errors(old, new, links),
            *self._tunnel_errors(old, new, links),
            *self._policy_errors(old, new),
        ]

    def follow(self, old: Data, new: Data) -> None:
        for key, tunnel, tunnel_new in changed_entries(lookup(old, _TUNNELS), lookup(new, _TUNNELS)):
            for port in self._foreign_hops(tunnel):
                self._leaving[port].discard(key)
            for port in self._foreign_hops(tunnel_new):
                self._leaving.setdefault(port, set()).add(key)
        accesses = list(_changed_accesses(old, new))
        for access in accesses:
            before = access.claims()[0]
            if before is not None and self._holders.get(before) == access.path:
                del self._holders[before]
        for access in accesses:
            after = access.claims()[1]
            if after is not None:
                self._holders[after] = access.path
        for _, before, after in changed_entries(lookup(old, _POLICIES), lookup(new, _POLICIES)):
            if before is not None:
                self._numbers.pop(before.get("nrp:nrp-id", ""), None)
            if after is not None and "nrp:nrp-id" in after:
                self._numbers[after["nrp:nrp-id"]] = after["nrp:name"]

    # links

    def _link_errors(self, old: Data, new: Data, links: WrittenLinks) -> Iterator[NetconfError]:
        if lookup(old, self._topology.links_path) is lookup(new, self._topology.links_path):
            return
        yield from links.errors(self._schema, self._topology.network_path, self._topology.sockets)
        freed = {access.claims()[0] for access in _changed_accesses(old, new)}
        for claim, holder in self._holders.items():
            found = links.from_port.get((claim.node, claim.port))
            if found and claim not in freed:
                where: InstancePath = (*self._topology.network_path, ("nt:link", (found[0].id,)), "nt:source")
                message = f"{claim.port} of {claim.node} is in use by {holder[-1][1][0]}"
                yield schema_error(self._schema, "in-use", message, (*where, "nt:source-tp"))
        yield from self._left_behind(old, new, links)

    def _left_behind(self, old: Data, new: Data, links: WrittenLinks) -> Iterator[NetconfError]:
        """Yield an error for each tunnel over a link that goes, but for those that this very change looks at."""
        tunnels, tunnels_new = lookup(old, _TUNNELS) or {}, lookup(new, _TUNNELS) or {}
        for port, gone in self._topology.written_in(old).from_port.items():
            if links.far_end(*port) == gone[0].destination[0]:
                continue
            for key in sorted(self._leaving.get(port, ())):
                if tunnels.get(key) is tunnels_new.get(key):
                    where = (*_TUNNELS[:-1], ("te:tunnel", key))
                    message = f"{gone[0].id} is still in use"
                    yield schema_error(self._schema, "data-missing", message, where, "instance-required")

    def _foreign_hops(self, tunnel: Data | None) -> set[tuple[str, str]]:
        """Return the ports that a tunnel leaves by and that have no link of the device's own."""
        paths = [p for holder, name in _PATH_LISTS for p in (tunnel or {}).get(holder, {}).get(name, {}).values()]
        hops = (hop.get("te:unnumbered-link-hop") or {} for p in paths for hop in (lookup(p, _HOPS) or {}).values())
        ports = {(hop.get("te:node-id-uri", ""), hop.get("te:link-tp-id-uri", "")) for hop in hops}
        return ports - self._topology.far_end.keys()

    # accesses

    def _access_errors(self, old: Data, new: Data, links: WrittenLinks) -> Iterator[NetconfError]:
        accesses = list(_changed_accesses(old, new))
        freed = {access.claims()[0] for access in accesses}
        taken: dict[_Claim, InstancePath] = {}
        for access in accesses:
            if access.new is None:
                continue
            yield from self._place_errors(access, links)
            claim = access.claims()[1]
            if claim is None:
                continue
            standing = None if claim in freed else self._holders.get(claim)
            holder = taken.get(claim) or standing
            if holder is not None and holder != access.path:
                yield self._in_use(access, claim, holder)
            taken[claim] = access.path

    def _in_use(self, access: _Access, claim: _Claim, holder: InstancePath) -> NetconfError:
        what = "the port without a tag is" if claim.vlan == _UNTAGGED else f"VLAN {claim.vlan} is"
        leaf: InstancePath = (
            ("l3nm:interface-id",) if claim.vlan == _UNTAGGED else (*_ENCAPSULATION, "l3nm:dot1q", "l3nm:cvlan-id")
        )
        message = f"{what} in use on {claim.node} {claim.port} by {holder[-1][1][0]}"
        return schema_error(self._schema, "in-use", message, (*access.path, *leaf))

    def _place_errors(self, access: _Access, links: WrittenLinks) -> Iterator[NetconfError]:
        assert access.new is not None
        node, port = access.new_node, access.new.get("l3nm:interface-id", "")
        if node not in self._topology.nodes:
            where = (*access.path[:5], "l3nm:ne-id")
            yield schema_error(self._schema, "invalid-value", f"{node!r} is no node of this domain", where)
        elif port and (node, port) not in self._topology.ports:
            where = (*access.path, "l3nm:interface-id")
            yield schema_error(self._schema, "invalid-value", f"{node} has no port {port!r}", where)
        elif (node, port) in links.from_port:
            where = (*access.path, "l3nm:interface-id")
            message = f"{port} of {node} is used by {links.from_port[node, port][0].id}"
            yield schema_error(self._schema, "in-use", message, where)

    # tunnels

    def _tunnel_errors(self, old: Data, new: Data, links: WrittenLinks) -> Iterator[NetconfError]:
        for key, _, tunnel in changed_entries(lookup(old, _TUNNELS), lookup(new, _TUNNELS)):
            if tunnel is None:
                continue
            here: InstancePath = (*_TUNNELS[:-1], ("te:tunnel", key))
            ends = {end: tunnel.get(end, {}).get("te:node-id", "") for end in ("te:source", "te:destination")}
            for end, node in ends.items():
                if node and node not in self._topology.nodes:
                    where = (*here, end, "te:node-id")
                    yield schema_error(self._schema, "invalid-value", f"{node!r} is no node of this domain", where)
            for holder, name in _PATH_LISTS:
                for path_key, path in tunnel.get(holder, {}).get(name, {}).items():
                    where = (*here, holder, (name, path_key), *_HOPS[:-1])
                    yield from self._route_errors(path, ends["te:source"], ends["te:destination"], where, links)

    def _route_errors(
        self, path: Data, source: str, destination: str, where: InstancePath, links: WrittenLinks
    ) -> Iterator[NetconfError]:
        """Each hop names the port by which its node sends on; the next hop is whatever is at the other end."""
        hops = lookup(path, _HOPS) or {}
        at = source
        for key, hop in hops.items():
            link = hop.get("te:unnumbered-link-hop")
            if link is None:
                return  # a kind of hop that the schema has and these devices resolve by themselves
            node, port = link.get("te:node-id-uri", ""), link.get("te:link-tp-id-uri", "")
            here: InstancePath = (*where, (_HOPS[-1], key), "te:unnumbered-link-hop")
            far = self._topology.far_end.get((node, port)) or links.far_end(node, port)
            if node not in self._topology.nodes:
                yield schema_error(
                    self._schema, "invalid-value", f"{node!r} is no node of this domain", (*here, "te:node-id-uri")
                )
                return
            if at and node != at:
                message = f"the route is at {at} here, not at {node}"
                yield schema_error(self._schema, "invalid-value", message, (*here, "te:node-id-uri"))
                return
            if far is None:
                message = f"{port!r} of {node} leads to no node of this domain"
                yield schema_error(self._schema, "invalid-value", message, (*here, "te:link-tp-id-uri"))
                return
            at = far
        if hops and destination and at != destination:
            yield schema_error(self._schema, "invalid-value", f"the route ends at {at}, not at {destination}", where)

    # partitions

    def _policy_errors(self, old: Data, new: Data) -> Iterator[NetconfError]:
        changed = list(changed_entries(lookup(old, _POLICIES), lookup(new, _POLICIES)))
        freed = {before["nrp:nrp-id"] for _, before, _ in changed if before and "nrp:nrp-id" in before}
        taken: set[str] = set()
        for key, _, policy in changed:
            number = (policy or {}).get("nrp:nrp-id")
            if number is None:
                continue
            if number in taken or (number in self._numbers and number not in freed):
                where = (*_POLICIES[:-1], ("nrp:nrp-policy", key), "nrp:nrp-id")
                message = f"nrp-id {number} is another policy's"
                yield schema_error(self._schema, "operation-failed", message, where, "data-not-unique")
            taken.add(number)


def _changed_accesses(old: Data, new: Data) -> Iterator[_Access]:
    for vpn, service, service_new in changed_entries(lookup(old, _SERVICES), lookup(new, _SERVICES)):
        nodes, nodes_new = _list(service, "l3nm:vpn-nodes", "l3nm:vpn-node"), None
        nodes_new = _list(service_new, "l3nm:vpn-nodes", "l3nm:vpn-node")
        for node_key, node, node_new in changed_entries(nodes, nodes_new):
            before, after = _ne(node, node_key), _ne(node_new, node_key)
            accesses = _list(node, _ACCESSES, "l3nm:vpn-network-access")
            accesses_new = _list(node_new, _ACCESSES, "l3nm:vpn-network-access")
            moved = node is not None and node_new is not None and before != after
            for key, access, access_new in _pairs(accesses, accesses_new, everything=moved):
                path: InstancePath = (
                    *_SERVICES[:-1],
                    ("l3nm:vpn-service", vpn),
                    "l3nm:vpn-nodes",
                    ("l3nm:vpn-node", node_key),
                    _ACCESSES,
                    ("l3nm:vpn-network-access", key),
                )
                yield _Access(path, before, access, after, access_new)


def _pairs(old: Data | None, new: Data | None, *, everything: bool) -> Iterator[tuple[Any, Any, Any]]:
    if not everything:
        yield from changed_entries(old, new)
        return
    for key in {**(old or {}), **(new or {})}:
        yield key, (old or {}).get(key), (new or {}).get(key)


def _list(holder: Data | None, container: str, name: str) -> Data | None:
    return None if holder is None else holder.get(container, {}).get(name)


def _ne(node: Data | None, key: tuple[str, ...]) -> str:
    """The device of a vpn-node: its ne-id, or its id where that is left out."""
    return "" if node is None else str(node.get("l3nm:ne-id", key[0]))


def _claim(node: str, access: Data | None) -> _Claim | None:
    if access is None or "l3nm:interface-id" not in access:
        return None
    vlan = (lookup(access, _ENCAPSULATION) or {}).get("l3nm:dot1q", {}).get("l3nm:cvlan-id", _UNTAGGED)
    return _Claim(node, access["l3nm:interface-id"], vlan)

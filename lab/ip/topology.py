"""What one IP domain knows of its network: RFC 8345/8795 topology, shared-risk names and service profiles.

It stands in running, read-only, because references of clients point into it; beside its own links stand those that
clients write between its ports towards the optical network. State (oper-status, position) is laid over it for `get`
and follows the plant.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from lab.bandwidth import te_bandwidth
from lab.city import PROPAGATION_S_PER_M, City, IpDomain, IpLink, IpNode, IpPort
from lab.ip.written import Sockets, WrittenLinks, read_link
from lab.netconf.data import Data, grafted, lookup
from lab.netconf.schema import InstancePath, Schema, SchemaNode

QOS_PROFILES = ("plane-default", "slice-committed", "vip")
ROUTING_PROFILES = ("border-primary", "border-secondary")
BFD_PROFILES = ("border",)
_PLANES = ("A", "B")
_LINKS = "nt:link"
_PROFILES_PATH = ("l3nm:l3vpn-ntw", "l3nm:vpn-profiles")
_GLOBALS_PATH = ("te:te", "te:globals")


class DomainTopology:
    """The device's own part of running, and its state."""

    def __init__(self, city: City, domain: str) -> None:
        self.city, self.domain = city, city.ip[domain]
        self.network_path: InstancePath = ("nw:networks", ("nw:network", (self.domain.network_id,)))
        self.ports = {(f"node:{p.node}", f"tp:{p.id}"): p for p in self.domain.ports}
        self.nodes = {f"node:{n.id}": n for n in self.domain.nodes}
        self.links = {wire: (link, src, dst) for wire, link, src, dst in _own_directions(self.domain)}
        self.far_end = {
            (f"node:{src[0]}", f"tp:{src[1]}"): f"node:{dst[0]}"
            for link, src, dst in self.links.values()
            if link.domain is not None
        }
        self.links_path: InstancePath = (*self.network_path, _LINKS)
        by_port = {(f"node:{src[0]}", f"tp:{src[1]}"): wire for wire, (_, src, _) in self.links.items()}
        self.sockets = Sockets(self.ports, by_port)
        self.written = WrittenLinks(())  # as running has them
        self._read: tuple[Data | None, WrittenLinks] = (None, self.written)
        self._written_up: dict[str, bool | None] = {}  # None: the plant has not said
        self._up: dict[InstancePath, bool] = {}
        self._network = self._network_data()
        self._state = self._network
        self._lay_over_state()

    def laid_over(self, saved: Data) -> Data:
        """Return a configuration with what stands in it whatever clients do.

        Links that clients wrote stay where their ports are still what they were.
        """
        entries = self.written_entries(saved)
        kept = {key: entry for key, entry in entries.items() if self.sockets.takes(read_link(entry))}
        network = {**self._network, _LINKS: {**self._network[_LINKS], **kept}} if kept else self._network
        saved = grafted(saved, self.network_path, network)
        return grafted(grafted(saved, _PROFILES_PATH, _profiles()), _GLOBALS_PATH, self._globals())

    def operational(self, running: Data) -> Data:
        """Running with state laid over it."""
        state, entries = self._state, self.written_entries(running)
        if entries:
            links = {key: self._with_state(key[0], entry) for key, entry in entries.items()}
            state = {**state, _LINKS: {**state[_LINKS], **links}}
        return grafted(running, self.network_path, state)

    def _with_state(self, link: str, entry: Data) -> Data:
        return grafted(entry, ("tet:te", "tet:oper-status"), "up" if self._written_up.get(link) else "down")

    # links that clients write

    def written_entries(self, data: Data) -> Data:
        """Return the entries of links that clients wrote, by their keys."""
        links = lookup(data, self.links_path) or {}
        if len(links) <= len(self.links):
            return {}
        return {key: entry for key, entry in links.items() if key[0] not in self.links}

    def written_in(self, data: Data) -> WrittenLinks:
        links = lookup(data, self.links_path)
        if self._read[0] is not links:  # shared between versions that do not differ in it
            self._read = links, WrittenLinks(read_link(entry) for entry in self.written_entries(data).values())
        return self._read[1]

    def follow(self, running: Data, up: bool | None = None) -> tuple[list[str], list[str]]:
        """Take note of written links; return which came (in this state until the plant says more) and which went."""
        before, self.written = self.written.links, self.written_in(running)
        came = [name for name in self.written.links if name not in before]
        went = [name for name in before if name not in self.written.links]
        for name in went:
            del self._written_up[name]
        self._written_up.update(dict.fromkeys(came, up))
        return came, went

    # state

    def source_of(self, link: str) -> tuple[str, str] | None:
        """Return the node and port on the wire by which a link leaves; None for one that is not there."""
        if link in self.links:
            node, port = self.links[link][1]
            return f"node:{node}", f"tp:{port}"
        written = self.written.links.get(link)
        return None if written is None else written.source

    def set_link(self, link: str, up: bool) -> bool:
        """Take a link's state; True if it changed."""
        if link in self._written_up:
            changed = self._written_up[link] is not up
            self._written_up[link] = up
            return changed
        return link in self.links and self._set(((_LINKS, (link,)), "tet:te", "tet:oper-status"), up)

    def set_node(self, node: str, up: bool) -> bool:
        return f"node:{node}" in self.nodes and self._set(
            (("nw:node", (f"node:{node}",)), "tet:te", "tet:oper-status"), up
        )

    def set_port(self, node: str, port: str, up: bool) -> bool:
        known = (f"node:{node}", f"tp:{port}") in self.ports
        entry = ("nt:termination-point", (f"tp:{port}",))
        return known and self._set((("nw:node", (f"node:{node}",)), entry, "tet:te", "tet:oper-status"), up)

    def _set(self, path: InstancePath, up: bool) -> bool:
        if self._up.get(path) == up:
            return False
        self._up[path] = up
        self._state = grafted(self._state, path, "up" if up else "down")
        return True

    def _lay_over_state(self) -> None:
        for node in self.domain.nodes:
            self.set_node(node.id, True)
            site = self.city.sites.get(node.site)
            if site is not None:
                place = {"tet:latitude": f"{site.latitude:.6f}", "tet:longitude": f"{site.longitude:.6f}"}
                path = (("nw:node", (f"node:{node.id}",)), "tet:te", "tet:geolocation")
                self._state = grafted(self._state, path, place)
        for port in self.domain.ports:
            self.set_port(port.node, port.id, True)
        for link in self.links:
            self.set_link(link, True)

    # configuration

    def _network_data(self) -> Data:
        domain = self.domain
        identifier = {
            "tet:provider-id": str(domain.asn),
            "tet:client-id": "0",
            "tet:topology-id": domain.name,
        }
        return {
            "nw:network-id": domain.network_id,
            "nw:network-types": {"tet:te-topology": {}},
            "nw:node": {(f"node:{n.id}",): self._node(n) for n in domain.nodes},
            "nt:link": {(wire,): self._link(wire, *ends) for wire, ends in self.links.items()},
            "tet:te-topology-identifier": identifier,
            "tet:te": {"tet:name": f"{self.city.title}: {domain.name}"},
        }

    def _node(self, node: IpNode) -> Data:
        ports = [p for p in self.domain.ports if p.node == node.id]
        attributes = {
            "tet:admin-status": "up",
            "tet:domain-id": str(self.domain.asn),
            "tet:name": node.id,
            "tet:signaling-address": (node.router_id,),
        }
        return {
            "nw:node-id": f"node:{node.id}",
            "nt:termination-point": {(f"tp:{p.id}",): _port(p, n) for n, p in enumerate(ports, start=1)},
            "tet:te-node-id": node.router_id,
            "tet:te": {"tet:te-node-attributes": attributes},
        }

    def _link(self, wire: str, link: IpLink, src: tuple[str, str], dst: tuple[str, str]) -> Data:
        entry: Data = {
            "nt:link-id": wire,
            "nt:source": {"nt:source-node": f"node:{src[0]}", "nt:source-tp": f"tp:{src[1]}"},
        }
        attributes: Data = {}
        if link.domain is None:
            attributes["tet:external-domain"] = self._external(dst)
        else:
            entry["nt:destination"] = {"nt:dest-node": f"node:{dst[0]}", "nt:dest-tp": f"tp:{dst[1]}"}
        attributes.update(self._link_attributes(link))
        entry["tet:te"] = {"tet:te-link-attributes": attributes}
        return entry

    def _external(self, far: tuple[str, str]) -> Data:
        owner = next(d for d in self.city.ip.values() if any(n.id == far[0] for n in d.nodes))
        router = next(n.router_id for n in owner.nodes if n.id == far[0])
        number = next(i for i, p in enumerate((p for p in owner.ports if p.node == far[0]), start=1) if p.id == far[1])
        return {
            "tet:network-ref": owner.network_id,
            "tet:remote-te-node-id": router,
            "tet:remote-te-link-tp-id": str(number),
        }

    def _link_attributes(self, link: IpLink) -> Data:
        rate = {"tet:te-bandwidth": {"tet:generic": te_bandwidth(link.rate_bps)}}
        attributes: Data = {"tet:access-type": "point-to-point", "tet:admin-status": "up"}
        if link.plane in _PLANES:
            attributes["tet:administrative-group"] = f"{1 << _PLANES.index(link.plane):02x}"
        attributes |= {
            "tet:max-link-bandwidth": rate,
            "tet:max-resv-link-bandwidth": rate,
            "tet:unreserved-bandwidth": {(str(p),): {"tet:priority": str(p), **rate} for p in range(8)},
            "tet:te-default-metric": "10",
            "tet:te-delay-metric": str(max(1, round(link.length_m * PROPAGATION_S_PER_M * 1e6))),
            "tet:te-igp-metric": "10",
        }
        risks = self._srlgs(link)
        if risks:
            attributes["tet:te-srlgs"] = {"tet:value": tuple(str(r) for r in risks)}
        return attributes

    def _srlgs(self, link: IpLink) -> list[int]:
        """The shared risks of the fibres under a link, which the domain holds as configuration."""
        optical = self.city.optical
        route = next((c.route for c in optical.circuits if c.id == link.circuit), ())
        return sorted({srlg for f in optical.fibres if f.id in route for srlg in f.srlgs})

    def _globals(self) -> Data:
        used = {srlg for link, _, _ in self.links.values() for srlg in self._srlgs(link)}
        groups = {
            (f"plane-{p}",): {"te:name": f"plane-{p}", "te:bit-position": str(bit)} for bit, p in enumerate(_PLANES)
        }
        srlgs = {
            (duct,): {"te:name": duct, "te:value": str(value)}
            for duct, value in self.city.ducts.items()
            if value in used
        }
        found: Data = {"te:named-admin-groups": {"te:named-admin-group": groups}}
        if srlgs:
            found["te:named-srlgs"] = {"te:named-srlg": srlgs}
        return found


class DeviceGuard:
    """Denies edits of what the device brought with it. Of its own network clients may write links, and nothing else."""

    def __init__(self, schema: Schema, topology: DomainTopology, *, links: bool = True) -> None:
        """links: whether the routers take links that clients write; without, those are denied too."""
        self._links = links
        self._own_network, self._own_links = (topology.domain.network_id,), topology.links
        self._whole = {schema.node("/" + "/".join(p)) for p in (_PROFILES_PATH, _GLOBALS_PATH)}
        holders = [schema.node(f"/{name}") for name in ("nw:networks", "l3nm:l3vpn-ntw", "te:te")]
        networks = schema.node("/nw:networks/nw:network")
        for node in (*self._whole, *holders, networks, *networks.children.values()):
            node.guarded = True

    def denies(self, node: SchemaNode, path: InstancePath, operation: str) -> bool:
        if node in self._whole:
            return True
        if len(path) == 1:
            return operation in ("replace", "delete", "remove")
        if path[1] != ("nw:network", self._own_network):
            return False
        if len(path) == 2:
            return operation not in ("merge", "none")
        step = path[2]
        is_link = isinstance(step, tuple) and step[0] == _LINKS and step[1][0] not in self._own_links
        return not (is_link and self._links)


def _own_directions(domain: IpDomain) -> Iterable[tuple[str, IpLink, tuple[str, str], tuple[str, str]]]:
    own = {n.id for n in domain.nodes}
    for link in (*domain.links, *domain.borders):
        for wire, src, dst in link.directions():
            if src[0] in own:
                yield wire, link, src, dst


def _port(port: IpPort, number: int) -> Data:
    te: Data = {"tet:admin-status": "up", "tet:name": f"{port.node} {port.id}"}
    if port.lock_id is not None:
        te["tet:inter-layer-lock-id"] = (str(port.lock_id),)
    if port.plug is not None:
        te["tet:inter-domain-plug-id"] = base64.b64encode(port.plug.encode()).decode()
    return {"nt:tp-id": f"tp:{port.id}", "tet:te-tp-id": str(number), "tet:te": te}


def _profiles() -> Data:
    kinds: Mapping[str, tuple[str, ...]] = {
        "l3nm:qos-profile-identifier": QOS_PROFILES,
        "l3nm:bfd-profile-identifier": BFD_PROFILES,
        "l3nm:routing-profile-identifier": ROUTING_PROFILES,
    }
    lists = {kind: {(name,): {"l3nm:id": name} for name in names} for kind, names in kinds.items()}
    return {"l3nm:valid-provider-identifiers": lists}

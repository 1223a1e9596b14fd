"""A city file, read and expanded: the physical truth of which the domain controllers each know a part.

The file names sites, fibres and links as people do; here they become ports, cables, circuits and numbers,
all derived in file order, so that the same file always gives the same city. Rates bit/s, lengths metres.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from lab.rings import spell_out

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)bps")
_SCALE = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
PROPAGATION_S_PER_M = 4.897e-9  # standard single-mode fibre
FIBRE_LOSS_DB_PER_KM = 0.25
CONNECTOR_LOSS_DB = 0.5
SLOTS_PER_ODU4 = 80


class CityError(Exception):
    """The city file is wrong; the message says where and what would be right."""


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    title: str
    region: str
    latitude: float
    longitude: float
    access_class: str


@dataclass(frozen=True, slots=True)
class Fibre:
    """A fibre pair. `ducts` name the shared risks."""

    id: str  # "f-zhihui-nanwan"
    a: str
    z: str
    length_m: int
    loss_db: float
    ducts: tuple[str, ...]
    srlgs: tuple[int, ...]
    odu4: int  # lit ODU4 server links for timeslot services


@dataclass(frozen=True, slots=True)
class ClientPort:
    """A client port of an OTN node: cabled to a router port (`lock_id`), or handed to a site."""

    id: str  # "otn-buji/c3"
    node: str
    rates_bps: tuple[int, ...]
    lock_id: int | None
    site: str | None


@dataclass(frozen=True, slots=True)
class Circuit:
    """Infrastructure that stands before any service: carries an IP link or an ODU4."""

    id: str
    a_port: str  # client port; empty for the circuit under an ODU4 link
    z_port: str
    rate_bps: int
    route: tuple[str, ...]  # fibre ids
    channel: int  # 1..channels, first free one on the whole route


@dataclass(frozen=True, slots=True)
class OduLink:
    id: str  # "odu-f-zhihui-nanwan-1"
    a: str
    z: str
    circuit: str
    slots: int


@dataclass(frozen=True, slots=True)
class OpticalDomain:
    name: str
    channels: int
    nodes: Mapping[str, str]  # node id → site
    fibres: tuple[Fibre, ...]
    client_ports: tuple[ClientPort, ...]
    circuits: tuple[Circuit, ...]
    odu_links: tuple[OduLink, ...]


@dataclass(frozen=True, slots=True)
class IpNode:
    id: str  # "lg-buji"; on the wire "node:lg-buji"
    domain: str
    site: str
    router_id: str
    trust: int


@dataclass(frozen=True, slots=True)
class IpPort:
    """A router port. On the wire `tp:<id>`."""

    node: str
    id: str  # "ge-1" core or border, "acc-1" access, "otn-1" spare towards the OTN
    rate_bps: int
    role: str  # "core" | "border" | "access" | "otn"
    site: str | None  # access: the site that hangs on it
    lock_id: int | None  # cable to an OTN client port
    plug: str | None  # border: equal text on both ends


@dataclass(frozen=True, slots=True)
class IpLink:
    """A cable or circuit between two router ports, both directions. `domain` is None for a border."""

    a: tuple[str, str]  # node id, port id
    z: tuple[str, str]
    domain: str | None
    rate_bps: int
    plane: str | None
    rank: int  # border: 1 primary, 2 secondary; else 0
    circuit: str | None
    length_m: int

    def directions(self) -> tuple[tuple[str, tuple[str, str], tuple[str, str]], ...]:
        """Return (link id on the wire, source, destination) of each direction."""
        return tuple((f"link:{s[0]}.{s[1]}..{d[0]}.{d[1]}", s, d) for s, d in ((self.a, self.z), (self.z, self.a)))


@dataclass(frozen=True, slots=True)
class IpDomain:
    name: str
    asn: int
    network_id: str
    nodes: tuple[IpNode, ...]
    ports: tuple[IpPort, ...]
    links: tuple[IpLink, ...]  # inside the domain
    borders: tuple[IpLink, ...]  # those with an end in this domain


@dataclass(frozen=True, slots=True)
class City:
    name: str
    title: str
    sites: Mapping[str, Site]
    ducts: Mapping[str, int]
    optical: OpticalDomain
    ip: Mapping[str, IpDomain]
    borders: tuple[IpLink, ...]

    def fibre(self, fibre_id: str) -> Fibre:
        return next(f for f in self.optical.fibres if f.id == fibre_id)


def rate_bps(text: str) -> int:
    """Read `100Gbps` as bit/s; raises CityError."""
    match = _RATE.fullmatch(str(text).strip())
    if match is None:
        raise CityError(f"{text!r} is not a rate; write 100Gbps")
    return int(float(match[1]) * _SCALE[match[2]])


def available() -> tuple[str, ...]:
    """Return the names of the cities that ship with the product."""
    return tuple(
        sorted(
            p.name.removesuffix(".yaml") for p in files("lab").joinpath("cities").iterdir() if p.name.endswith(".yaml")
        )
    )


def city_file(name: str) -> Path:
    """Return where a city is written, by name or by a path ending in .yaml; raises CityError."""
    path = Path(name) if name.endswith(".yaml") else Path(str(files("lab").joinpath("cities", f"{name}.yaml")))
    if not path.is_file():
        raise CityError(f"no city {name!r}; there are {', '.join(available())}, or give the path of a .yaml file")
    return path


def load_city(name: str) -> City:
    """Read a city by name, or from a path ending in .yaml; raises CityError."""
    path = city_file(name)
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        return _Builder(spell_out(document)).build()
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise CityError(f"{path.name}: {type(error).__name__}: {error}") from error


class _Builder:
    """Walks the file once, handing out port, cable and channel numbers in file order."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.ports: dict[str, list[IpPort]] = {}
        self.client_ports: list[ClientPort] = []
        self.circuits: list[Circuit] = []
        self.channels: dict[str, set[int]] = {}
        self.next_lock = 1
        self.counters: dict[tuple[str, str], int] = {}

    def build(self) -> City:
        doc, optical, ip = self.document, self.document["optical"], dict(self.document["ip"])
        sites = {
            name: Site(name, s["title"], s["region"], float(s["lat"]), float(s["lon"]), s.get("class", "medium"))
            for name, s in doc["sites"].items()
        }
        fibres = tuple(self._fibre(f, doc["ducts"]) for f in optical["fibres"])
        self.fibre_between = {frozenset((f.a, f.z)): f for f in fibres}
        self.fibres = {f.id: f for f in fibres}
        self.channel_count = int(optical["channels"])
        self.otn_of = dict(optical["nodes"])
        borders_in, access = ip.pop("borders", []), ip.pop("access")
        odu_links = tuple(link for f in fibres for link in self._odu_links(f))
        self.nodes = {
            node: IpNode(node, domain, n["site"], n["routerId"], int(n.get("trust", 1)))
            for domain, d in ip.items()
            for node, n in d["nodes"].items()
        }
        links = {domain: tuple(self._link(link, domain) for link in d.get("links", [])) for domain, d in ip.items()}
        borders = tuple(self._link(link, None) for link in borders_in)
        self._access_ports(sites, access)
        self._spare_ports(optical)
        domain_of = {n.id: n.domain for n in self.nodes.values()}
        domains = {
            name: IpDomain(
                name=name,
                asn=int(d["asn"]),
                network_id=d["network"],
                nodes=tuple(n for n in self.nodes.values() if n.domain == name),
                ports=tuple(p for node in d["nodes"] for p in self.ports.get(node, [])),
                links=links[name],
                borders=tuple(b for b in borders if name in (domain_of[b.a[0]], domain_of[b.z[0]])),
            )
            for name, d in ip.items()
        }
        optical_domain = OpticalDomain(
            name=optical["domain"],
            channels=self.channel_count,
            nodes={node: site for site, node in optical["nodes"].items()},
            fibres=fibres,
            client_ports=tuple(self.client_ports),
            circuits=tuple(self.circuits),
            odu_links=odu_links,
        )
        return City(doc["name"], doc["title"], sites, dict(doc["ducts"]), optical_domain, domains, borders)

    def _fibre(self, f: Mapping[str, Any], ducts: Mapping[str, int]) -> Fibre:
        a, z = f["a"], f["z"]
        for duct in f["ducts"]:
            if duct not in ducts:
                raise CityError(f"fibre {a}–{z}: duct {duct!r} is not under ducts:")
        km = float(f["km"])
        name = f"f-{a.removeprefix('otn-')}-{z.removeprefix('otn-')}"
        loss_db = km * FIBRE_LOSS_DB_PER_KM + 2 * CONNECTOR_LOSS_DB
        return Fibre(
            name,
            a,
            z,
            round(km * 1000),
            loss_db,
            tuple(f["ducts"]),
            tuple(ducts[d] for d in f["ducts"]),
            int(f.get("odu4", 1)),
        )

    def _odu_links(self, fibre: Fibre) -> list[OduLink]:
        links = []
        for n in range(1, fibre.odu4 + 1):
            circuit = self._circuit(f"infra/{fibre.id}/odu4-{n}", "", "", 100 * 10**9, (fibre.id,))
            links.append(OduLink(f"odu-{fibre.id}-{n}", fibre.a, fibre.z, circuit.id, SLOTS_PER_ODU4))
        return links

    def _circuit(self, circuit_id: str, a_port: str, z_port: str, rate: int, route: tuple[str, ...]) -> Circuit:
        taken = [self.channels.setdefault(f, set()) for f in route]
        free = (c for c in range(1, self.channel_count + 1) if not any(c in t for t in taken))
        channel = next(free, None)
        if channel is None:
            raise CityError(f"circuit {circuit_id}: no channel is free on all of {', '.join(route)}")
        for t in taken:
            t.add(channel)
        circuit = Circuit(circuit_id, a_port, z_port, rate, route, channel)
        self.circuits.append(circuit)
        return circuit

    def _link(self, link: Mapping[str, Any], domain: str | None) -> IpLink:
        rate, via = rate_bps(link["rate"]), tuple(link.get("via", ()))
        role = "core" if domain else "border"
        a_id, z_id = self._next_port(link["a"], "ge"), self._next_port(link["z"], "ge")
        plug = f"{link['a']}.{a_id}|{link['z']}.{z_id}" if domain is None else None
        circuit_id, length_m = None, 100
        a_lock = z_lock = None
        if via:
            route = tuple(self._fibre_between(x, y).id for x, y in pairwise(via))
            length_m = sum(self.fibres[f].length_m for f in route)
            a_client, z_client = self._client_port(via[0], (rate,)), self._client_port(via[-1], (rate,))
            a_lock, z_lock = a_client.lock_id, z_client.lock_id
            circuit_id = self._circuit(
                f"infra/{link['a']}.{a_id}-{link['z']}.{z_id}", a_client.id, z_client.id, rate, route
            ).id
        for node, port, lock in ((link["a"], a_id, a_lock), (link["z"], z_id, z_lock)):
            self.ports.setdefault(node, []).append(IpPort(node, port, rate, role, None, lock, plug))
        a, z = (link["a"], a_id), (link["z"], z_id)
        return IpLink(a, z, domain, rate, link.get("plane"), int(link.get("rank", 0)), circuit_id, length_m)

    def _fibre_between(self, x: str, y: str) -> Fibre:
        fibre = self.fibre_between.get(frozenset((x, y)))
        if fibre is None:
            raise CityError(f"no fibre joins {x} and {y}")
        return fibre

    def _client_port(self, node: str, rates: tuple[int, ...], site: str | None = None) -> ClientPort:
        lock = None
        if site is None:
            lock, self.next_lock = self.next_lock, self.next_lock + 1
        port = ClientPort(f"{node}/{self._next_port(node, 'c').replace('-', '')}", node, rates, lock, site)
        self.client_ports.append(port)
        return port

    def _next_port(self, node: str, prefix: str) -> str:
        number = self.counters.get((node, prefix), 0) + 1
        self.counters[node, prefix] = number
        return f"{prefix}-{number}"

    def _access_ports(self, sites: Mapping[str, Site], access: Mapping[str, Any]) -> None:
        rate, elsewhere = rate_bps(access["rate"]), access.get("elsewhere", {})
        for node in self.nodes.values():
            self.ports.setdefault(node.id, []).append(
                IpPort(node.id, self._next_port(node.id, "acc"), rate, "access", node.site, None, None)
            )
        for site, node_id in elsewhere.items():
            if site not in sites or node_id not in self.nodes:
                raise CityError(f"access.elsewhere: {site}: {node_id} is not a site and a router of this city")
            self.ports[node_id].append(
                IpPort(node_id, self._next_port(node_id, "acc"), rate, "access", site, None, None)
            )

    def _spare_ports(self, optical: Mapping[str, Any]) -> None:
        spare, handed = optical["sparePorts"], optical["sitePorts"]
        spare_rates = tuple(rate_bps(r) for r in spare["rates"])
        handed_rates = tuple(rate_bps(r) for r in handed["rates"])
        for node in self.nodes.values():
            for _ in range(int(spare["count"])):
                client = self._client_port(self.otn_of[node.site], spare_rates)
                port = self._next_port(node.id, "otn")
                self.ports[node.id].append(IpPort(node.id, port, max(spare_rates), "otn", None, client.lock_id, None))
        for site, node_id in optical["nodes"].items():
            for _ in range(int(handed["count"])):
                self._client_port(node_id, handed_rates, site)

"""The routing tables of one domain: its own VRFs, and what the neighbours on its borders taught.

The rules are those of the modelled plant (lab/plant/routes.py); but here a domain knows of another only what that one
says over the border session, as with BGP. A session holds while AS numbers, addresses and subnets of both ends answer
each other and the cable is up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.plant.forwarding import mirrored
from lab.plant.routes import Route, VrfKey, merge, offer, originated, sources, with_imports
from lab.plant.units import Access, Address, Bgp, Prefix, Vrf

Place = tuple[str, str, int]  # router, port, VLAN
Taught = tuple[Prefix, tuple[int, ...]]  # prefix, AS path


@dataclass(frozen=True, slots=True)
class Advert:
    """What one end of a border session says: who it is, and what it reaches."""

    session: Access  # only what identifies the session
    routes: tuple[Taught, ...]

    def wire(self) -> dict[str, Any]:
        bgp = self.session.bgp
        assert bgp is not None
        return {
            "as": bgp.local_as,
            "peer_as": bgp.peer_as,
            "local": bgp.local_address,
            "neighbor": bgp.neighbor,
            "addresses": [[subnet, ours] for subnet, ours, _ in self.session.addresses],
            "routes": self.routes,
        }


def read_advert(place: Place, doc: Mapping[str, Any]) -> Advert:
    """Read what another domain sent; raises KeyError, TypeError, ValueError."""
    bgp = Bgp(int(doc["as"]), int(doc["peer_as"]), _address(doc["local"]), _address(doc["neighbor"]), 0)
    addresses = tuple((_prefix(s), (int(a[0]), int(a[1])), None) for s, a in doc["addresses"])
    node, port, vlan = place
    session = Access("", "", node, "", port, vlan, "", addresses, (), bgp, 0, 0, (), {})
    return Advert(session, tuple((_prefix(p), tuple(int(a) for a in path)) for p, path in doc["routes"]))


def _prefix(value: Any) -> Prefix:
    version, length, network = value
    return int(version), int(length), int(network)


def _address(value: Any) -> Address | None:
    return (int(value[0]), int(value[1])) if value is not None else None


@dataclass(frozen=True, slots=True)
class Tables:
    """`own`: what each VRF reaches by its own accesses; `full`: with what it imports from others of its domain."""

    own: Mapping[VrfKey, Mapping[Prefix, Route]]
    full: Mapping[VrfKey, Mapping[Prefix, Route]]


def settle(vrfs: Iterable[Vrf], heard: Mapping[Place, Advert], up: Callable[[Access], bool]) -> Tables:
    """Work out all tables. `heard`: what arrives at each of our border places, from whatever is at the far end."""
    every = list(vrfs)
    own: dict[VrfKey, dict[Prefix, Route]] = {}
    for vrf in every:
        learnt: dict[Prefix, Route] = {}
        for access in vrf.accesses:
            advert = heard.get((access.node, access.port, access.vlan))
            if access.bgp is None or advert is None or not up(access) or not mirrored(access, advert.session):
                continue
            teacher = advert.session.bgp
            assert teacher is not None
            if teacher.local_as == access.bgp.local_as:
                continue
            for prefix, path in advert.routes:
                if access.bgp.local_as not in path:
                    way = (teacher.local_as, *path)
                    route = Route(prefix, access, vrf.key, access.bgp.neighbor, way, access.bgp.preference)
                    offer(vrf.key, learnt, route)
        own[vrf.key] = merge(vrf.key, originated(vrf, up), learnt.values())
    from_whom = sources(every)
    return Tables(own, {k: with_imports(k, own, from_whom[k]) for k in own})


def adverts(vrfs: Iterable[Vrf], tables: Tables, is_border: Callable[[Access], bool]) -> dict[Place, Advert]:
    """Return what this domain says on each of its border places."""
    said: dict[Place, Advert] = {}
    for vrf in vrfs:
        for access in vrf.accesses:
            if access.bgp is not None and is_border(access):
                routes = tuple((p, r.as_path) for p, r in sorted(tables.full[vrf.key].items()))
                said[access.node, access.port, access.vlan] = Advert(access, routes)
    return said

"""IP links that were lit for services: two links in the domain's own network, and the wavelength under them.

The network itself is the domain's. We write links into it and nothing else, so operations stand on the links, never
on the network's entry (`passed_through`).
"""

from __future__ import annotations

from controller.intent.model import ServiceId
from controller.network.lit import LAST_METRIC
from controller.network.model import CityMap, Domain, PortRef
from controller.planning.placement import LitLink
from controller.rendering.bandwidth import bandwidth_text
from controller.rendering.merge import merge
from controller.rendering.optical import circuit_fragment
from controller.rendering.tree import Leaf, Step, Tree

PRIORITIES = 8  # of setup and holding (RFC 3209 §4.7.1)


def passed_through(step: Step, value: Tree | Leaf) -> bool:
    """Say whether an entry is one that is not ours and that we only write into."""
    return step[0] == "nw:network" and isinstance(value, dict) and "nw:network-types" not in value


def with_lit_links(fragments: dict[str, Tree], links: tuple[LitLink, ...], city: CityMap) -> dict[str, Tree]:
    """Return a service's fragments with those of the links that it rides on and others may ride on with it."""
    out = dict(fragments)
    for one in links:
        out[one.domain] = merge(out.get(one.domain, {}), link_fragment(one, city.domains[one.domain]))
        optical = one.circuit.domain
        out[optical] = merge(out.get(optical, {}), circuit_fragment(one.circuit, ServiceId(one.circuit.id)))
    return out


def link_fragment(one: LitLink, domain: Domain) -> Tree:
    """Return both directions of a link as the domain's own network is to hold them (RFC 8795 §5)."""
    entries: Tree = {
        ("nt:link", one.id): _link(one.id, one.a, one.z, one),
        ("nt:link", one.reverse): _link(one.reverse, one.z, one.a, one),
    }
    network = domain.network_id
    return {"nw:networks": {("nw:network", network): {"nw:network-id": network, **entries}}}


def _link(name: str, src: PortRef, dst: PortRef, one: LitLink) -> Tree:
    rate: Tree = {"tet:te-bandwidth": {"tet:generic": bandwidth_text(one.rate_bps)}}
    every: Tree = {("tet:unreserved-bandwidth", str(p)): {"tet:priority": str(p), **rate} for p in range(PRIORITIES)}
    metric = str(LAST_METRIC)  # above every other: routers never choose it by themselves
    attributes: Tree = {
        "tet:access-type": "point-to-point",
        "tet:admin-status": "up",
        "tet:max-link-bandwidth": rate,
        "tet:max-resv-link-bandwidth": rate,
        **every,
        "tet:te-default-metric": metric,
        "tet:te-delay-metric": str(round(one.delay_s * 1e6)),
        "tet:te-igp-metric": metric,
    }
    if one.srlgs:
        attributes["tet:te-srlgs"] = {"tet:value": tuple(sorted(map(str, one.srlgs)))}
    return {
        "nt:link-id": name,
        "nt:source": {"nt:source-node": src.node, "nt:source-tp": src.port},
        "nt:destination": {"nt:dest-node": dst.node, "nt:dest-tp": dst.port},
        "tet:te": {"tet:te-link-attributes": attributes},
    }

"""What an IP domain controller says of its network (RFC 8345, RFC 8795), as values without a protocol.

Missing leaves are normal: servers differ in what they publish, and one absent delay must not hide a whole domain.
Only what the planner cannot do without drops its element: a link without source, a node without id.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

from lxml import etree

from controller.network.discovered import DiscoveredLink, DiscoveredNode, DiscoveredPort, DomainKind, DomainTopology
from controller.rendering.bandwidth import bandwidth_bps

NW = "urn:ietf:params:xml:ns:yang:ietf-network"
L3NM = "urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw"
TE = "urn:ietf:params:xml:ns:yang:ietf-te"
_NS = {
    "nw": NW,
    "nt": "urn:ietf:params:xml:ns:yang:ietf-network-topology",
    "tet": "urn:ietf:params:xml:ns:yang:ietf-te-topology",
    "te": TE,
    "l3nm": L3NM,
    "oc": "urn:onecity:params:xml:ns:yang:onecity-binding",
    "yanglib": "urn:ietf:params:xml:ns:yang:ietf-yang-library",
}
_MODULE = re.compile(r"[?&]module=([^&]+)")
_YANG_LIBRARY = "urn:ietf:params:netconf:capability:yang-library:"
_DELAY_UNIT_S = 1e-6  # te-delay-metric has no unit in the model; microseconds after RFC 7471
_DEFAULT_METRIC = 10
_PLANE_GROUP = "plane-"  # names of administrative groups that are planes

FILTER = (
    f'<networks xmlns="{NW}"><network/></networks>'
    f'<te xmlns="{TE}"><globals/></te>'
    f'<l3vpn-ntw xmlns="{L3NM}"><vpn-profiles/></l3vpn-ntw>'
)
LIBRARY_FILTER = (
    f'<yang-library xmlns="{_NS["yanglib"]}"><module-set><module><name/></module></module-set></yang-library>'
)


def discovery_filter(network_id: str) -> str:
    """Return the content of the subtree filter: one network where its id is known, with names and profiles."""
    if not network_id:
        return FILTER
    network = f"<network><network-id>{_escaped(network_id)}</network-id></network>"
    return FILTER.replace("<network/>", network)


def publishes_library(capabilities: Iterable[str]) -> bool:
    return any(c.startswith(_YANG_LIBRARY) for c in capabilities)


def announced_modules(capabilities: Iterable[str]) -> frozenset[str]:
    """Return the YANG modules that the hello lists."""
    return frozenset(match[1] for c in capabilities if (match := _MODULE.search(c)))


def library_modules(data: etree._Element | None) -> frozenset[str]:
    """Return the modules of a YANG library (RFC 8525)."""
    return frozenset() if data is None else frozenset(_texts(data, ".//yanglib:module/yanglib:name"))


def topology_of(domain: str, network_id: str, data: etree._Element | None, modules: frozenset[str]) -> DomainTopology:
    """Return the domain's topology; an empty one where the network is not there."""
    network = None if data is None else _network(data, network_id)
    if data is None or network is None:
        return DomainTopology(domain, DomainKind.IP, network_id, (), (), modules=modules)
    groups = {int(bit): name for name, bit in _pairs(data, ".//te:named-admin-group", "te:name", "te:bit-position")}
    links = tuple(_links(network, groups))
    rates = {(link.src, link.src_port): rate for link, rate in links}
    profiles = "./l3nm:l3vpn-ntw/l3nm:vpn-profiles/l3nm:valid-provider-identifiers"
    return DomainTopology(
        domain=domain,
        kind=DomainKind.IP,
        network_id=_text(network, "nw:network-id"),
        nodes=tuple(_nodes(network)),
        ports=tuple(_ports(network, rates)),
        links=tuple(link for link, _ in links),
        srlg_names=tuple((int(v), name) for name, v in _pairs(data, ".//te:named-srlg", "te:name", "te:value")),
        qos_profiles=frozenset(_texts(data, f"{profiles}/l3nm:qos-profile-identifier/l3nm:id")),
        routing_profiles=frozenset(_texts(data, f"{profiles}/l3nm:routing-profile-identifier/l3nm:id")),
        modules=modules,
    )


def _network(data: etree._Element, network_id: str) -> etree._Element | None:
    networks = data.findall("nw:networks/nw:network", _NS)
    if network_id:
        return next((n for n in networks if _text(n, "nw:network-id") == network_id), None)
    return next((n for n in networks if n.find("nw:network-types/tet:te-topology", _NS) is not None), None)


def _nodes(network: etree._Element) -> Iterator[DiscoveredNode]:
    for node in network.findall("nw:node", _NS):
        node_id = _text(node, "nw:node-id")
        if not node_id:
            continue
        yield DiscoveredNode(
            id=node_id,
            name=_text(node, "tet:te/tet:te-node-attributes/tet:name") or node_id,
            up=_up(node),
            te_node_id=_text(node, "tet:te-node-id") or None,
            asn=_integer(_text(node, "tet:te/tet:te-node-attributes/tet:domain-id")),
            latitude=_number(_text(node, "tet:te/tet:geolocation/tet:latitude")),
            longitude=_number(_text(node, "tet:te/tet:geolocation/tet:longitude")),
            site=_text(node, "oc:site") or None,
            regions=frozenset(_texts(node, "oc:region")),
            trust=_integer(_text(node, "oc:trust-level")),
        )


def _ports(network: etree._Element, rates: dict[tuple[str, str], int]) -> Iterator[DiscoveredPort]:
    for node in network.findall("nw:node", _NS):
        node_id = _text(node, "nw:node-id")
        for port in node.findall("nt:termination-point", _NS):
            port_id = _text(port, "nt:tp-id")
            if not node_id or not port_id:
                continue
            rate = rates.get((node_id, port_id))
            yield DiscoveredPort(
                node=node_id,
                id=port_id,
                up=_up(port),
                rates_bps=(rate,) if rate else (),
                plug=_bytes(_text(port, "tet:te/tet:inter-domain-plug-id")),
                lock_id=_integer(_text(port, "tet:te/tet:inter-layer-lock-id")),
            )


def _links(network: etree._Element, groups: dict[int, str]) -> Iterator[tuple[DiscoveredLink, int]]:
    """Yield each link with the rate of its port; a half link (border) has no destination."""
    for link in network.findall("nt:link", _NS):
        link_id, src = _text(link, "nt:link-id"), _text(link, "nt:source/nt:source-node")
        if not link_id or not src:
            continue
        attributes = "tet:te/tet:te-link-attributes"
        line_bps = _rate(_text(link, f"{attributes}/tet:max-link-bandwidth/tet:te-bandwidth/tet:generic"))
        reservable_bps = _rate(_text(link, f"{attributes}/tet:max-resv-link-bandwidth/tet:te-bandwidth/tet:generic"))
        delay = _integer(_text(link, f"{attributes}/tet:te-delay-metric"))
        metric = _integer(_text(link, f"{attributes}/tet:te-default-metric"))
        srlgs = (_integer(value) for value in _texts(link, f"{attributes}/tet:te-srlgs/tet:value"))
        found = DiscoveredLink(
            id=link_id,
            src=src,
            src_port=_text(link, "nt:source/nt:source-tp"),
            dst=_text(link, "nt:destination/nt:dest-node") or None,
            dst_port=_text(link, "nt:destination/nt:dest-tp") or None,
            capacity_bps=(line_bps or 0) if reservable_bps is None else reservable_bps,
            delay_s=(delay or 0) * _DELAY_UNIT_S,
            srlgs=frozenset(value for value in srlgs if value is not None),
            plane=_text(link, "oc:plane") or _plane(_text(link, f"{attributes}/tet:administrative-group"), groups),
            trust=_integer(_text(link, "oc:trust-level")),
            metric=_DEFAULT_METRIC if metric is None else metric,
            up=_up(link),
        )  # fmt: skip
        yield found, line_bps or 0


def _plane(group: str, names: dict[int, str]) -> str | None:
    """Return the plane that the administrative group names, if one of its bits is a plane's."""
    try:
        bits = int(group.replace(":", ""), 16)
    except ValueError:
        return None
    named = (names[bit] for bit in sorted(names) if bits >> bit & 1 and names[bit].startswith(_PLANE_GROUP))
    return next((name.removeprefix(_PLANE_GROUP) for name in named), None)


def _up(element: etree._Element) -> bool:
    """Down only where the domain says so, administratively or in operation."""
    states = [*_texts(element, "tet:te/tet:oper-status"), *_texts(element, "tet:te//tet:admin-status")]
    return "down" not in states


def _rate(text: str) -> int | None:
    try:
        return bandwidth_bps(text) if text else None
    except (ValueError, OverflowError):
        return None


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=False) or None
    except binascii.Error:
        return None


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path, default="", namespaces=_NS) or "").strip()


def _texts(element: etree._Element, path: str) -> list[str]:
    return [(e.text or "").strip() for e in element.findall(path, _NS)]


def _pairs(data: etree._Element, path: str, name: str, value: str) -> list[tuple[str, str]]:
    found = [(_text(e, name), _text(e, value)) for e in data.findall(path, _NS)]
    return [(n, v) for n, v in found if n and v.isdecimal()]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")

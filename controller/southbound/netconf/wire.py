"""Between trees and what NETCONF carries: payloads of edits, filters of reads, answers to trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lxml import etree

from controller.rendering.normalise import normalise
from controller.rendering.paths import at, extract
from controller.rendering.tree import Edit, Leaf, Path, Step, Tree
from controller.rendering.xml import edit_xml, filter_xml, from_xml

# Where everything that a controller of ours could own lies, beside the vpn: networks.
OWNED: Final[tuple[Path, ...]] = (
    ("l3nm:l3vpn-ntw", "l3nm:vpn-services"),
    ("te:te", "te:tunnels"),
    ("nw:networks", "nrp:nrp-policies"),
)
VPN_NETWORK_PREFIX: Final = "vpn:"  # network-id of a performance-monitoring network of ours

LAST_METRIC: Final = "16777214"  # te-default-metric and te-igp-metric of the IP links that we light
_METRICS: Final = ("te-default-metric", "te-igp-metric")

# The ids of all networks, and of the links in them that nothing but pinned tunnels takes. Either metric tells: a link
# of ours in which somebody changed the other is still ours.
NETWORK_IDS_FILTER: Final = (
    '<filter type="subtree"><networks xmlns="urn:ietf:params:xml:ns:yang:ietf-network"><network><network-id/>'
    + "".join(
        '<link xmlns="urn:ietf:params:xml:ns:yang:ietf-network-topology">'
        '<te xmlns="urn:ietf:params:xml:ns:yang:ietf-te-topology"><te-link-attributes>'
        f"<{metric}>{LAST_METRIC}</{metric}></te-link-attributes></te></link>"
        for metric in _METRICS
    )
    + "</network></networks></filter>"
)
_NETWORK = "{urn:ietf:params:xml:ns:yang:ietf-network}network"
_NETWORK_ID = f"{_NETWORK}-id"
_LINK = "{urn:ietf:params:xml:ns:yang:ietf-network-topology}link"
_LINK_ID = f"{_LINK}-id"
_TE = "{urn:ietf:params:xml:ns:yang:ietf-te-topology}"


def edit_payload(edit: Edit, replay: bool = False) -> str:
    """Return the `<config>` element of the edit-config; blocks for as long as the edit is big."""
    return edit_xml(edit.operations, replay=replay).decode("utf-8")


def filter_payload(paths: Sequence[Path]) -> str:
    return filter_xml(paths).decode("utf-8")


def tree_of(data: etree._Element | None, paths: Sequence[Path]) -> Tree:
    """Return the normalised configuration in a `<data>` element, and of it only what lies at these paths."""
    return extract(normalise(from_xml(data)), paths) if data is not None else {}


def vpn_networks(data: etree._Element | None) -> tuple[Path, ...]:
    """Return the paths of the performance-monitoring networks among all networks listed."""
    names = [] if data is None else [name for name, _ in _networks(data)]
    return tuple(("nw:networks", ("nw:network", name)) for name in names if name.startswith(VPN_NETWORK_PREFIX))


def pinned_links(data: etree._Element | None, network_id: str) -> tuple[Path, ...]:
    """Return the paths of the links that only pinned tunnels take; of one network where its id is known."""
    found = []
    for name, network in [] if data is None else _networks(data):
        if name == network_id if network_id else not name.startswith(VPN_NETWORK_PREFIX):
            found += [
                ("nw:networks", ("nw:network", name), ("nt:link", (link.findtext(_LINK_ID) or "").strip()))
                for link in network.iterfind(_LINK)
                if any(
                    (one.text or "").strip() == LAST_METRIC for name in _METRICS for one in link.iter(f"{_TE}{name}")
                )
            ]
    return tuple(found)


def lit_links(tree: Tree, links: Sequence[Path]) -> Tree:
    """Return of these links those that are named as we name what we light, after the ports that they join."""
    return extract(tree, [path for path in links if _named_after_its_ends(at(tree, path))])


def _networks(data: etree._Element) -> list[tuple[str, etree._Element]]:
    return [((one.findtext(_NETWORK_ID) or "").strip(), one) for one in data.iter(_NETWORK)]


def _named_after_its_ends(link: Tree | Leaf | None) -> bool:
    if not isinstance(link, dict):
        return False
    ends = (("nt:source", "nt:source-node", "nt:source-tp"), ("nt:destination", "nt:dest-node", "nt:dest-tp"))
    names = []
    for holder, *leaves in ends:
        node, port = (str(at(link, (holder, leaf)) or "") for leaf in leaves)
        names.append(f"{node.removeprefix('node:')}.{port.removeprefix('tp:')}")
    return link.get("nt:link-id") == f"link:{'..'.join(names)}"


def same_at(paths: Sequence[Path], left: Tree, right: Tree) -> bool:
    """Say whether both trees hold the same at these paths; what they hold elsewhere (parents' keys) does not count."""
    return all(at(left, path) == at(right, path) for path in paths)


def pretty(payload: str) -> str:
    """Return the payload indented for people."""
    root = etree.fromstring(payload.encode("utf-8"), etree.XMLParser(remove_blank_text=True, huge_tree=True))
    etree.indent(root, "  ")
    return etree.tostring(root, encoding="unicode") + "\n"


def merged(trees: Sequence[Tree]) -> Tree:
    """Return the union of trees that share containers but no leaves of different value."""
    result: Tree = {}
    for tree in trees:
        _merge_into(result, tree)
    return result


def _merge_into(target: Tree, source: Tree) -> None:
    step: Step
    for step, value in source.items():
        standing = target.get(step)
        if isinstance(standing, dict) and isinstance(value, dict):
            copy: Tree = dict(standing)
            _merge_into(copy, value)
            target[step] = copy
        else:
            target[step] = value

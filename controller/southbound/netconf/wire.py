"""Between trees and what NETCONF carries: payloads of edits, filters of reads, answers to trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lxml import etree

from controller.rendering.normalise import normalise
from controller.rendering.paths import at, extract
from controller.rendering.tree import Edit, Path, Step, Tree
from controller.rendering.xml import edit_xml, filter_xml, from_xml

# Where everything that a controller of ours could own lies, beside the vpn: networks.
OWNED: Final[tuple[Path, ...]] = (
    ("l3nm:l3vpn-ntw", "l3nm:vpn-services"),
    ("te:te", "te:tunnels"),
    ("nw:networks", "nrp:nrp-policies"),
)
VPN_NETWORK_PREFIX: Final = "vpn:"  # network-id of a performance-monitoring network of ours

NETWORK_IDS_FILTER: Final = (
    '<filter type="subtree"><networks xmlns="urn:ietf:params:xml:ns:yang:ietf-network">'
    "<network><network-id/></network></networks></filter>"
)
_NETWORK_ID = "{urn:ietf:params:xml:ns:yang:ietf-network}network-id"


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
    ids = [] if data is None else [(e.text or "").strip() for e in data.iter(_NETWORK_ID)]
    return tuple(("nw:networks", ("nw:network", name)) for name in ids if name.startswith(VPN_NETWORK_PREFIX))


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

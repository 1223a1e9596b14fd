"""Documents against the published modules, where those and yanglint are there; and what a domain holds of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from controller.network.model import CityMap
from controller.rendering.merge import merge
from controller.rendering.tree import Tree
from controller.rendering.xml import to_xml

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT.parent / "shared" / "yang"
OWN = ROOT / "protos" / "yang"
_ORDER = (
    "ietf-vpn-common",
    "ietf-lime-time-types",
    "ietf-te-types",
    "ietf-te-packet-types",
    "ietf-network",
    "ietf-network-topology",
    "ietf-te-topology",
    "ietf-te",
    "ietf-nrp",
    "ietf-l3vpn-ntw",
    "ietf-network-vpn-pm",
)

needs_yanglint = pytest.mark.skipif(
    not PUBLISHED.is_dir() or shutil.which("yanglint") is None,
    reason="needs yanglint (apt-get install libyang2-tools) and the published modules in ../shared/yang",
)


def complaints(tree: Tree, folder: Path) -> str:
    """Return what yanglint has against a configuration document; empty where it validates."""
    text = to_xml(tree).decode()
    return text_complaints(text[text.index(">") + 1 : text.rindex("</config>")], folder)


def text_complaints(text: str, folder: Path) -> str:
    """The same for a document as a domain sends it."""
    document = folder / "document.xml"
    document.write_text(text)
    modules = [next(p for part in ("rfc", "draft") for p in PUBLISHED.glob(f"{part}/{name}@*.yang")) for name in _ORDER]
    own = sorted(OWN.glob("onecity-binding@*.yang"))[-1]
    paths = [argument for part in (PUBLISHED / "rfc", PUBLISHED / "draft", OWN) for argument in ("-p", str(part))]
    command = ["yanglint", "-t", "config", *paths, *map(str, modules), str(own), str(document)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    errors = [line for line in (result.stdout + result.stderr).splitlines() if "err :" in line or "rror" in line]
    return "\n".join(errors) or ("" if result.returncode == 0 else f"yanglint exits with {result.returncode}")


def with_surroundings(tree: Tree, city: CityMap, domain: str) -> Tree:
    """Return the document merged with what it refers to: the domain's profiles and the ids of its topology."""
    return merge(merge(_profiles(), _topology(city, domain)), tree)


def _profiles() -> Tree:
    kinds = {
        "l3nm:qos-profile-identifier": ("plane-default", "slice-committed", "vip"),
        "l3nm:routing-profile-identifier": ("border-primary", "border-secondary"),
    }
    content: Tree = {(kind, name): {"l3nm:id": name} for kind, names in kinds.items() for name in names}
    return {"l3nm:l3vpn-ntw": {"l3nm:vpn-profiles": {"l3nm:valid-provider-identifiers": content}}}


def _topology(city: CityMap, domain: str) -> Tree:
    name = city.domains[domain].network_id
    content: Tree = {"nw:network-id": name}
    for node in city.nodes.values():
        if node.domain == domain:
            ports: Tree = {
                ("nt:termination-point", p.port): {"nt:tp-id": p.port} for p in city.ports if p.node == node.id
            }
            content["nw:node", node.id] = {"nw:node-id": node.id, **ports}
    for link in city.links:
        if link.domain == domain:
            content["nt:link", link.id] = {
                "nt:link-id": link.id,
                "nt:source": {"nt:source-node": link.src.node, "nt:source-tp": link.src.port},
                "nt:destination": {"nt:dest-node": link.dst.node, "nt:dest-tp": link.dst.port},
            }
    return {"nw:networks": {("nw:network", name): content}}

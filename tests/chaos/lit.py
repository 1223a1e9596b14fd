"""IP links that were lit for services, as a plain client finds them: every part must have all the others.

Both directions of a link, the wavelength under it, and a tunnel that rides on it: what stands without the rest was
torn, or leaked when its last user left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lxml import etree

LIGHT = "link/"
_NETWORKS = "urn:ietf:params:xml:ns:yang:ietf-network"
_TOPOLOGY = "urn:ietf:params:xml:ns:yang:ietf-network-topology"
_TE = "urn:ietf:params:xml:ns:yang:ietf-te"
_SPARE_PORT = re.compile(r"tp:otn-\d+")
FILTER = [
    f'<networks xmlns="{_NETWORKS}"><network><link xmlns="{_TOPOLOGY}"><link-id/><source/></link></network></networks>',
    f'<te xmlns="{_TE}"><tunnels/></te>',
]


def loose_ends(running: Mapping[str, str], circuits: Iterable[str]) -> list[str]:
    """Return a sentence for each part of a lit link that stands without the others.

    running: what FILTER selects of each IP domain's running configuration; circuits: ids of the services' circuits.
    """
    found: list[str] = []
    light = {circuit.removeprefix(LIGHT) for circuit in circuits if circuit.startswith(LIGHT)}
    joined = set()
    for domain, text in sorted(running.items()):
        root = etree.fromstring(text.encode())
        links = {name: port for name, port in _links(root) if _SPARE_PORT.fullmatch(port[1])}
        ridden = set(_hops(root))
        for name, port in sorted(links.items()):
            a, _, z = name.removeprefix("link:").partition("..")
            joined |= {f"{a}..{z}", f"{z}..{a}"}
            if f"link:{z}..{a}" not in links:
                found.append(f"{domain}: {name} has no other direction")
            if not light & {f"{a}..{z}", f"{z}..{a}"}:
                found.append(f"{domain}: {name} has no light under it")
            back = links.get(f"link:{z}..{a}", port)
            if not ridden & {port, back}:
                found.append(f"{domain}: {name} stands and nobody rides on it")
        found += [
            f"{domain}: a tunnel leaves {port[0]} by {port[1]}, where no link is"
            for port in sorted(ridden - set(links.values()))
            if _SPARE_PORT.fullmatch(port[1])
        ]
    return found + [f"circuit {LIGHT}{name} lights no link" for name in sorted(light - joined)]


def _links(root: etree._Element) -> Iterable[tuple[str, tuple[str, str]]]:
    for link in root.iter(f"{{{_TOPOLOGY}}}link"):
        source = link.find(f"{{{_TOPOLOGY}}}source")
        if source is not None:
            port = tuple((source.findtext(f"{{{_TOPOLOGY}}}source-{end}") or "").strip() for end in ("node", "tp"))
            yield (link.findtext(f"{{{_TOPOLOGY}}}link-id") or "").strip(), (port[0], port[1])


def _hops(root: etree._Element) -> Iterable[tuple[str, str]]:
    for hop in root.iter(f"{{{_TE}}}unnumbered-link-hop"):
        node, port = (hop.findtext(f"{{{_TE}}}{leaf}-uri") or "" for leaf in ("node-id", "link-tp-id"))
        yield node.strip(), port.strip()

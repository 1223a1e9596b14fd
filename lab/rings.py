"""Rings written compactly in a city file, spelled out into the sites, ducts, fibres, routers and links they stand for.

    rings:
      - {name: backbone, nodes: [wuhua, panlong, …], closed: true, km: 18, rate: 100Gbps}   # nodes that exist
      - {name: r1, from: wuhua, to: panlong, count: 5, km: 7, rate: 10Gbps, region: north}    # five new ones between

A ring's first half of links is plane A, its second half plane B, so that both planes never share a route. Every
fibre lies in a duct of its own. `domain` names the IP domain; default: the only one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

_FIRST_SRLG = 1001
_BULGE_DEG = 0.06  # how far a drawn arc stands off the line between its ends


def spell_out(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with `rings` turned into what they stand for; the given one is changed."""
    for number, ring in enumerate(document.pop("rings", ()), 1):
        nodes = list(ring["nodes"]) if "nodes" in ring else _new_nodes(document, ring, number)
        if ring.get("closed"):
            nodes.append(nodes[0])
        _join(document, ring, nodes)
    return document


def _domain(document: Mapping[str, Any], ring: Mapping[str, Any]) -> dict[str, Any]:
    ip = document["ip"]
    name = ring.get("domain") or next(d for d in ip if d not in ("borders", "access"))
    found: dict[str, Any] = ip[name]
    return found


def _new_nodes(document: dict[str, Any], ring: Mapping[str, Any], number: int) -> list[str]:
    """Add the ring's own sites, OTN nodes and routers; return all sites along it."""
    start, end, count = ring["from"], ring["to"], int(ring["count"])
    sites, domain = document["sites"], _domain(document, ring)
    a, z = sites[start], sites[end]
    along = [start]
    for n in range(1, count + 1):
        share, site = n / (count + 1), f"{ring['name']}-{n}"
        bulge = _BULGE_DEG * math.sin(math.pi * share) * (1 if number % 2 else -1)
        sites[site] = {
            "title": f"{ring.get('title', ring['name'])} {n}",
            "region": ring["region"],
            "lat": round(a["lat"] + (z["lat"] - a["lat"]) * share + bulge, 4),
            "lon": round(a["lon"] + (z["lon"] - a["lon"]) * share + bulge, 4),
            "class": ring.get("class", "medium"),
        }
        document["optical"]["nodes"][site] = f"otn-{site}"
        domain["nodes"][_router(document, site)] = {
            "site": site,
            "routerId": f"10.0.{number}.{n}",
            "trust": ring.get("trust", 3),
        }
        along.append(site)
    return [*along, end]


def _router(document: Mapping[str, Any], site: str) -> str:
    return f"{document['routerPrefix']}-{site}"


def _join(document: dict[str, Any], ring: Mapping[str, Any], nodes: list[str]) -> None:
    optical, ducts = document["optical"], document.setdefault("ducts", {})
    links = _domain(document, ring).setdefault("links", [])
    hops = list(pairwise(nodes))
    lengths = ring["km"] if isinstance(ring["km"], list) else [ring["km"]] * len(hops)
    for n, ((a, z), km) in enumerate(zip(hops, lengths, strict=True)):
        duct = f"D-{ring['name']}-{n + 1}"
        ducts[duct] = _FIRST_SRLG + len(ducts)
        via = [optical["nodes"][a], optical["nodes"][z]]
        optical.setdefault("fibres", []).append({"a": via[0], "z": via[1], "km": km, "ducts": [duct]})
        plane = "A" if n < len(hops) / 2 else "B"
        ends = {"a": _router(document, a), "z": _router(document, z)}
        links.append({**ends, "rate": ring["rate"], "plane": plane, "via": via})

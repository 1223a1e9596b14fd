"""Pinned tunnels, the measurement of them, and what steers a VPN's traffic into them.

A tunnel is one direction inside one domain, with its routes written out hop by hop and locked, because the plan has
proven exactly these links. Signalling and priorities stand on the tunnel and on every path: both places have defaults,
and a path that leaves them out may shadow the tunnel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import count
from zlib import crc32

from controller.network.model import CityMap, Domain, PortRef
from controller.planning.placement import Route, Steering, TunnelPlacement
from controller.rendering.bandwidth import bandwidth_text
from controller.rendering.packed import packed
from controller.rendering.tree import Tree

BINDING = "onecity-binding"
_LOSS_UNIT = 3e-8  # te-packet-types:path-metric-loss counts in 0.000003 %
_PREFERENCE = "10"  # a better path can be added beside it, and this one removed after
_SIGNALING = "ietf-te-types:path-setup-sr"
_STANDBY = "ietf-te-types:lsp-protection-1-for-1"


def binds(domain: Domain) -> bool:
    """Say whether the domain understands our own module; without it a class gets a queue but no tunnel."""
    return BINDING in domain.modules


def offers(domain: Domain, module: str) -> bool:
    """Say whether the domain offers a published module; one that announced nothing is taken at its word of old."""
    return not domain.modules or module in domain.modules


def tunnel_fragment(tunnels: Iterable[TunnelPlacement], city: CityMap, domain: Domain, number: int, owner: str) -> Tree:
    """Return the fragment with these tunnels; empty without tunnels."""
    content: Tree = {("te:tunnel", tunnel.name): _tunnel(tunnel, city, domain, number, owner) for tunnel in tunnels}
    return {"te:te": {"te:tunnels": content}} if content else {}


def steering_entries(steering: Iterable[Steering], class_id: dict[str, str]) -> dict[str, Tree]:
    """Return, by node, the steering lists in our module's words. `class_id` names the classes of a VIP in full.

    Several ways for one class to one far node become one entry: its tunnels in the order in which they came.
    """
    ways: dict[tuple[str, str, str], tuple[tuple[str, ...], str]] = {}
    for one in steering:
        key = (one.node, one.remote, class_id.get(one.target_class, one.target_class))
        known = ways.get(key, ((), one.fallback))[0]
        ways[key] = (tuple(dict.fromkeys((*known, *one.tunnels))), one.fallback)
    out: dict[str, Tree] = {}
    for (node, remote, name), (names, fallback) in ways.items():
        entry: Tree = {"oc:remote-ne-id": remote, "oc:class-id": name, "oc:tunnel": names}
        if fallback != "best-effort":
            entry["oc:fallback"] = fallback
        out.setdefault(node, {})["oc:steering", remote, name] = entry
    return out


def measured_network(vpn: str, tunnels: Sequence[TunnelPlacement], domain: Domain) -> Tree:
    """Return the network that asks the domain to measure these tunnels every second (RFC 9375); empty without any."""
    if not tunnels or not offers(domain, "ietf-network-vpn-pm"):
        return {}
    name = f"vpn:{vpn}"
    content: Tree = {
        "nw:network-id": name,
        "nw:network-types": {
            "nvp:service": {"nvp:service-type": "ietf-vpn-common:l3vpn", "nvp:vpn-id": vpn},
        },
        ("nw:supporting-network", domain.network_id): {"nw:network-ref": domain.network_id},
    }
    for node in sorted({end for tunnel in tunnels for end in (tunnel.src, tunnel.dst)}):
        content["nw:node", node] = {
            "nw:node-id": node,
            ("nw:supporting-node", domain.network_id, node): {
                "nw:network-ref": domain.network_id,
                "nw:node-ref": node,
            },
            "nvp:node-type": "ietf-network-vpn-pm:pe",
        }
    for tunnel in tunnels:
        link = f"tunnel:{tunnel.name}"
        content["nt:link", link] = {
            "nt:link-id": link,
            "nt:source": {"nt:source-node": tunnel.src},
            "nt:destination": {"nt:dest-node": tunnel.dst},
            "nvp:perf-mon": {
                "nvp:high-percentile": "99.9",
                "nvp:measurement-interval": "1",
                "nvp:vpn-pm-type": {"nvp:vpn-tunnel": {}},
            },
        }
    return {"nw:networks": {("nw:network", name): content}}


def _tunnel(tunnel: TunnelPlacement, city: CityMap, domain: Domain, number: int, owner: str) -> Tree:
    source, destination = city.nodes[tunnel.src].router_id, city.nodes[tunnel.dst].router_id
    out: Tree = {
        "te:name": tunnel.name,
        "te:color": str(number),
        "te:description": f"intent:{owner}",
        "te:encoding": "ietf-te-types:lsp-encoding-packet",
        "te:switching-type": "ietf-te-types:switching-psc1",
        "te:source": _end(tunnel.src, source),
        "te:destination": _end(tunnel.dst, destination),
    }
    if tunnel.reverse and source and destination:
        out["te:association-objects"] = _association(tunnel, source, destination)
    if tunnel.standby:
        out["te:protection"] = {
            "te:protection-type": _STANDBY,
            "te:hold-off-time": "0",
            "te:wait-to-revert": "30",
        }
    out["te:network-id"] = domain.network_id
    out["te:te-bandwidth"] = {"te:generic": bandwidth_text(tunnel.rate_bps)}
    out |= _behaviour(tunnel)
    working = _path("working", tunnel, tunnel.working)
    if tunnel.standby:
        standby = _path("standby", tunnel, tunnel.standby)
        standby["te:protection"] = {"te:protection-type": _STANDBY}
        working["te:candidate-secondary-paths"] = {
            ("te:candidate-secondary-path", "standby"): {"te:secondary-path": "standby"}
        }
        out["te:primary-paths"] = {("te:primary-path", "working"): working}
        out["te:secondary-paths"] = {("te:secondary-path", "standby"): standby}
    else:
        out["te:primary-paths"] = {("te:primary-path", "working"): working}
    if tunnel.partition is not None and binds(domain):
        out["oc:nrp-id"] = str(tunnel.partition)
    return out


def _end(node: str, router: str | None) -> Tree:
    return {"te:node-id": node, "te:te-node-id": router} if router else {"te:node-id": node}


def _association(tunnel: TunnelPlacement, source: str, destination: str) -> Tree:
    """Tie both directions: the same 16-bit number and source at either end, taken from the names so that it stays."""
    number = crc32("|".join(sorted((tunnel.name, tunnel.reverse))).encode()) % 65535 + 1
    return {
        ("te:association-object", "reverse"): {
            "te:association-key": "reverse",
            "te:type": "ietf-te-types:association-type-double-sided-bidir",
            "te:id": str(number),
            "te:source": {"te:id": min(source, destination), "te:type": "te-id"},
        }
    }


def _behaviour(tunnel: TunnelPlacement) -> Tree:
    """Return priorities and signalling, without the values that the schema says anyway."""
    out: Tree = {}
    if tunnel.setup_priority != 7:
        out["te:setup-priority"] = str(tunnel.setup_priority)
    if tunnel.hold_priority != 7:
        out["te:hold-priority"] = str(tunnel.hold_priority)
    out["te:signaling-type"] = _SIGNALING
    return out


def _path(name: str, tunnel: TunnelPlacement, route: Route) -> Tree:
    out: Tree = {
        "te:name": name,
        "te:path-computation-method": "ietf-te-types:path-explicitly-defined",
        "te:preference": _PREFERENCE,
        "te:lockdown": "",
    }
    bounds = _bounds(tunnel)
    if bounds:
        out["te:path-metric-bounds"] = bounds
    out |= _behaviour(tunnel)
    if tunnel.standby:
        out["te:disjointness"] = "link srlg"
    out["te:explicit-route-objects"] = {
        ("te:route-object-include-exclude", index): {"te:index": index, "te:unnumbered-link-hop": _port(hop)}
        for index, hop in zip(map(str, count(10, 10)), route.hops, strict=False)
    }
    return out


@lru_cache(maxsize=1 << 16)
def _port(hop: PortRef) -> Tree:
    """Return what names a port; ten thousand services name the same few thousand, so each is made once."""
    return packed({"te:link-tp-id-uri": hop.port, "te:node-id-uri": hop.node})


def _bounds(tunnel: TunnelPlacement) -> Tree:
    """Return the promised bounds in the metrics' units; 0 would mean unbounded, so the least bound is 1."""
    bounds: dict[str, int] = {}
    if tunnel.latency_budget_s is not None:
        bounds["ietf-te-types:path-metric-delay-average"] = max(1, round(tunnel.latency_budget_s * 1e6))
    if tunnel.loss_ratio is not None:
        bounds["ietf-te-packet-types:path-metric-loss"] = (
            max(1, int(tunnel.loss_ratio / _LOSS_UNIT)) if (tunnel.loss_ratio > 0) else 333
        )
    return {
        ("te:path-metric-bound", metric): {"te:metric-type": metric, "te:upper-bound": str(bound)}
        for metric, bound in bounds.items()
    }

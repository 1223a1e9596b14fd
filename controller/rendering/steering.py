"""Which traffic of a VPN rides which tunnel, laid over the nodes of the VPN."""

from __future__ import annotations

from controller.network.model import CityMap
from controller.planning.placement import Placement
from controller.rendering.l3vpn import vpn_id
from controller.rendering.tree import Tree
from controller.rendering.tunnels import binds, steering_entries


def steering_overlay(placement: Placement, city: CityMap, domain: str, vpn: str, class_id: dict[str, str]) -> Tree:
    """Return the steering of one VPN in one domain as an overlay on its nodes; empty where our module is unknown."""
    mine = (one for one in placement.steering if one.domain == domain and vpn_id(one.vpn_service) == vpn)
    nodes = steering_entries(mine, class_id)
    if not nodes or not binds(city.domains[domain]):
        return {}
    content: Tree = {
        "l3nm:vpn-id": vpn,
        "l3nm:vpn-nodes": {
            ("l3nm:vpn-node", node): {"l3nm:vpn-node-id": node, **entries} for node, entries in sorted(nodes.items())
        },
    }
    return {"l3nm:l3vpn-ntw": {"l3nm:vpn-services": {("l3nm:vpn-service", vpn): content}}}

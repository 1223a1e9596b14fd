"""Small edits that a domain of Longgang accepts."""

from __future__ import annotations

from controller.rendering.diff import edit as edit_of
from controller.rendering.normalise import normalise
from controller.rendering.tree import Edit, Tree


def vpn_tree(vpn_id: str, *, port: str = "tp:acc-1", node: str = "node:lg-buji", vlan: int = 100) -> Tree:
    """Return a plane of one site, as the renderer would write it."""
    access: Tree = {
        "l3nm:id": f"{vpn_id}.buji",
        "l3nm:interface-id": port,
        "l3nm:vpn-instance-profile": "any",
        "l3nm:connection": {
            "l3nm:encapsulation": {
                "l3nm:type": "ietf-vpn-common:dot1q",
                "l3nm:dot1q": {"l3nm:cvlan-id": str(vlan)},
            }
        },
    }
    vpn_node: Tree = {
        "l3nm:vpn-node-id": node,
        "l3nm:ne-id": node,
        "l3nm:local-as": "65001",
        "l3nm:router-id": "10.0.1.3",
        "l3nm:active-vpn-instance-profiles": {
            ("l3nm:vpn-instance-profile", "any"): {"l3nm:profile-id": "any", "l3nm:rd": "1:10.0.1.3:1001"}
        },
        "l3nm:vpn-network-accesses": {("l3nm:vpn-network-access", f"{vpn_id}.buji"): access},
    }
    service: Tree = {
        "l3nm:vpn-id": vpn_id,
        "l3nm:vpn-type": "ietf-vpn-common:l3vpn",
        "l3nm:vpn-instance-profiles": {
            ("l3nm:vpn-instance-profile", "any"): {
                "l3nm:profile-id": "any",
                ("l3nm:address-family", "ietf-vpn-common:ipv4"): {
                    "l3nm:address-family": "ietf-vpn-common:ipv4",
                    "l3nm:vpn-targets": {
                        ("l3nm:vpn-target", "1"): {
                            "l3nm:id": "1",
                            ("l3nm:route-targets", "0:65001:1001"): {"l3nm:route-target": "0:65001:1001"},
                            "l3nm:route-target-type": "both",
                        }
                    },
                },
            }
        },
        "l3nm:vpn-nodes": {("l3nm:vpn-node", node): vpn_node},
    }
    return normalise({"l3nm:l3vpn-ntw": {"l3nm:vpn-services": {("l3nm:vpn-service", vpn_id): service}}})


def circuit_tree(
    circuit: str, *, channel: int = 40, a: str = "otn-buji/c9", z: str = "otn-nanwan/c9", fibre: str = "f-nanwan-buji"
) -> Tree:
    """Return a wavelength between two client ports that were handed to sites."""
    entry: Tree = {
        "opt:id": circuit,
        "opt:owner": "gov/video",
        "opt:a-port": a,
        "opt:a-vlan": "0",
        "opt:z-port": z,
        "opt:z-vlan": "0",
        "opt:layer": "wavelength",
        "opt:rate-bps": "10000000000",
        "opt:odu": "ODU2e",
        "opt:mode": "10G NRZ",
        "opt:working": {"opt:route": (fibre,), "opt:channel": str(channel)},
    }
    return {("opt:circuit", circuit): entry}


def adding(domain: str, tree: Tree) -> Edit:
    """Return the edit that brings a tree into an empty domain."""
    return edit_of(domain, {}, tree)

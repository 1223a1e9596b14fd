"""Small edits that a domain of Longgang accepts."""

from __future__ import annotations

from controller.rendering.bandwidth import bandwidth_text
from controller.rendering.diff import edit as edit_of
from controller.rendering.normalise import normalise
from controller.rendering.tree import Edit, Operation, OperationKind, Path, Tree


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


def lit_link(
    *,
    a: tuple[str, str] = ("node:lg-buji", "tp:otn-1"),
    z: tuple[str, str] = ("node:lg-zhihui", "tp:otn-1"),
    metric: str = "16777214",
) -> Edit:
    """Return what creates an IP link, both its directions, in the own network of Longgang's city domain."""
    rate: Tree = {"tet:te-bandwidth": {"tet:generic": bandwidth_text(100 * 10**9)}}
    network: Path = ("nw:networks", ("nw:network", "net:city-ip"))
    operations = []
    for (node, port), (far, far_port) in ((a, z), (z, a)):
        name = f"link:{node[5:]}.{port[3:]}..{far[5:]}.{far_port[3:]}"
        attributes: Tree = {
            "tet:access-type": "point-to-point",
            "tet:admin-status": "up",
            "tet:max-link-bandwidth": rate,
            "tet:max-resv-link-bandwidth": rate,
            "tet:te-default-metric": metric,
            "tet:te-delay-metric": "98",
            "tet:te-igp-metric": metric,
            "tet:te-srlgs": {"tet:value": ("1001", "1002")},
        }
        for priority in map(str, range(8)):
            attributes["tet:unreserved-bandwidth", priority] = {"tet:priority": priority, **rate}
        entry: Tree = {
            "nt:link-id": name,
            "nt:source": {"nt:source-node": node, "nt:source-tp": port},
            "nt:destination": {"nt:dest-node": far, "nt:dest-tp": far_port},
            "tet:te": {"tet:te-link-attributes": attributes},
        }
        operations.append(Operation(OperationKind.CREATE, (*network, ("nt:link", name)), entry))
    links: Tree = {operation.path[-1]: operation.value or {} for operation in operations}
    after = normalise({"nw:networks": {network[1]: {"nw:network-id": "net:city-ip", **links}}})
    return Edit("city-ip", tuple(operations), tuple(operation.path for operation in operations), {}, after)


def removed(edit: Edit) -> Edit:
    """Return what takes the entries away again that an edit creates."""
    operations = tuple(Operation(OperationKind.DELETE, path) for path in edit.touched)
    return Edit(edit.domain, operations, edit.touched, edit.after, {})

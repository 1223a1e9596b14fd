"""Configuration units written by hand, as the domains would send them: the plant's tests corrupt one leaf each."""

from __future__ import annotations

from typing import Any

Doc = dict[str, Any]
ASN = {"city-ip": 65001, "district-ip": 65002, "compute-ip": 65003}


def access(
    name: str, port: str, vlan: int, ours: str, theirs: str, lans: tuple[str, ...] = (), length: int = 30, **more: Any
) -> Doc:
    """One access; `theirs` is the next hop of its LANs."""
    entry: Doc = {
        "id": name,
        "interface-id": f"tp:{port}",
        "connection": {"encapsulation": {"type": "ietf-vpn-common:dot1q", "dot1q": {"cvlan-id": str(vlan)}}},
        "ip-connection": {
            "ipv4": {
                "local-address": ours,
                "prefix-length": str(length),
                "address-allocation-type": "ietf-l3vpn-ntw:static-address",
                "primary-address": "1",
                "address": [{"address-id": "1", "customer-address": theirs}],
            }
        },
        "service": {"ce-to-pe-bandwidth": "1000000000", "pe-to-ce-bandwidth": "1000000000"},
        **more,
    }
    if lans:
        prefixes = [{"lan": lan, "next-hop": theirs} for lan in lans]
        static = {"cascaded-lan-prefixes": {"ipv4-lan-prefixes": prefixes}}
        entry["routing-protocols"] = {"routing-protocol": [{"id": "static", "static": static}]}
    return entry


def border(
    name: str, port: str, vlan: int, ours: str, theirs: str, own_as: int, peer_as: int, profile: str = "border-primary"
) -> Doc:
    """One end of an option A border."""
    entry = access(name, port, vlan, ours, theirs, length=31)
    bgp = {"local-as": str(own_as), "peer-as": str(peer_as), "local-address": ours, "neighbor": [theirs]}
    protocol = {"id": "bgp", "type": "ietf-vpn-common:bgp-routing", "routing-profiles": [{"id": profile}], "bgp": bgp}
    entry["routing-protocols"] = {"routing-protocol": [protocol]}
    return entry


def node(name: str, asn: int, accesses: list[Doc], **more: Any) -> Doc:
    return {
        "vpn-node-id": f"node:{name}",
        "ne-id": f"node:{name}",
        "local-as": str(asn),
        "active-vpn-instance-profiles": {"vpn-instance-profile": [{"profile-id": "a2a", "rd": "1:10.0.0.1:1"}]},
        "vpn-network-accesses": {"vpn-network-access": accesses},
        **more,
    }


def vpn(name: str, target: str | None, nodes: list[Doc]) -> Doc:
    """One vpn-service; target None: nothing is imported or exported."""
    family: Doc = {"address-family": "ietf-vpn-common:ipv4"}
    if target is not None:
        targets = {"id": "1", "route-targets": [{"route-target": target}], "route-target-type": "both"}
        family["vpn-targets"] = {"vpn-target": [targets]}
    profile = {"profile-id": "a2a", "address-family": [family]}
    return {
        "vpn-id": name,
        "vpn-instance-profiles": {"vpn-instance-profile": [profile]},
        "vpn-nodes": {"vpn-node": nodes},
    }


def tunnel(name: str, source: str, target: str, hops: list[tuple[str, str]], **more: Any) -> Doc:
    objects = [
        {"index": str(10 * n), "unnumbered-link-hop": {"node-id-uri": f"node:{h}", "link-tp-id-uri": f"tp:{p}"}}
        for n, (h, p) in enumerate(hops, 1)
    ]
    path = {"name": "working", "explicit-route-objects": {"route-object-include-exclude": objects}}
    ends = {"source": {"node-id": f"node:{source}"}, "destination": {"node-id": f"node:{target}"}}
    return {"name": name, **ends, "primary-paths": {"primary-path": [path]}, **more}


def office(target: str = "0:65001:1001") -> dict[str, dict[str, Doc]]:
    """A plane over two domains and both border pairs: buji and jihua in the city, baolong in the district."""
    city = [
        node("lg-buji", 65001, [access("office.buji", "acc-1", 100, "172.16.0.1", "172.16.0.2", ("10.1.0.0/24",))]),
        node("lg-jihua", 65001, [access("office.jihua", "acc-1", 100, "172.16.0.5", "172.16.0.6", ("10.2.0.0/24",))]),
        node("lg-zhihui", 65001, [border("office.border.1", "ge-4", 2001, "172.31.0.0", "172.31.0.1", 65001, 65002)]),
        node(
            "lg-nanwan",
            65001,
            [border("office.border.2", "ge-3", 2001, "172.31.0.2", "172.31.0.3", 65001, 65002, "border-secondary")],
        ),
    ]
    district = [
        node(
            "lg-baolong", 65002, [access("office.baolong", "acc-1", 100, "172.16.0.9", "172.16.0.10", ("10.3.0.0/24",))]
        ),
        node("lg-longgang", 65002, [border("office.border.1", "ge-3", 2001, "172.31.0.1", "172.31.0.0", 65002, 65001)]),
        node(
            "lg-henggang",
            65002,
            [border("office.border.2", "ge-3", 2001, "172.31.0.3", "172.31.0.2", 65002, 65001, "border-secondary")],
        ),
    ]
    return {
        "city-ip": {"vpn-service/office": vpn("office", target, city)},
        "district-ip": {"vpn-service/office": vpn("office", target.replace("65001", "65002"), district)},
    }


def circuit(name: str, a: tuple[str, int], z: tuple[str, int], **more: Any) -> Doc:
    """A timeslot circuit buji → zhihui over nanwan, 1+1 the other way round the west ring."""
    working = {"route": ["odu-f-nanwan-buji-1", "odu-f-zhihui-nanwan-1"], "slots": [{"slots": [1]}, {"slots": [2]}]}
    return {
        "id": name,
        "owner": "t/s",
        "a": {"port": a[0], "vlan": a[1]},
        "z": {"port": z[0], "vlan": z[1]},
        "layer": "LAYER_ODU",
        "rate_bps": "1000000000",
        "odu": "ODU0",
        "working": working,
        **more,
    }


PROTECT = {
    "route": ["odu-f-buji-jihua-1", "odu-f-jihua-bantian-1", "odu-f-bantian-pinghu-1", "odu-f-pinghu-zhihui-1"],
    "slots": [{"slots": [1]}, {"slots": [1]}, {"slots": [1]}, {"slots": [1]}],
}

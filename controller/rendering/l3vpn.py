"""Building blocks of an L3VPN in the words of RFC 9182, shared by planes and slices.

Every function returns normalised content: canonical values, no leaf that equals its default, nothing empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.intent.model import ServiceId
from controller.network.model import CityMap
from controller.planning.placement import Attachment, Placement, Stitch, StitchEnd
from controller.rendering.tree import Tree

MTU = "1500"
PLANE_PROFILE = "plane-default"  # QoS and routing profiles that the domains own (leafrefs into vpn-profiles)
SLICE_PROFILE = "slice-committed"
BORDER_PROFILES = {1: "border-primary", 2: "border-secondary"}
_HUB_TARGET_OFFSET = 500_000
_HUB_RD_OFFSET = 32_768


def vpn_id(service: ServiceId) -> str:
    """Return the id of a service's VPN in every domain: `tenant.name`."""
    return service.replace("/", ".")


def access_id(service: ServiceId, name: str) -> str:
    return f"{vpn_id(service)}.{name}"


@dataclass(frozen=True, slots=True)
class Profile:
    """A VRF of the service: its route targets as (target, import | export | both), and what tells its RDs apart."""

    name: str
    role: str | None = None  # identity of ietf-vpn-common; None: any to any
    targets: tuple[tuple[str, str], ...] = ()
    distinguisher: int = 0
    administrators: Mapping[str, str] = field(default_factory=dict)  # by node: the RD's address; else the router id


def mesh_profile(asn: int, number: int) -> Profile:
    """Everybody hears everybody: one target, both ways."""
    return Profile("a2a", None, ((f"0:{asn}:{number}", "both"),), number % 65536)


def lone_profile(number: int) -> Profile:
    """A VRF that leaks nothing: no targets, so only its own interfaces and static routes are in it."""
    return Profile("vrf-lite", None, (), number % 65536)


def hub_profiles(asn: int, number: int) -> tuple[Profile, Profile]:
    """Return the hub's and the spoke's VRF: spokes export S and import H, the hub the other way round."""
    spoke, hub = f"0:{asn}:{number}", f"0:{asn}:{number + _HUB_TARGET_OFFSET}"
    return (
        Profile(
            "hub",
            "ietf-vpn-common:hub-role",
            ((spoke, "import"), (hub, "export")),
            (number + _HUB_RD_OFFSET) % 65536,
        ),
        Profile("spoke", "ietf-vpn-common:spoke-role", ((hub, "import"), (spoke, "export")), number % 65536),
    )


def border_profile(asn: int, number: int, far: str, addresses: Mapping[str, str]) -> Profile:
    """Return the VRF that stands for the spokes of another domain at its border; `addresses` by node, of its side.

    Spokes that share a VRF reach each other inside it, past the hub. So the far ones share it neither with those of
    the border's own router nor with those beyond another domain. Its RD takes the border's address: it is the only
    number that no other VRF of this router has.
    """
    spoke, hub = f"0:{asn}:{number}", f"0:{asn}:{number + _HUB_TARGET_OFFSET}"
    targets = ((hub, "import"), (spoke, "export"))
    return Profile(f"border-{far}", "ietf-vpn-common:spoke-role", targets, number % 65536, addresses)


@dataclass(frozen=True, slots=True)
class Access:
    """One vpn-network-access, ready to stand under its node."""

    node: str
    profile: str
    id: str
    content: Tree


def vpn_service(
    service: ServiceId,
    title: str,
    city: CityMap,
    domain: str,
    profiles: Sequence[Profile],
    accesses: Iterable[Access],
    extra: Tree | None = None,
) -> Tree:
    """Return the domain's fragment that holds the VPN with these VRFs and accesses, nodes in the order of their ids."""
    by_node: dict[str, list[Access]] = {}
    for access in accesses:
        by_node.setdefault(access.node, []).append(access)
    name = vpn_id(service)
    content: Tree = {
        "l3nm:vpn-id": name,
        "l3nm:vpn-name": title,
        "l3nm:customer-name": service.partition("/")[0],
        "l3nm:parent-service-id": f"intent:{service}",
        "l3nm:vpn-type": "ietf-vpn-common:l3vpn",
    }
    if len(profiles) > 1:
        content["l3nm:vpn-service-topology"] = "ietf-vpn-common:hub-spoke"
    content["l3nm:status"] = _up()
    content["l3nm:vpn-instance-profiles"] = {
        ("l3nm:vpn-instance-profile", profile.name): _instance_profile(profile) for profile in profiles
    }
    content |= extra or {}
    content["l3nm:vpn-nodes"] = {
        ("l3nm:vpn-node", node): _vpn_node(city, domain, node, profiles, by_node[node]) for node in sorted(by_node)
    }
    return in_vpn_services(name, content)


def in_vpn_services(name: str, content: Tree) -> Tree:
    return {"l3nm:l3vpn-ntw": {"l3nm:vpn-services": {("l3nm:vpn-service", name): content}}}


def site_access(
    service: ServiceId, attachment: Attachment, profile: str, qos_profile: str, also: Iterable[str] = ()
) -> Access:
    """Return the access of a site: VLAN, addresses, the LANs behind it, and its hose."""
    routing = _static([(lan, attachment.ce_address) for lan in attachment.lans]) or _direct()
    content = _access(
        access_id(service, attachment.access),
        attachment.port,
        profile,
        attachment.vlan,
        (attachment.pe_address, attachment.ce_address, attachment.prefix_len),
        routing,
        attachment.rate_bps,
        qos_profile,
    )
    return Access(attachment.node, profile, access_id(service, attachment.access), content)


def border_access(
    service: ServiceId, stitch: Stitch, near: StitchEnd, far: StitchEnd, profile: str, qos_profile: str
) -> Access:
    """Return this side of an option A border: BGP with the other domain, ranked by a profile that the domain owns."""
    bgp: Tree = {
        "l3nm:id": "bgp",
        "l3nm:type": "ietf-vpn-common:bgp-routing",
        ("l3nm:routing-profiles", BORDER_PROFILES.get(stitch.rank, BORDER_PROFILES[2])): {
            "l3nm:id": BORDER_PROFILES.get(stitch.rank, BORDER_PROFILES[2]),
            "l3nm:type": "ietf-vpn-common:import-export",
        },
        "l3nm:bgp": {
            "l3nm:local-as": str(near.asn),
            "l3nm:peer-as": str(far.asn),
            "l3nm:address-family": _family(near.address),
            "l3nm:local-address": near.address,
            "l3nm:neighbor": (far.address,),
        },
    }
    routing: Tree = {("l3nm:routing-protocol", "bgp"): bgp}
    name = access_id(service, stitch.name)
    return _stitch_access(name, stitch, near, far, profile, qos_profile, routing, stitch.vlan)


def circuit_access(
    service: ServiceId,
    stitch: Stitch,
    near: StitchEnd,
    far: StitchEnd,
    profile: str,
    qos_profile: str,
    far_lans: Sequence[str],
    vlan: int,
) -> Access:
    """Return one end of a dedicated circuit: static routes to the LANs at its other end, and nothing else."""
    preference = None if stitch.rank == 1 else stitch.rank * 10
    routing = _static([(lan, far.address) for lan in far_lans], preference) or _direct()
    # Both ends may be in one VPN of one domain, where an access id names one access only.
    name = f"{access_id(service, stitch.name)}.at.{near.node.removeprefix('node:')}"
    return _stitch_access(name, stitch, near, far, profile, qos_profile, routing, vlan)


def _stitch_access(
    name: str,
    stitch: Stitch,
    near: StitchEnd,
    far: StitchEnd,
    profile: str,
    qos_profile: str,
    routing: Tree,
    vlan: int,
) -> Access:
    ip = (near.address, far.address, 127 if ":" in near.address else 31)
    content = _access(name, near.port, profile, vlan, ip, routing, stitch.rate_bps, qos_profile)
    return Access(near.node, profile, name, content)


def by_domain(placement: Placement) -> Mapping[str, None]:
    """Return the IP domains in which the service has an access of any kind, sorted."""
    names = {a.domain for a in placement.attachments}
    names |= {end.domain for stitch in placement.stitches for end in (stitch.a, stitch.z)}
    return dict.fromkeys(sorted(names))


def _up() -> Tree:
    return {"l3nm:admin-status": {"l3nm:status": "ietf-vpn-common:admin-up"}}


def _family(address: str) -> str:
    return "ietf-vpn-common:ipv6" if ":" in address else "ietf-vpn-common:ipv4"


def _instance_profile(profile: Profile) -> Tree:
    family: Tree = {"l3nm:address-family": "ietf-vpn-common:ipv4"}
    if profile.targets:
        family["l3nm:vpn-targets"] = {
            ("l3nm:vpn-target", str(i)): {
                "l3nm:id": str(i),
                ("l3nm:route-targets", target): {"l3nm:route-target": target},
                "l3nm:route-target-type": direction,
            }
            for i, (target, direction) in enumerate(profile.targets, 1)
        }
    out: Tree = {"l3nm:profile-id": profile.name}
    if profile.role:
        out["l3nm:role"] = profile.role
    out["l3nm:address-family", "ietf-vpn-common:ipv4"] = family
    return out


def _vpn_node(city: CityMap, domain: str, node: str, profiles: Sequence[Profile], accesses: Sequence[Access]) -> Tree:
    asn, router = city.domains[domain].asn, city.nodes[node].router_id
    used = {access.profile for access in accesses}
    out: Tree = {"l3nm:vpn-node-id": node, "l3nm:ne-id": node}
    if asn is not None:
        out["l3nm:local-as"] = str(asn)
    if router is not None:
        out["l3nm:router-id"] = router
    out["l3nm:active-vpn-instance-profiles"] = {
        ("l3nm:vpn-instance-profile", profile.name): {
            "l3nm:profile-id": profile.name,
            "l3nm:rd": f"1:{profile.administrators.get(node) or router or '0.0.0.0'}:{profile.distinguisher}",
        }
        for profile in profiles
        if profile.name in used
    }
    out["l3nm:status"] = _up()
    out["l3nm:vpn-network-accesses"] = {
        ("l3nm:vpn-network-access", access.id): access.content for access in sorted(accesses, key=lambda one: one.id)
    }
    return out


def _access(
    name: str,
    port: str,
    profile: str,
    vlan: int,
    ip: tuple[str, str, int],
    routing: Tree,
    rate_bps: int,
    qos_profile: str,
) -> Tree:
    ours, theirs, length = ip
    version = "l3nm:ipv6" if ":" in ours else "l3nm:ipv4"
    encapsulation: Tree = {"l3nm:type": "ietf-vpn-common:dot1q", "l3nm:dot1q": {"l3nm:cvlan-id": str(vlan)}}
    if not vlan:
        encapsulation = {"l3nm:type": "ietf-vpn-common:untagged-int"}
    return {
        "l3nm:id": name,
        "l3nm:interface-id": port,
        "l3nm:vpn-instance-profile": profile,
        "l3nm:status": _up(),
        "l3nm:connection": {"l3nm:encapsulation": encapsulation},
        "l3nm:ip-connection": {
            version: {
                "l3nm:local-address": ours,
                "l3nm:prefix-length": str(length),
                "l3nm:address-allocation-type": "ietf-l3vpn-ntw:static-address",
                "l3nm:primary-address": "1",
                ("l3nm:address", "1"): {"l3nm:address-id": "1", "l3nm:customer-address": theirs},
            }
        },
        "l3nm:routing-protocols": routing,
        "l3nm:service": {
            "l3nm:pe-to-ce-bandwidth": str(rate_bps),
            "l3nm:ce-to-pe-bandwidth": str(rate_bps),
            "l3nm:mtu": MTU,
            "l3nm:qos": {
                "l3nm:qos-profile": {("l3nm:qos-profile", qos_profile): {"l3nm:profile": qos_profile}},
            },
        },
    }


def _static(routes: Sequence[tuple[str, str]], preference: int | None = None) -> Tree:
    """Return a static routing protocol for (prefix, next hop); empty where there is no route."""
    if not routes:
        return {}
    prefixes: Tree = {}
    for lan, next_hop in routes:
        entry: Tree = {"l3nm:lan": lan, "l3nm:next-hop": next_hop}
        if preference is not None:
            entry["l3nm:preference"] = str(preference)
        prefixes["l3nm:ipv6-lan-prefixes" if ":" in lan else "l3nm:ipv4-lan-prefixes", lan, next_hop] = entry
    return {
        ("l3nm:routing-protocol", "static"): {
            "l3nm:id": "static",
            "l3nm:type": "ietf-vpn-common:static-routing",
            "l3nm:static": {"l3nm:cascaded-lan-prefixes": prefixes},
        }
    }


def _direct() -> Tree:
    return {("l3nm:routing-protocol", "direct"): {"l3nm:id": "direct", "l3nm:type": "ietf-vpn-common:direct-routing"}}

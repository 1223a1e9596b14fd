"""Configuration for the tests of the IP domain, as a client would write it."""

from __future__ import annotations

from collections.abc import Sequence

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
_PREFIXES = {
    "nc": BASE,
    "yang": "urn:ietf:params:xml:ns:yang:1",
    "l3nm": "urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw",
    "vpn-common": "urn:ietf:params:xml:ns:yang:ietf-vpn-common",
    "te-types": "urn:ietf:params:xml:ns:yang:ietf-te-types",
    "nrp": "urn:ietf:params:xml:ns:yang:ietf-nrp",
    "oc": "urn:onecity:params:xml:ns:yang:onecity-binding",
}
_NAMESPACES = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _PREFIXES.items())
ROUTERS = {"node:lg-zhihui": "10.0.1.1", "node:lg-nanwan": "10.0.1.2", "node:lg-buji": "10.0.1.3"}


def config(*parts: str) -> str:
    return f'<config xmlns="{BASE}">{"".join(parts)}</config>'


def services(*entries: str) -> str:
    inner = f"<vpn-services>{''.join(entries)}</vpn-services>"
    return f'<l3vpn-ntw xmlns="urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw" {_NAMESPACES}>{inner}</l3vpn-ntw>'


def tunnels(*entries: str) -> str:
    inner = f"<tunnels>{''.join(entries)}</tunnels>"
    return f'<te xmlns="urn:ietf:params:xml:ns:yang:ietf-te" {_NAMESPACES}>{inner}</te>'


def networks(inner: str) -> str:
    return f'<networks xmlns="urn:ietf:params:xml:ns:yang:ietf-network" {_NAMESPACES}>{inner}</networks>'


def access(
    name: str, port: str, vlan: int | str, rules: str = "", lan: str = "10.10.0.0/24", operation: str = ""
) -> str:
    attribute = f' nc:operation="{operation}"' if operation else ""
    return (
        f"<vpn-network-access{attribute}><id>{name}</id><interface-id>{port}</interface-id>"
        "<status><admin-status><status>vpn-common:admin-up</status></admin-status></status>"
        f"<connection><encapsulation><type>vpn-common:dot1q</type><dot1q><cvlan-id>{vlan}</cvlan-id></dot1q>"
        "</encapsulation></connection><ip-connection><ipv4><local-address>172.16.0.1</local-address>"
        "<prefix-length>30</prefix-length><address-allocation-type>l3nm:static-address</address-allocation-type>"
        "<primary-address>1</primary-address><address><address-id>1</address-id>"
        "<customer-address>172.16.0.2</customer-address></address></ipv4></ip-connection><routing-protocols>"
        "<routing-protocol><id>static</id><type>vpn-common:static-routing</type><static><cascaded-lan-prefixes>"
        f"<ipv4-lan-prefixes><lan>{lan}</lan><next-hop>172.16.0.2</next-hop></ipv4-lan-prefixes>"
        "</cascaded-lan-prefixes></static></routing-protocol></routing-protocols><service>"
        "<pe-to-ce-bandwidth>200000000</pe-to-ce-bandwidth><ce-to-pe-bandwidth>200000000</ce-to-pe-bandwidth>"
        "<mtu>1500</mtu><qos><qos-profile><qos-profile><profile>plane-default</profile></qos-profile></qos-profile>"
        f"{rules}</qos></service></vpn-network-access>"
    )


def node(name: str, accesses: Sequence[str] = (), number: int = 1001, extra: str = "") -> str:
    router = ROUTERS.get(name, "10.0.9.9")
    return (
        f"<vpn-node><vpn-node-id>{name}</vpn-node-id><ne-id>{name}</ne-id><local-as>65001</local-as>"
        f"<router-id>{router}</router-id><active-vpn-instance-profiles><vpn-instance-profile>"
        f"<profile-id>a2a</profile-id><rd>1:{router}:{number % 65536}</rd></vpn-instance-profile>"
        f"</active-vpn-instance-profiles>{extra}"
        f"<vpn-network-accesses>{''.join(accesses)}</vpn-network-accesses></vpn-node>"
    )


def service(vpn: str, nodes: Sequence[str] = (), operation: str = "create", number: int = 1001) -> str:
    return (
        f'<vpn-service nc:operation="{operation}"><vpn-id>{vpn}</vpn-id><vpn-name>{vpn}</vpn-name>'
        f"<customer-name>bureau</customer-name><parent-service-id>intent:{vpn}</parent-service-id>"
        "<vpn-type>vpn-common:l3vpn</vpn-type><vpn-instance-profiles><vpn-instance-profile>"
        "<profile-id>a2a</profile-id><address-family><address-family>vpn-common:ipv4</address-family><vpn-targets>"
        f"<vpn-target><id>1</id><route-targets><route-target>0:65001:{number}</route-target></route-targets>"
        "<route-target-type>both</route-target-type></vpn-target></vpn-targets></address-family>"
        f"</vpn-instance-profile></vpn-instance-profiles><vpn-nodes>{''.join(nodes)}</vpn-nodes></vpn-service>"
    )


def small_service(vpn: str, vlan: int, operation: str = "create") -> str:
    """One service with an access at Buji and one at Zhihui."""
    nodes = [
        node("node:lg-buji", [access(f"{vpn}.buji", "tp:acc-1", vlan)]),
        node("node:lg-zhihui", [access(f"{vpn}.zhihui", "tp:acc-1", vlan)]),
    ]
    return service(vpn, nodes, operation)


def removed(vpn: str, operation: str = "delete") -> str:
    return f'<vpn-service nc:operation="{operation}"><vpn-id>{vpn}</vpn-id></vpn-service>'


def rule(name: str, insert: str = "", key: str = "", operation: str = "create") -> str:
    place = f' yang:insert="{insert}"' if insert else ""
    place += f""" yang:key="[l3nm:id='{key}']\"""" if key else ""
    return (
        f'<rule nc:operation="{operation}"{place}><id>{name}</id><ipv4><protocol>17</protocol>'
        "<destination-ipv4-network>10.10.0.10/32</destination-ipv4-network>"
        "<source-ipv4-network>10.10.1.20/32</source-ipv4-network></ipv4><udp>"
        "<destination-port-range-or-operator><lower-port>20000</lower-port><upper-port>20999</upper-port>"
        "</destination-port-range-or-operator></udp><target-class-id>vip.council.video</target-class-id></rule>"
    )


def into_access(vpn: str, node_id: str, access_id: str, qos: str) -> str:
    """An edit of the QoS of one standing access."""
    return (
        f"<vpn-service><vpn-id>{vpn}</vpn-id><vpn-nodes><vpn-node><vpn-node-id>{node_id}</vpn-node-id>"
        f"<vpn-network-accesses><vpn-network-access><id>{access_id}</id><service><qos>{qos}</qos></service>"
        "</vpn-network-access></vpn-network-accesses></vpn-node></vpn-nodes></vpn-service>"
    )


def tunnel(
    name: str,
    hops: Sequence[tuple[str, str]],
    ends: tuple[str, str] = ("node:lg-zhihui", "node:lg-buji"),
    nrp_id: int | None = None,
    operation: str = "create",
) -> str:
    route = "".join(
        f"<route-object-include-exclude><index>{10 * n}</index><unnumbered-link-hop><link-tp-id-uri>{port}"
        f"</link-tp-id-uri><node-id-uri>{at}</node-id-uri></unnumbered-link-hop></route-object-include-exclude>"
        for n, (at, port) in enumerate(hops, start=1)
    )
    partition = f"<oc:nrp-id>{nrp_id}</oc:nrp-id>" if nrp_id else ""
    return (
        f'<tunnel nc:operation="{operation}"><name>{name}</name><description>d</description>'
        f"<source><node-id>{ends[0]}</node-id></source><destination><node-id>{ends[1]}</node-id></destination>"
        "<te-bandwidth><generic>0x1.2a05f2p+29</generic></te-bandwidth>"
        "<signaling-type>te-types:path-setup-sr</signaling-type><primary-paths><primary-path><name>working</name>"
        "<path-computation-method>te-types:path-explicitly-defined</path-computation-method><lockdown/>"
        f"<explicit-route-objects>{route}</explicit-route-objects></primary-path></primary-paths>{partition}</tunnel>"
    )


def partition(name: str, number: int, link: str) -> str:
    return (
        '<nrp-policies xmlns="urn:ietf:params:xml:ns:yang:ietf-nrp"><nrp-policy nc:operation="create">'
        f"<name>{name}</name><nrp-id>{number}</nrp-id><mode>nrp:data-plane-partition</mode><topology><select>"
        "<topology-group><group-id>1</group-id><network-ref>net:city-ip</network-ref>"
        f"<link><link-ref>{link}</link-ref></link></topology-group></select></topology></nrp-policy></nrp-policies>"
    )


def steering(node_id: str, remote: str, tunnel_name: str) -> str:
    return (
        f"<oc:steering><oc:remote-ne-id>{remote}</oc:remote-ne-id><oc:class-id>*</oc:class-id>"
        f"<oc:tunnel>{tunnel_name}</oc:tunnel><oc:fallback>drop</oc:fallback></oc:steering>"
    )


def own_network(*entries: str) -> str:
    return networks(f"<network><network-id>net:city-ip</network-id>{''.join(entries)}</network>")


GBPS_100, GBPS_10 = "0x1.74876ep+33", "0x1.2a05f2p+30"
A, Z = ("node:lg-buji", "tp:otn-1"), ("node:lg-zhihui", "tp:otn-1")


def link_name(source: tuple[str, str], destination: tuple[str, str]) -> str:
    there, back = (".".join(end).replace("node:", "").replace("tp:", "") for end in (source, destination))
    return f"link:{there}..{back}"


def link(
    source: tuple[str, str] = A,
    destination: tuple[str, str] = Z,
    rate: str = GBPS_100,
    name: str = "",
    operation: str = "create",
    reservable: str = "",
) -> str:
    """One direction of an IP link, in the domain's own network."""

    def bandwidth(holder: str, value: str, more: str = "") -> str:
        return f"<{holder}>{more}<te-bandwidth><generic>{value}</generic></te-bandwidth></{holder}>" if value else ""

    unreserved = "".join(bandwidth("unreserved-bandwidth", rate, f"<priority>{n}</priority>") for n in range(8))
    return (
        f'<link xmlns="urn:ietf:params:xml:ns:yang:ietf-network-topology" nc:operation="{operation}">'
        f"<link-id>{name or link_name(source, destination)}</link-id>"
        f"<source><source-node>{source[0]}</source-node><source-tp>{source[1]}</source-tp></source>"
        f"<destination><dest-node>{destination[0]}</dest-node><dest-tp>{destination[1]}</dest-tp></destination>"
        '<te xmlns="urn:ietf:params:xml:ns:yang:ietf-te-topology"><te-link-attributes>'
        "<access-type>point-to-point</access-type><admin-status>up</admin-status><name>link/buji..zhihui</name>"
        f"{bandwidth('max-link-bandwidth', rate)}{bandwidth('max-resv-link-bandwidth', reservable or rate)}{unreserved}"
        "<te-default-metric>16777214</te-default-metric><te-delay-metric>98</te-delay-metric>"
        "<te-igp-metric>16777214</te-igp-metric><te-srlgs><value>1001</value><value>1002</value></te-srlgs>"
        "</te-link-attributes></te></link>"
    )


def link_both_ways(a: tuple[str, str] = A, z: tuple[str, str] = Z, **more: str) -> str:
    return own_network(link(a, z, **more), link(z, a, **more))


def link_removed(*names: str) -> str:
    entries = (
        f'<link xmlns="urn:ietf:params:xml:ns:yang:ietf-network-topology" nc:operation="delete">'
        f"<link-id>{name}</link-id></link>"
        for name in names
    )
    return own_network(*entries)

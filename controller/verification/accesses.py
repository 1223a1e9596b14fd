"""Accesses of a VPN as their domain would serve them: where, for whom, and what their rules and classes say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from controller.network.model import PortRef
from controller.rendering.tree import Step, Tree
from controller.verification.facts import Access, Action, Rule
from controller.verification.reading import below, entries, number, optional_number, span, steps, text, whole

NO_ACTIONS: dict[str, Action] = {}  # of most accesses
_ALL_PORTS = (0, 65535)
ACCESS_LEAVES = 21  # of one access, besides routes, profiles and protocols
_STATUS = ACCESS_LEAVES - 1
FIRST_COUNT, COUNTS = 13, 4  # of them, how many there are of those
_DOT1Q, _UNTAGGED = "ietf-vpn-common:dot1q", "ietf-vpn-common:untagged-int"
_STATIC, _BGP, _DIRECT = (f"ietf-vpn-common:{kind}-routing" for kind in ("static", "bgp", "direct"))


def access_leaves(step: Step, entry: Tree) -> list[Any]:
    """Find the leaves of an access in the order of `access_of`."""
    connection = below(entry, "l3nm:ip-connection")
    ip = below(connection, "l3nm:ipv4") or below(connection, "l3nm:ipv6")
    customer = next((text(a, "l3nm:customer-address") for _, a in entries(ip, "l3nm:address")), "")
    lans, names, kinds, said, bgp = [], [], [], [], Tree()
    for _, protocol in entries(below(entry, "l3nm:routing-protocols"), "l3nm:routing-protocol"):
        prefixes = below(protocol, "l3nm:static", "l3nm:cascaded-lan-prefixes")
        for family in ("l3nm:ipv4-lan-prefixes", "l3nm:ipv6-lan-prefixes"):
            lans += [lan for lan, _ in steps(prefixes, family)]
        bgp = below(protocol, "l3nm:bgp") or bgp
        kinds.append(_BGP if "l3nm:bgp" in protocol else _STATIC if "l3nm:static" in protocol else _DIRECT)
        said.append(text(protocol, "l3nm:type"))
        names += [name for name, _ in steps(protocol, "l3nm:routing-profiles")]
    service = below(entry, "l3nm:service")
    qos = below(service, "l3nm:qos")
    profiles = [profile for profile, _ in steps(below(qos, "l3nm:qos-profile"), "l3nm:qos-profile")]
    encapsulation = below(entry, "l3nm:connection", "l3nm:encapsulation")
    dot1q = below(encapsulation, "l3nm:dot1q")
    return [
        step,
        text(entry, "l3nm:interface-id"),
        text(dot1q, "l3nm:cvlan-id"),
        text(entry, "l3nm:vpn-instance-profile"),
        text(ip, "l3nm:local-address"),
        text(ip, "l3nm:prefix-length"),
        customer,
        text(bgp, "l3nm:local-as"),
        text(bgp, "l3nm:peer-as"),
        bgp.get("l3nm:neighbor", ""),
        text(service, "l3nm:pe-to-ce-bandwidth"),
        text(service, "l3nm:ce-to-pe-bandwidth"),
        text(encapsulation, "l3nm:type"),
        len(lans),
        len(names),
        len(profiles),
        2 * len(kinds),
        1 if bgp else 0,
        below(qos, "l3nm:qos-classification-policy"),
        below(qos, "l3nm:qos-action"),
        admin_status(entry),
        *lans,
        *names,
        *profiles,
        *kinds,
        *said,
    ]


def admin_status(tree: Tree) -> str:
    """Return the administrative status of a service, a node or an access; empty where it has none."""
    return text(below(tree, "l3nm:status", "l3nm:admin-status"), "l3nm:status")


@lru_cache(maxsize=1 << 14)
def _port(node: str, port: str) -> PortRef:
    """Return a port; many accesses hang on one."""
    return PortRef(node, port)


def access_of(domain: str, vpn_id: str, node: str, default: str, flat: Sequence[Any], at: int) -> Access:
    """Return the access whose leaves stand from `at`; `default`: the profile of one that names none."""
    step, port, vlan, profile, address, length, customer, local_as, peer_as, peer = flat[at : at + 10]
    to_site, from_site, tagged, routes, names, profiles, kinds, bgp, rules, actions = flat[at + 10 : at + _STATUS]
    at += ACCESS_LEAVES
    lans = tuple([lan[1:] for lan in flat[at : at + routes]])
    at += routes
    ranks = tuple([name[1] for name in flat[at : at + names]])
    at += names
    said = at + profiles + kinds // 2
    size = whole(length)
    return Access(
        step[1],
        vpn_id,
        domain,
        node,
        _port(node, port),
        number_of := whole(vlan),
        profile or default,
        address,
        size,
        customer,
        span(f"{address}/{size}"),
        lans,
        tuple([s for lan in lans if (s := span(lan[0])) is not None]),
        local_as,
        peer_as,
        peer if isinstance(peer, str) else next(iter(peer), ""),
        ((2 if "border-secondary" in ranks else 1) if bgp else 0),
        whole(to_site),
        whole(from_site),
        tuple([name[1] for name in flat[at : at + profiles]]),
        ranks,
        tuple([_rule(rule) for _, rule in entries(rules, "l3nm:rule")]) if rules else (),
        (dict(_action(action) for _, action in entries(actions, "l3nm:rule")) if actions else None) or NO_ACTIONS,
        ""
        if tagged == (_DOT1Q if number_of else _UNTAGGED)
        and flat[at + profiles : said] == flat[said : said + kinds // 2]
        else _unlike(tagged, number_of, flat[at + profiles : said], flat[said : said + kinds // 2]),
    )


def _unlike(tagged: str, vlan: int, kinds: Sequence[str], said: Sequence[str]) -> str:
    """Return which type says another thing than what stands beside it."""
    wanted = _DOT1Q if vlan else _UNTAGGED
    pairs = [
        ("encapsulation", wanted, tagged),
        *(("routing protocol", *pair) for pair in zip(kinds, said, strict=True)),
    ]
    what, kind, word = next(pair for pair in pairs if pair[1] != pair[2])
    return f"its {what} is of type {word or 'none at all'}, what is configured is {kind.rpartition(':')[2]}"


def _rule(rule: Tree) -> Rule:
    match = below(rule, "l3nm:ipv4") or below(rule, "l3nm:ipv6")
    ports = {"source": _ALL_PORTS, "destination": _ALL_PORTS}
    for transport in ("l3nm:tcp", "l3nm:udp"):
        for side in ports:
            found = below(rule, transport, f"l3nm:{side}-port-range-or-operator")
            if found:
                low = number(found, "l3nm:lower-port")
                ports[side] = (low, number(found, "l3nm:upper-port") if "l3nm:upper-port" in found else low)
    networks = {}
    for side in ports:
        prefix = text(match, f"l3nm:{side}-ipv4-network") or text(match, f"l3nm:{side}-ipv6-network")
        networks[side] = span(prefix) if prefix else None
    return Rule(
        text(rule, "l3nm:id"),
        text(match, "l3nm:protocol"),
        networks["source"],
        networks["destination"],
        ports["source"],
        ports["destination"],
        text(rule, "l3nm:target-class-id"),
    )


def _action(rule: Tree) -> tuple[str, Action]:
    return text(rule, "l3nm:target-class-id"), Action(
        _share(text(rule, "l3nm:inbound-rate-limit")),
        _share(text(rule, "l3nm:outbound-rate-limit")),
        optional_number(rule, "oc:queue"),
        optional_number(rule, "oc:mark-dscp"),
        optional_number(rule, "oc:committed-rate"),
    )


def _share(percent: str) -> float:
    try:
        return float(percent) / 100
    except ValueError:
        return 0.0

"""Where a service meets a provider edge: access ports, VLANs and the /30 towards the customer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from controller.intent.model import AccessSite, Boundaries, Prefix
from controller.network.ledger import Ledger
from controller.network.model import CityMap, Port
from controller.planning.draft import FIRST_ACCESS_VLAN, LAST_VLAN, CannotPlaceError, Draft, rate_text
from controller.planning.layers import Layers, node_allowed
from controller.planning.placement import Attachment, Placement, RateReservation
from controller.planning.reasons import boundary_text, short


def access_port(city: CityMap, net: Layers, access: AccessSite) -> Port:
    """Return the IP port that an access is to use; raises CannotPlaceError where the map has none."""
    if access.port is not None:
        port = net.ports.get(access.port)
        if port is None or port.role not in ("access", "otn"):
            raise CannotPlaceError(f"access {access.name}: {access.port} is not an access port of this map")
        return port
    site = city.sites.get(access.site)
    if site is None:
        raise CannotPlaceError(f"access {access.name}: the map has no site {access.site}")
    if site.access is None:
        raise CannotPlaceError(f"access {access.name}: no IP port is known at site {access.site}")
    return city.ports[site.access]


def attach_all(
    city: CityMap,
    net: Layers,
    draft: Draft,
    accesses: Iterable[AccessSite],
    lans: Mapping[str, tuple[Prefix, ...]],
    bounds: Boundaries,
) -> tuple[Attachment, ...]:
    """Hold VLAN and addresses of every access; what the present placement gives an unchanged one stays."""
    before = {a.access: a for a in draft.old.attachments} if draft.old is not None else {}
    indices = _access_indices(draft)
    accesses = tuple(accesses)
    ports = {a.name: _checked_port(city, net, a, bounds) for a in accesses}
    kept = {n: old for n, old in before.items() if n in ports and (old.node, old.port) == tuple(ports[n].ref)}
    result: dict[str, Attachment] = {}
    # Written VLANs first, then what is kept: a newcomer must not take a label from either.
    for access in sorted(accesses, key=lambda a: (a.vlan is None, a.name not in kept)):
        port = ports[access.name]
        vlan = _vlan(draft, port, access, kept.get(access.name))
        keep = indices.get(access.name) if access.name in kept else None
        index = draft.pick("access-net", draft.pools.access_nets, "access /30", keep)
        pe, ce = draft.pools.access_net(index)
        prefixes = _ipv4(access, lans.get(access.name, access.lans))
        result[access.name] = Attachment(
            access.name, access.site, port.domain, port.ref.node, port.ref.port, vlan, pe, ce, 30, prefixes,
            access.rate_bps, access.hub,
        )  # fmt: skip
    attachments = tuple(result[a.name] for a in accesses)
    _check_room(net, draft.ledger, attachments)
    return attachments


def still_attached(
    city: CityMap,
    net: Layers,
    ledger: Ledger,
    accesses: Iterable[AccessSite],
    bounds: Boundaries,
    standing: Placement,
) -> bool:
    """Return whether every access is where it was, and every label its own to hold; `ledger` is without them.

    Raises CannotPlaceError where an access can be nowhere.
    """
    at = {a.access: (a.node, a.port) for a in standing.attachments}
    if any(at.get(a.name) != tuple(_checked_port(city, net, a, bounds).ref) for a in accesses):
        return False
    if any(ledger.holder(r.resource, r.label, r.start, r.end) is not None for r in standing.labels):
        return False
    _check_room(net, ledger, standing.attachments)
    return True


def port_rates(attachments: Iterable[Attachment]) -> tuple[RateReservation, ...]:
    """Return what the accesses of a service hold on the ports that they share with others."""
    held: dict[str, int] = {}
    for a in attachments:
        port = f"port:{a.node}/{a.port}"
        held[port] = held.get(port, 0) + a.rate_bps
    return tuple(RateReservation(port, rate) for port, rate in sorted(held.items()))


def _check_room(net: Layers, ledger: Ledger, attachments: tuple[Attachment, ...]) -> None:
    """Refuse accesses that a port cannot carry together: all of them in full, ours and everybody else's."""
    for held in port_rates(attachments):
        name = held.link.removeprefix("port:")
        rate = max(net.ports[name].rates_bps, default=0)
        left = rate - ledger.peak_bps(held.link, None, None)
        if rate and held.rate_bps > left:
            count = sum(f"{a.node}/{a.port}" == name for a in attachments)
            asked = f"{count} accesses ask for {rate_text(held.rate_bps)}" if count > 1 else rate_text(held.rate_bps)
            raise CannotPlaceError(
                f"port {name} has {rate_text(max(0, left))} left of {rate_text(rate)}, {asked}"
                + ("" if count > 1 else " is asked"),
                (held.link,),
            )


def _checked_port(city: CityMap, net: Layers, access: AccessSite, bounds: Boundaries) -> Port:
    port = access_port(city, net, access)
    node = net.nodes[port.ref.node]
    if not node_allowed(node, bounds):
        raise CannotPlaceError(
            f"access {access.name}: {short(node.id)} is outside the boundaries "
            f"({boundary_text(bounds)}; its trust is {node.trust})"
        )
    if port.rates_bps and access.rate_bps > max(port.rates_bps):
        raise CannotPlaceError(f"access {access.name}: port {port.ref} runs at {rate_text(max(port.rates_bps))}")
    return port


def _ipv4(access: AccessSite, prefixes: tuple[Prefix, ...]) -> tuple[str, ...]:
    """Refuse IPv6: an access gets an IPv4 link to its site, over which no IPv6 route can lead."""
    other = next((p for p in prefixes if p.version != 4), None)
    if other is not None:
        raise CannotPlaceError(
            f"access {access.name}: {other} is an IPv6 prefix, and services are carried over IPv4 only so far; "
            "give it an IPv4 prefix or pool"
        )
    return tuple(str(p) for p in prefixes)


def _access_indices(draft: Draft) -> dict[str, int]:
    """Read the /30 numbers of the present placement back from its addresses."""
    if draft.old is None:
        return {}
    numbers = {draft.pools.access_net(r.label)[0]: r.label for r in draft.old.labels if r.resource == "access-net"}
    return {a.access: numbers[a.pe_address] for a in draft.old.attachments if a.pe_address in numbers}


def _vlan(draft: Draft, port: Port, access: AccessSite, old: Attachment | None) -> int:
    resource = f"vlan:{port.ref}"
    if access.vlan is None:
        keep = old.vlan if old is not None else None
        return draft.pick(resource, range(FIRST_ACCESS_VLAN, LAST_VLAN + 1), "VLAN", keep)
    holder = draft.ledger.holder(resource, access.vlan)
    if holder is not None:
        raise CannotPlaceError(
            f"access {access.name}: VLAN {access.vlan} on {port.ref} is held by {holder}", (resource,)
        )
    return draft.hold(resource, access.vlan)


def allocate_lans(
    accesses: Iterable[AccessSite], pool: Prefix | None, prefix_len: int, old: Iterable[Attachment]
) -> dict[str, tuple[Prefix, ...]]:
    """Give every access without prefixes one of the pool: the one it has, else the lowest that overlaps none."""
    accesses = tuple(accesses)
    given: dict[str, tuple[Prefix, ...]] = {a.name: a.lans for a in accesses}
    if pool is None:
        return given
    has = {a.access: tuple(ip_network(x) for x in a.lans) for a in old}
    fixed = [p for a in accesses for p in a.lans]
    used: set[Prefix] = set()
    waiting: list[str] = []
    for access in accesses:
        mine = has.get(access.name, ())
        kept = not access.lans and len(mine) == 1 and mine[0].prefixlen == prefix_len and _inside(mine[0], pool)
        if kept and not any(_overlap(mine[0], f) for f in fixed):
            given[access.name] = mine
            used.add(mine[0])
        elif not access.lans:
            waiting.append(access.name)
    if prefix_len < pool.prefixlen and waiting:
        raise CannotPlaceError(f"the LAN pool {pool} is smaller than one /{prefix_len}")
    candidates = pool.subnets(new_prefix=prefix_len) if waiting else iter(())
    for name in waiting:
        free = next((c for c in candidates if c not in used and not any(_overlap(c, f) for f in fixed)), None)
        if free is None:
            raise CannotPlaceError(f"the LAN pool {pool} has no /{prefix_len} left for access {name}")
        given[name] = (free,)
    return given


def _inside(prefix: Prefix, pool: Prefix) -> bool:
    if isinstance(prefix, IPv4Network) and isinstance(pool, IPv4Network):
        return prefix.subnet_of(pool)
    return isinstance(prefix, IPv6Network) and isinstance(pool, IPv6Network) and prefix.subnet_of(pool)


def _overlap(one: Prefix, other: Prefix) -> bool:
    return one.version == other.version and one.overlaps(other)

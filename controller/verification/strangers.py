"""Whether the rules of an assured class take more than what is assured: a class that takes everybody's traffic is none.

A rule may be as narrow as it likes here; that what is assured gets into its class is asked packet by packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from controller.intent.model import MediaFlow
from controller.verification.classes import EPHEMERAL, Packet
from controller.verification.facts import Access, Rule, Span

WITH_PORTS = frozenset({6, 17})  # TCP, UDP
_PROTOCOLS = tuple(str(number) for number in (17, 6, *range(256)))
_SOMEWHERE: Mapping[int, Span] = {4: (4, 0xC0000201, 0xC00002FE), 6: (6, 0x20010DB8 << 96, (0x20010DB9 << 96) - 1)}


@dataclass(frozen=True, slots=True)
class Guests:
    """Whose packets a class may take at one access.

    server: the one host that all talk to; None: anybody may talk to anybody. hosts: those that may begin here; None at
    borders, where all who talk to the server come by. answers: whether what the server sends comes by here.
    """

    server: int | None = None
    hosts: frozenset[int] | None = None
    answers: bool = True


def stranger(rule: Rule, flows: Sequence[MediaFlow], guests: Guests, access: Access) -> Packet | None:
    """Return a packet that a rule takes and that belongs to none of these flows; None where there is none."""
    if any(_keeps(rule, flow, guests) for flow in flows):
        return None
    taken = {*(guests.hosts or ()), *((guests.server,) if guests.server is not None else ())}
    version = next((side[0] for side in (rule.source, rule.destination) if side is not None), 4)
    somewhere = next((s for s in access.spans if s[0] == version), _SOMEWHERE[version])
    source = _someone(rule.source or somewhere, taken)
    target = _someone(rule.destination or _SOMEWHERE[version], {*taken, source})
    others = {str(flow.protocol) for flow in flows}
    protocol = rule.protocol or next(p for p in _PROTOCOLS if p not in others)
    ends = (_port(rule.source_ports, flows), _port(rule.destination_ports, flows))
    return Packet(version, source, target, protocol, *ends)


def _keeps(rule: Rule, flow: MediaFlow, guests: Guests) -> bool:
    if rule.protocol != str(flow.protocol):
        return False
    ports, server = flow.protocol in WITH_PORTS, guests.server
    if not ports or _inside(rule.destination_ports, flow):
        known = guests.hosts is None or _host(rule.source) in guests.hosts
        if server is None or (known and _host(rule.destination) == server):
            return True
    return (
        (guests.answers or server is None)
        and (not ports or _inside(rule.source_ports, flow))
        and (server is None or _host(rule.source) == server)
    )


def _inside(ports: tuple[int, int], flow: MediaFlow) -> bool:
    return flow.port_low <= ports[0] and ports[1] <= flow.port_high


def _host(span: Span | None) -> int | None:
    return span[1] if span is not None and span[1] == span[2] else None


def _someone(span: Span, taken: Iterable[int]) -> int:
    """Return the first address that is nobody's of these; the last where all are."""
    known = set(taken)
    return next((a for a in range(span[1], min(span[2], span[1] + len(known)) + 1) if a not in known), span[2])


def _port(ports: tuple[int, int], flows: Sequence[MediaFlow]) -> int:
    """Return a port of a range, one that no flow has if there is one."""
    tried = (EPHEMERAL, *ports)
    free = (p for p in tried if ports[0] <= p <= ports[1] and not any(f.port_low <= p <= f.port_high for f in flows))
    return next(free, ports[1])


def shown(packet: Packet) -> str:
    """Write a packet as people do."""
    ends = ((packet.source, packet.source_port), (packet.destination, packet.destination_port))
    there, here = (f"{ip_address(address)} port {port}" for address, port in ends)
    return f"protocol {packet.protocol} from {there} to {here}"

"""A classification entry as OpenFlow matches: ranges of ports become as few masked values as cover them exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.plant.units import Prefix, Rule

TCP, UDP = 6, 17
_PORTS = {TCP: ("tcp_src", "tcp_dst"), UDP: ("udp_src", "udp_dst")}
_IP = {4: (0x0800, "ipv4_src", "ipv4_dst"), 6: (0x86DD, "ipv6_src", "ipv6_dst")}


def rule_matches(rule: Rule) -> Iterator[dict[str, Any]]:
    """Yield the matches that together are this rule."""
    versions = {p[0] for p in (rule.source, rule.destination) if p is not None} or {4, 6}
    if len(versions) == 2 and rule.source is not None and rule.destination is not None:
        return  # from one family to the other: nothing matches
    protocols = [rule.protocol] if rule.protocol is not None else [None]
    if protocols == [None] and (rule.source_ports or rule.destination_ports):
        protocols = [TCP, UDP]
    for version in sorted(versions):
        for protocol in protocols:
            yield from _family(rule, version, protocol)


def _family(rule: Rule, version: int, protocol: int | None) -> Iterator[dict[str, Any]]:
    kind, source, destination = _IP[version]
    match: dict[str, Any] = {"eth_type": kind}
    for field, prefix in ((source, rule.source), (destination, rule.destination)):
        if prefix is not None and prefix[1]:
            match[field] = (prefix[2], _mask(prefix))
    if protocol is not None:
        match["ip_proto"] = protocol
    names = _PORTS.get(protocol) if protocol is not None else None
    if names is None:
        if not (rule.source_ports or rule.destination_ports):
            yield match
        return
    for one in _covering(names[0], rule.source_ports):
        for other in _covering(names[1], rule.destination_ports):
            yield {**match, **one, **other}


def _mask(prefix: Prefix) -> int:
    bits = 32 if prefix[0] == 4 else 128
    return ((1 << prefix[1]) - 1) << (bits - prefix[1])


def _covering(field: str, ports: tuple[int, int] | None) -> list[dict[str, Any]]:
    if not ports:
        return [{}]
    return [{field: value if mask == 0xFFFF else (value, mask)} for value, mask in cover(*ports)]


def cover(low: int, high: int) -> list[tuple[int, int]]:
    """Return (value, mask) pairs of 16 bits that cover low…high exactly and no number twice."""
    pairs = []
    while low <= high:
        size = low & -low if low else 0x10000
        while size > high - low + 1:
            size >>= 1
        pairs.append((low, 0xFFFF & ~(size - 1)))
        low += size
    return pairs

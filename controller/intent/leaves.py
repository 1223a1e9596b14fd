"""The leaf types of intent documents: each reads one scalar and explains itself when it cannot.

A leaf is an annotated type with its own reader in place of pydantic's, so that every message is ours, and with
the JSON Schema that editors see.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from annotated_types import GroupedMetadata
from pydantic import PlainValidator, WithJsonSchema

from controller.intent import quantities
from controller.intent.model import Prefix
from controller.intent.quantities import nearest, shown

NOW = "now"  # the start of a window that begins when it is accepted

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_WORD = re.compile(r"[^\s\x00-\x1f]{1,200}")
_LABEL = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,256}")
_PORT_RANGE = re.compile(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?")


def scalar(value: object, what: str) -> str:
    """Return the text of a scalar; a number from a typed document counts as its text."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30:
        return str(value)
    raise ValueError(f"{shown(value)} is not {what}" if value is not None else f"is empty; write {what}")


def read_name(value: object) -> str:
    """Return a name that can stand in every identifier that is made from it."""
    text = scalar(value, "a name")
    if _NAME.fullmatch(text) is None:
        meant = re.sub(r"[^a-z0-9]+", "-", text.lower()[:63]).strip("-") or "office"
        raise ValueError(
            f"{shown(text)} is not a name; write lower-case letters, digits and - (at most 63), as {meant}"
            if len(text) <= 63
            else f"{shown(text)} has {len(text)} characters; a name has at most 63"
        )
    return text


def is_name(text: str) -> bool:
    """Return whether the text can stand in every identifier that is made from it."""
    return _NAME.fullmatch(text) is not None


def read_reference(value: object) -> str:
    """Return `name` or `tenant/name`."""
    text = scalar(value, "the name of a service")
    parts = text.split("/")
    if len(parts) > 2 or any(_NAME.fullmatch(part) is None for part in parts):
        raise ValueError(f"{shown(text)} is not a service; write its name, or tenant/name for another tenant's")
    return text


def read_word(value: object) -> str:
    """Return text without spaces: the id of something in the city."""
    text = scalar(value, "a name")
    if _WORD.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is not a name; write 1 to 200 characters without spaces")
    return text


def read_label(value: object) -> str:
    """Return the value of a label."""
    text = "" if value is None else scalar(value, "text")
    if _LABEL.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is not a label; write at most 256 printable characters on one line")
    return text


def _words(value: object) -> tuple[str, ...]:
    found = tuple(read_word(item) for item in _several(value))
    if len(set(found)) < len(found):
        twice = next(word for word in found if found.count(word) > 1)
        raise ValueError(f"{shown(twice)} is written twice; keep one of them")
    return found


def _several(value: object) -> list[object]:
    """Return a list, also from one value."""
    if value is None:
        return []
    items = list(value) if isinstance(value, list | tuple) else [value]
    if len(items) > 1000:
        raise ValueError(f"holds {len(items):,} values; at most 1,000 are taken")
    return items


def _prefixes(value: object) -> tuple[Prefix, ...]:
    return tuple(_prefix(item) for item in _several(value))


def _prefix(value: object) -> Prefix:
    text = scalar(value, "a prefix, as 10.1.2.0/24").strip()
    example = "write for example 10.1.2.0/24"
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a prefix; {example}") from None
    if "/" not in text or "." in text.partition("/")[2]:
        raise ValueError(f"{shown(text)} has no length; write {network} for it, or its whole network as 10.1.2.0/24")
    if ip_address_part(text) != network.network_address:
        raise ValueError(f"{shown(text)} has bits set behind its length; write {network}")
    if network.is_multicast or network.is_loopback or network.is_link_local:
        raise ValueError(f"{shown(text)} cannot stand behind an access (multicast, loopback or link-local); {example}")
    return network


def ip_address_part(text: str) -> object:
    """Return the address in front of the slash."""
    address = text.partition("/")[0]
    return IPv4Network(address).network_address if "." in address and ":" not in address else _six(address)


def _six(address: str) -> object:
    return IPv6Network(address).network_address


def _address(value: object) -> IPv4Address:
    text = scalar(value, "an IPv4 address, as 10.1.2.20").strip()
    try:
        address = IPv4Address(text)
    except ValueError:
        why = "is an IPv6 address, which conferences do not carry" if ":" in text else "is not an IPv4 address"
        raise ValueError(f"{shown(text)} {why}; write for example 10.1.2.20") from None
    if address.is_multicast or address.is_loopback or address.is_unspecified or int(address) == 0xFFFFFFFF:
        raise ValueError(f"{shown(text)} is not the address of a host; write for example 10.1.2.20")
    return address


def _ports(value: object) -> tuple[int, int]:
    text = scalar(value, "a port or a range of ports").strip()
    found = _PORT_RANGE.fullmatch(text)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= low <= high <= 65535:
        turned = f"{high}-{low}" if 1 <= high < low <= 65535 else "5060 or 5060-5061"
        raise ValueError(f"{shown(value)} is not a port or a range of ports (1 to 65535); write {turned}")
    return low, high


def _port_name(value: object) -> str:
    text = scalar(value, "a port")
    node, slash, port = text.partition("/")
    if not (slash and node and port) or _WORD.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is not a port; write node/port, as node:lg-buji/tp:acc-1")
    return text


def _trust(value: object) -> int:
    text = scalar(value, "a trust level").strip().upper().removeprefix("L")
    if text not in ("1", "2", "3", "4"):
        raise ValueError(f"{shown(value)} is not a trust level; write L1, L2, L3 or L4")
    return int(text)


def _moment(value: object) -> datetime | str:
    if isinstance(value, str) and value.strip().lower() == NOW:
        return NOW
    return quantities.instant(value)


@dataclass(frozen=True, eq=False)
class Leaf(GroupedMetadata):
    """How one kind of scalar is read, and what editors are told about it."""

    read: Callable[[object], object]
    schema: dict[str, Any]

    def __iter__(self) -> Iterator[object]:
        yield PlainValidator(self.read)
        yield WithJsonSchema(self.schema)


def choice(*words: str) -> Leaf:
    """Return the leaf of a field that takes one of a few words."""

    def read(value: object) -> str:
        text = scalar(value, "one of " + ", ".join(words))
        if text not in words:
            near = nearest(text, words)
            hint = near if near.startswith("did") else "write " + ", ".join(words[:-1]) + f" or {words[-1]}"
            raise ValueError(f"{shown(text)} is not taken here; {hint}")
        return text

    return Leaf(read, {"type": "string", "enum": list(words)})


def number(low: int, high: int) -> Leaf:
    """Return the leaf of a whole number from `low` to `high`."""

    def read(value: object) -> int:
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            value = int(value)  # JSON and protobuf structs know only floats
        text = scalar(value, f"a whole number from {low} to {high}").strip()
        if re.fullmatch(r"[-+]?[0-9]{1,18}", text) is None or not low <= int(text) <= high:
            raise ValueError(f"{shown(value)} is not a whole number from {low} to {high}")
        return int(text)

    return Leaf(read, {"type": ["integer", "string"], "minimum": low, "maximum": high, "pattern": "^[0-9]+$"})


def _text(pattern: str, *examples: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern, "examples": list(examples)}


def _loose(*examples: object) -> dict[str, Any]:
    return {"type": ["string", "number"], "examples": list(examples)}


def _one_or_more(*examples: object) -> dict[str, Any]:
    item = {"type": "string"}
    return {"anyOf": [item, {"type": "array", "items": item}], "examples": list(examples)}


_NAME_PATTERN = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_RATE_PATTERN = "^[0-9.]+([eE][-+]?[0-9]+)? ?[kMGT]?(bps|bit/s)$"
_DELAY_PATTERN = "^[0-9.]+([eE][-+]?[0-9]+)? ?(s|ms|us|µs|ns)$"

Name = Annotated[str, Leaf(read_name, _text(_NAME_PATTERN, "office"))]
Reference = Annotated[str, Leaf(read_reference, _text("^[a-z0-9-]+(/[a-z0-9-]+)?$", "office", "police/video"))]
Text = Annotated[str, Leaf(read_word, {"type": "string", "examples": ["buji"]})]
Label = Annotated[str, Leaf(read_label, {"type": "string"})]
Words = Annotated[tuple[str, ...], Leaf(_words, _one_or_more("west", ["west", "centre"]))]
Prefixes = Annotated[tuple[Prefix, ...], Leaf(_prefixes, _one_or_more("10.1.2.0/24", ["10.1.2.0/24"]))]
Address = Annotated[IPv4Address, Leaf(_address, {"type": "string", "format": "ipv4"})]
Ports = Annotated[tuple[int, int], Leaf(_ports, _loose("5060-5061", 5060))]
PortName = Annotated[str, Leaf(_port_name, _text("^[^/\\s]+/\\S+$", "node:lg-buji/tp:acc-1"))]
Trust = Annotated[int, Leaf(_trust, {"enum": ["L1", "L2", "L3", "L4", 1, 2, 3, 4]})]
Rate = Annotated[int, Leaf(quantities.rate, _text(_RATE_PATTERN, "100Mbps", "10Gbit/s"))]
Delay = Annotated[float, Leaf(quantities.delay, _text(_DELAY_PATTERN, "20ms"))]
Loss = Annotated[float, Leaf(quantities.loss, _loose("1e-4", "0.01%"))]
Availability = Annotated[float, Leaf(quantities.availability, _loose("99.99%"))]
Ratio = Annotated[float, Leaf(quantities.ratio, _loose("50%", 0.5))]
Span = Annotated[float, Leaf(quantities.span, _text("^([0-9.]+(ms|s|min|m|h|d|w) ?)+$", "2h", "1h30min"))]
Moment = Annotated[datetime | str, Leaf(_moment, {"type": "string", "examples": [NOW]})]

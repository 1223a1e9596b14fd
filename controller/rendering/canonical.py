"""Canonical text of YANG values (RFC 7950 §9), so that two ways of writing one value compare equal.

Domain controllers need not canonicalise for us: `10.31.1.77/24` comes back unmasked, hex in upper case, decimals with
zeros. Each function here maps one lexical form to the canonical one and leaves alone what it does not understand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from controller.rendering.bandwidth import bandwidth_bps, bandwidth_text

Canon = Callable[[str], str]

_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def integer(text: str) -> str:
    """Decimal, without sign or leading zeros; hexadecimal and octal are allowed on the wire (RFC 7950 §9.2.1)."""
    if text.isdigit() and (text[0] != "0" or text == "0"):
        return text
    bare = text.strip().lower()
    digits = bare.lstrip("+-")
    try:
        if digits.startswith("0x"):
            value = int(digits, 16)
        elif digits.startswith("0") and len(digits) > 1:
            value = int(digits, 8)
        else:
            value = int(digits)
    except ValueError:
        return text
    return str(-value if bare.startswith("-") else value)


def decimal(text: str) -> str:
    """At least one digit before and after the point, and no other zeros (RFC 7950 §9.3.2)."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return text
    whole, _, rest = format(value, "f").partition(".")
    rest = rest.rstrip("0") or "0"
    return "0.0" if value == 0 else f"{whole}.{rest}"


@lru_cache(maxsize=65536)
def prefix(text: str) -> str:
    """Host bits zero; IPv6 in lower case and shortest form."""
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        return text


@lru_cache(maxsize=65536)
def address(text: str) -> str:
    bare, percent, zone = text.strip().partition("%")
    try:
        return f"{ip_address(bare)}{percent}{zone}"
    except ValueError:
        return text


def bandwidth(text: str) -> str:
    try:
        return ",".join(bandwidth_text(bandwidth_bps(part)) for part in text.split(","))
    except (ValueError, OverflowError):
        return text


def lower(text: str) -> str:
    return text.strip().lower()


def bare(text: str) -> str:
    return text.strip()


def base64_text(text: str) -> str:
    return "".join(text.split())


_BY_TYPEDEF: Mapping[str, Canon] = {
    "ietf-inet-types:ipv4-prefix": prefix,
    "ietf-inet-types:ipv6-prefix": prefix,
    "ietf-inet-types:ip-prefix": prefix,
    "ietf-inet-types:ipv6-address": address,
    "ietf-inet-types:ipv4-address": address,
    "ietf-inet-types:ip-address": address,
    "ietf-yang-types:hex-string": lower,
    "ietf-te-types:te-bandwidth": bandwidth,
}


def canonicaliser(kind: Mapping[str, Any]) -> Canon | None:
    """Return the function that brings values of this type (an entry of the YANG table) into canonical form.

    None: every value is canonical as it stands.
    """
    known = _BY_TYPEDEF.get(str(kind.get("typedef", "")))
    if known is not None:
        return known
    base = kind["base"]
    if base in _INTEGERS:
        return integer
    if base == "decimal64":
        return decimal
    if base == "binary":
        return base64_text
    if base in {"boolean", "enumeration", "identityref"}:
        return bare
    if base == "bits":
        return _bits(tuple(kind.get("bit", ())))
    if base == "leafref" and "target" in kind:
        return canonicaliser(kind["target"])
    if base == "union":
        return _union(tuple(kind["types"]))
    return None


def _bits(order: tuple[str, ...]) -> Canon:
    position = {name: i for i, name in enumerate(order)}

    def canon(text: str) -> str:
        return " ".join(sorted(text.split(), key=lambda name: position.get(name, len(position))))

    return canon


def _union(members: tuple[Mapping[str, Any], ...]) -> Canon:
    """The first member that takes the value decides; told apart by form, which is enough for the unions in use."""
    choices = tuple((member, canonicaliser(member)) for member in members)

    def canon(text: str) -> str:
        for member, function in choices:
            if _could_be(member, text):
                return function(text) if function else text
        return text

    return canon


def _could_be(kind: Mapping[str, Any], text: str) -> bool:
    base, value = kind["base"], text.strip()
    typedef = str(kind.get("typedef", "")).rsplit(":", 1)[-1]
    if base in _INTEGERS:
        return value.lstrip("+-").isdigit() or value.lower().startswith("0x")
    if base == "enumeration":
        return value in kind.get("enum", ())
    if base == "boolean":
        return value in {"true", "false"}
    if base == "union":
        return any(_could_be(member, text) for member in kind["types"])
    if typedef.endswith("prefix"):
        return "/" in value and (":" in value) == typedef.startswith("ipv6")
    if typedef.endswith("address"):
        return (":" in value) == typedef.startswith("ipv6") and "/" not in value
    if base == "decimal64":
        return value.lstrip("+-").replace(".", "", 1).isdigit()
    return True

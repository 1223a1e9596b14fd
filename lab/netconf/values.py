"""Whether a text is a value of a YANG type, and its stored form.

A check takes the text and a function that resolves an XML prefix to a module name; it returns the text to store
(identities as `module:name`, numbers without leading zeros) or raises ValueError with a reason to show.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

Resolve = Callable[[str], str | None]
Check = Callable[[str, Resolve], str]

_INTEGERS = {
    f"{sign}int{bits}": (0 if sign else -(2 ** (bits - 1)), 2**bits - 1 if sign else 2 ** (bits - 1) - 1)
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
_CACHED_VALUES = 4096


def compile_check(spec: Mapping[str, Any], identities: Mapping[str, Sequence[str]]) -> Check:
    """Return the check of one type of the table."""
    base = spec["base"]
    if base == "leafref":
        return compile_check(spec.get("target", {"base": "string"}), identities)
    if base == "identityref":
        return _identity(spec["identity-base"], identities)
    if base == "union":
        return _union([compile_check(member, identities) for member in spec["types"]])
    return _remembering(_plain(base, spec))


def uses_identities(spec: Mapping[str, Any]) -> bool:
    """True if a stored value can be an identity, whose prefix the wire must declare."""
    if spec["base"] == "leafref":
        return uses_identities(spec.get("target", {"base": "string"}))
    return spec["base"] == "identityref" or any(uses_identities(member) for member in spec.get("types", ()))


def _remembering(check: Callable[[str], str]) -> Check:
    """Values repeat (VLANs, next hops, bandwidths): check each text once."""
    known: dict[str, str] = {}

    def remembered(text: str, _resolve: Resolve) -> str:
        stored = known.get(text)
        if stored is None:
            stored = check(text)
            if len(known) < _CACHED_VALUES:
                known[text] = stored
        return stored

    return remembered


def _plain(base: str, spec: Mapping[str, Any]) -> Callable[[str], str]:
    if base in _INTEGERS:
        return _integer(base, spec.get("range"))
    if base == "decimal64":
        return _decimal(int(spec["fraction-digits"]), spec.get("range"))
    if base == "enumeration":
        return _one_of(frozenset(spec["enum"]))
    if base == "bits":
        return _bits(tuple(spec["bit"]))
    if base == "string":
        return _string([re.compile(p) for p in spec.get("patterns", ())], spec.get("length"))
    return {"boolean": _one_of(frozenset(("true", "false"))), "empty": _empty, "binary": _binary}.get(base, str)


def _within(value: Any, ranges: Sequence[Sequence[Any]] | None) -> bool:
    if not ranges:
        return True
    return any(
        (low == "min" or value >= Decimal(str(low))) and (high == "max" or value <= Decimal(str(high)))
        for low, high in ranges
    )


def _integer(base: str, ranges: Sequence[Sequence[Any]] | None) -> Callable[[str], str]:
    lowest, highest = _INTEGERS[base]

    def check(text: str) -> str:
        try:
            number = int(text.strip(), 16 if text.strip().lower().startswith(("0x", "-0x")) else 10)
        except ValueError:
            raise ValueError(f"{text!r} is not a whole number ({base})") from None
        if not lowest <= number <= highest or not _within(number, ranges):
            raise ValueError(f"{number} is out of range")
        return str(number)

    return check


def _decimal(digits: int, ranges: Sequence[Sequence[Any]] | None) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            number = Decimal(text.strip())
        except InvalidOperation:
            raise ValueError(f"{text!r} is not a decimal number") from None
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or (-exponent > digits and number != round(number, digits)):
            raise ValueError(f"{text!r} has more than {digits} decimals")
        if not _within(number, ranges):
            raise ValueError(f"{text} is out of range")
        shortest = f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"
        return shortest if "." in shortest else f"{shortest}.0"

    return check


def _one_of(allowed: frozenset[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text.strip() not in allowed:
            raise ValueError(f"{text!r} is none of {', '.join(sorted(allowed))}")
        return text.strip()

    return check


def _bits(names: Sequence[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        given = text.split()
        unknown = [bit for bit in given if bit not in names]
        if unknown or len(set(given)) != len(given):
            raise ValueError(f"{text!r} is not a set of {' '.join(names)}")
        return " ".join(bit for bit in names if bit in given)

    return check


def _string(patterns: Sequence[re.Pattern[str]], lengths: Sequence[Sequence[Any]] | None) -> Callable[[str], str]:
    def check(text: str) -> str:
        for pattern in patterns:
            if pattern.fullmatch(text) is None:
                raise ValueError(f"{text!r} does not match the type's pattern")
        if not _within(len(text), lengths):
            raise ValueError(f"{text!r} is too short or too long")
        return text

    return check


def _empty(text: str) -> str:
    if text.strip():
        raise ValueError("takes no value")
    return ""


def _binary(text: str) -> str:
    stripped = "".join(text.split())
    try:
        base64.b64decode(stripped, validate=True)
    except binascii.Error:
        raise ValueError(f"{text!r} is not base64") from None
    return stripped


def _identity(base: str, identities: Mapping[str, Sequence[str]]) -> Check:
    allowed = frozenset(name for name, bases in identities.items() if base in bases)

    def check(text: str, resolve: Resolve) -> str:
        prefix, _, name = text.strip().rpartition(":")
        stored = f"{resolve(prefix)}:{name}"
        if stored not in allowed:
            raise ValueError(f"{text!r} is not an identity derived from {base}")
        return stored

    return check


def _union(members: Sequence[Check]) -> Check:
    def check(text: str, resolve: Resolve) -> str:
        for member in members:
            try:
                return member(text, resolve)
            except ValueError:
                continue
        raise ValueError(f"{text!r} fits no type of the union")

    return check

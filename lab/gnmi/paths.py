"""gNMI paths as text, as elements and as patterns.

Text is the gNMI convention, `/name/name[key=value]/name`; a `]` or `\\` inside a value is escaped by `\\`.
A pattern may leave out module prefixes and keys, and may say `*` for a name or a key's value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pygnmi.spec.v080 import gnmi_pb2

JsonValue = str | int | float | bool | None | list[Any] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class PathElement:
    """One step: its name as written, its name without module prefix, and its list keys."""

    name: str
    local: str
    keys: Mapping[str, str]


Elements = tuple[PathElement, ...]


def parse_path(text: str) -> Elements:
    """Split a path; raises ValueError where a bracket does not close or a key has no `=`."""
    elements: list[PathElement] = []
    position, end = 0, len(text)
    while position < end:
        if text[position] == "/":
            position += 1
            continue
        start = position
        while position < end and text[position] not in "/[":
            position += 1
        name, keys = text[start:position], {}
        while position < end and text[position] == "[":
            key, value, position = _key(text, position + 1)
            keys[key] = value
        elements.append(_element(name, keys))
    return tuple(elements)


def _key(text: str, position: int) -> tuple[str, str, int]:
    equals = text.find("=", position)
    if equals < 0:
        raise ValueError(f"{text!r}: a key without '='")
    value: list[str] = []
    at = equals + 1
    while at < len(text) and text[at] != "]":
        if text[at] == "\\":
            at += 1
        value.append(text[at : at + 1])
        at += 1
    if at >= len(text):
        raise ValueError(f"{text!r}: '[' is not closed")
    return text[position:equals], "".join(value), at + 1


def escape(value: str) -> str:
    """Make a key value fit for a path's text."""
    return value.replace("\\", "\\\\").replace("]", "\\]")


def _element(name: str, keys: Mapping[str, str]) -> PathElement:
    return PathElement(name, name.rpartition(":")[2], keys)


def to_message(elements: Elements) -> Any:
    """Return the elements as a gnmi.Path."""
    return gnmi_pb2.Path(elem=[gnmi_pb2.PathElem(name=e.name, key=dict(e.keys)) for e in elements])


def from_messages(prefix: Any, path: Any) -> Elements:
    """Return prefix and path of a request as one pattern."""
    return tuple(_element(e.name, dict(e.key)) for part in (prefix, path) for e in part.elem)


def matches(pattern: Elements, elements: Elements) -> bool:
    """True if the pattern names this path or one above it; `...` stands for any number of steps."""
    if not pattern:
        return True
    if pattern[0].name == "...":
        return any(matches(pattern[1:], elements[n:]) for n in range(len(elements) + 1))
    return bool(elements) and _step_matches(pattern[0], elements[0]) and matches(pattern[1:], elements[1:])


def of_shape(pattern: Elements, elements: Elements) -> bool:
    """True if the pattern would match a path of these names for some values of its keys."""
    return matches(tuple(replace(step, keys={}) for step in pattern), elements)


def with_keys(pattern: Elements) -> bool:
    """Return whether a pattern asks for certain values of keys."""
    return any(value != "*" for step in pattern for value in step.keys.values())


def _step_matches(pattern: PathElement, element: PathElement) -> bool:
    if pattern.name not in (element.name, element.local, "*"):
        return False
    return all(value == "*" or element.keys.get(key) == value for key, value in pattern.keys.items())


def any_match(patterns: Iterable[Elements], elements: Elements) -> bool:
    return any(matches(pattern, elements) for pattern in patterns)

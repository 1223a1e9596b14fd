"""What no published model says: which site hangs on which port, and how far each part is to be trusted.

Read from the `inventory:` of `onecity.yaml`, already parsed into plain mappings. Every mistake is named by
the key that holds it, so that it can be found in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from controller.errors import ConfigurationError

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:bps|bit/s)")
_SCALE = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_DELAY = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_ROLES = ("access", "core", "border", "otn", "client")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A place with people in it. `access` is written `node:lg-buji/tp:acc-1`."""

    title: str
    region: str
    latitude: float
    longitude: float
    access: str | None = None


@dataclass(frozen=True, slots=True)
class NodeFacts:
    site: str | None = None
    regions: frozenset[str] = frozenset()
    trust: int | None = None
    availability: float | None = None


@dataclass(frozen=True, slots=True)
class PortFacts:
    """Role and rate of a port that has no link from which they could be learnt."""

    role: str | None = None
    rate_bps: int | None = None
    site: str | None = None


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """Of an IP link (by the id of either direction) or of a fibre (by its id)."""

    plane: str | None = None
    trust: int | None = None
    availability: float | None = None
    rank: int | None = None  # border: 1 primary, 2 secondary
    jitter_s: float | None = None  # IP link: what its queue adds at most for guaranteed traffic
    loss_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    sites: Mapping[str, SiteFacts] = field(default_factory=dict)
    nodes: Mapping[str, NodeFacts] = field(default_factory=dict)
    ports: Mapping[str, PortFacts] = field(default_factory=dict)
    links: Mapping[str, LinkFacts] = field(default_factory=dict)


def read_inventory(document: Mapping[str, Any] | None) -> Inventory:
    """Return the typed inventory of a parsed `inventory:` mapping; raises ConfigurationError naming the key."""
    top = _Fields("inventory", {} if document is None else document)
    inventory = Inventory(
        sites=top.entries("sites", _site),
        nodes=top.entries("nodes", _node),
        ports=top.entries("ports", _port),
        links=top.entries("links", _link),
    )
    top.finish()
    return inventory


def _site(f: _Fields) -> SiteFacts:
    latitude, longitude = f.number("latitude", -90, 90), f.number("longitude", -180, 180)
    return SiteFacts(
        f.text("title") or f.name, f.text("region") or "", latitude or 0.0, longitude or 0.0, f.text("access")
    )


def _node(f: _Fields) -> NodeFacts:
    return NodeFacts(f.text("site"), f.names("regions"), f.whole("trust", 1, 4), f.number("availability", 0, 1))


def _port(f: _Fields) -> PortFacts:
    role = f.text("role")
    if role is not None and role not in _ROLES:
        raise f.wrong("role", f"{role!r} is not a role; write one of {', '.join(_ROLES)}")
    return PortFacts(role, f.rate("rate"), f.text("site"))


def _link(f: _Fields) -> LinkFacts:
    return LinkFacts(
        f.text("plane"), f.whole("trust", 1, 4), f.number("availability", 0, 1), f.whole("rank", 0, 9),
        f.delay("jitter"), f.number("loss", 0, 1),
    )  # fmt: skip


class _Fields:
    """One mapping of the file: hands out typed fields and, at the end, refuses those nobody asked for."""

    def __init__(self, path: str, document: Any) -> None:
        self.path, self.name = path, path.rsplit(".", 1)[-1]
        if not isinstance(document, Mapping):
            raise ConfigurationError(f"{path}: must be a mapping, not {type(document).__name__}")
        self.document = document
        self.seen: set[str] = set()

    def wrong(self, key: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path}.{key}: {problem}")

    def entries(self, key: str, read: Callable[[_Fields], T]) -> dict[str, T]:
        self.seen.add(key)
        section = self.document.get(key)
        section = {} if section is None else section
        if not isinstance(section, Mapping):
            raise self.wrong(key, f"must be a mapping, not {type(section).__name__}")
        result: dict[str, T] = {}
        for name, body in section.items():
            fields = _Fields(f"{self.path}.{key}.{name}", {} if body is None else body)
            fields.name = str(name)
            result[str(name)] = read(fields)
            fields.finish()
        return result

    def finish(self) -> None:
        for key in self.document:
            if key not in self.seen:
                raise self.wrong(str(key), f"is not known here; known are {', '.join(sorted(self.seen))}")

    def text(self, key: str) -> str | None:
        value = self._take(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, f"must be text, not {value!r}")
        return value

    def names(self, key: str) -> frozenset[str]:
        value = self._take(key)
        if value is None:
            return frozenset()
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.wrong(key, f"must be a list of names, not {value!r}")
        return frozenset(value)

    def number(self, key: str, low: float, high: float) -> float | None:
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.wrong(key, f"must be a number from {low:g} to {high:g}, not {value!r}")
        return float(value)

    def whole(self, key: str, low: int, high: int) -> int | None:
        value = self.number(key, low, high)
        if value is not None and value != int(value):
            raise self.wrong(key, f"must be a whole number from {low} to {high}, not {value!r}")
        return None if value is None else int(value)

    def rate(self, key: str) -> int | None:
        value = self._take(key)
        if value is None:
            return None
        match = _RATE.fullmatch(str(value).strip())
        if match is None:
            raise self.wrong(key, f"{value!r} is not a rate; write 100Gbps")
        return round(float(match[1]) * _SCALE[match[2]])

    def delay(self, key: str) -> float | None:
        value = self._take(key)
        if value is None:
            return None
        match = _DELAY.fullmatch(str(value).strip())
        if match is None:
            raise self.wrong(key, f"{value!r} is not a time; write 20us or 0.5ms")
        return float(match[1]) * _SECONDS[match[2]]

    def _take(self, key: str) -> Any:
        self.seen.add(key)
        return self.document.get(key)

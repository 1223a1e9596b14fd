"""gNMI updates to samples: which leaf is which metric, in which unit (RFC 9375, mapping of optics, our flows).

RFC 9375 gives delay and jitter as integers in a unit that stands beside them, milliseconds where it is absent, and
loss in percent. It has no mean: the 50th percentile serves. Throughput is the rate of a port's octet counter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from controller.southbound.driver import Sample

_UNITS_S: Final = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}
_DEFAULT_UNIT: Final = "milliseconds"
# Leaves that can stand for a metric, best first.
_PM_LEAVES: Final = {
    "delay-statistics": ("delay_s", ("intermediate-delay-percentile", "high-delay-percentile", "max-delay-value")),
    "jitter-statistics": ("jitter_s", ("high-jitter-percentile", "max-jitter-value")),
}
_STATE_LEAVES: Final = {
    "delay-us": ("delay_s", 1e-6),
    "jitter-us": ("jitter_s", 1e-6),
    "loss-ratio": ("loss_ratio", 1.0),
    "throughput-bps": ("throughput_bps", 1.0),
    "latency-ns": ("delay_s", 1e-9),
    "margin-db": ("margin_db", 1.0),
    "pre-fec-ber": ("pre_fec_ber", 1.0),
    "reachable": ("reachable", 1.0),
    "expected": ("expected", 1.0),
}
_OWN_TREES: Final = frozenset({"flows", "accesses", "circuits", "tunnels"})
_OPER: Final = {"up": 1.0, "down": 0.0}
_LEGS: Final = {"none": 0.0, "working": 1.0, "protect": 2.0}


class Element(NamedTuple):
    """One step of a path, without its module's name."""

    name: str
    keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Found:
    subject: str
    metric: str
    value: float


class _Linear(NamedTuple):
    """What a leaf of our own state paths means: one multiplication, and nothing to remember."""

    subject: str
    metric: str
    scale: float


_Path = tuple[Element, ...]
MOST_PATHS = 500_000  # remembered by their wire form; a city of 10,000 services has about 100,000


class Translator:
    """Of one connection: remembers units, counters and what was already told.

    A path comes again every second, and taking it apart costs more than everything else: each is taken apart once,
    and known again by its bytes on the wire.
    """

    def __init__(self, domain: str, link_of_port: Callable[[tuple[str, str]], str | None]) -> None:
        self._domain, self._link_of_port = domain, link_of_port
        self._units: dict[tuple[str, str], str] = {}
        self._best: dict[tuple[str, str], int] = {}
        self._octets: dict[tuple[str, str], tuple[int, float]] = {}
        self._told_at: dict[tuple[str, str], float] = {}
        self._known: dict[tuple[bytes, bytes], _Path | _Linear] = {}

    def samples(self, notification: Any) -> tuple[Sample, ...]:
        """Return what is new in one notification."""
        at = notification.timestamp / 1e9
        prefix = notification.prefix.SerializeToString()
        for path in notification.delete:
            self._forget((*_elements(notification.prefix), *_elements(path)))
        fresh: list[Sample] = []
        leaves: list[tuple[_Path, object]] = []
        for update in notification.update:
            key = (prefix, update.path.SerializeToString())
            meaning = self._known.get(key) or self._take_apart(key, notification.prefix, update.path)
            number = _plain_number(update.val) if type(meaning) is _Linear else None
            if number is not None:
                self._tell(fresh, meaning.subject, meaning.metric, number * meaning.scale, at)  # type: ignore[union-attr]
            else:
                path = meaning if type(meaning) is not _Linear else _joined(notification.prefix, update.path)
                leaves.extend(_leaves(path, update.val))  # type: ignore[arg-type]
        for path, value in leaves:
            self._learn(path, value)
        for path, value in leaves:
            for found in self._found(path, value, at):
                self._tell(fresh, found.subject, found.metric, found.value, at)
        return tuple(fresh)

    def _tell(self, fresh: list[Sample], subject: str, metric: str, value: float, at: float) -> None:
        key = (subject, metric)
        if at > self._told_at.get(key, 0.0):
            self._told_at[key] = at
            fresh.append(Sample(self._domain, subject, metric, value, at))

    def _take_apart(self, key: tuple[bytes, bytes], prefix: Any, path: Any) -> _Path | _Linear:
        elements = _joined(prefix, path)
        meaning: _Path | _Linear = elements
        if elements and elements[0].name in _OWN_TREES and elements[-1].name in _STATE_LEAVES:
            subject = _state_subject(elements)
            if subject is not None:
                meaning = _Linear(subject, *_STATE_LEAVES[elements[-1].name])
        if len(self._known) >= MOST_PATHS:
            self._known.clear()
        self._known[key] = meaning
        return meaning

    def _learn(self, path: Sequence[Element], value: object) -> None:
        """Note units, and the best leaf there is for each metric, before any value is judged."""
        subject = _pm_subject(path) if len(path) > 1 else None
        if subject is None:
            return
        group, leaf = path[-2].name, path[-1].name
        if leaf == "unit-value":
            self._units[subject, group] = str(value).rpartition(":")[2]
        elif group in _PM_LEAVES and leaf in _PM_LEAVES[group][1]:
            metric, choices = _PM_LEAVES[group]
            self._best[subject, metric] = min(choices.index(leaf), self._best.get((subject, metric), len(choices)))

    def _found(self, path: Sequence[Element], value: object, at: float) -> Iterator[_Found]:
        names = [element.name for element in path]
        if len(names) < 2:
            return
        if names[0] in _OWN_TREES:
            yield from _state(path, value)
        elif names[-1] == "operational-state" and (name := path[-2].keys.get("name")) is not None:
            state = str(value).rpartition("-")[2]  # identity tunnel-state-up, tunnel-state-down
            if state in _OPER:
                yield _Found(f"tunnel:{name}", "up", _OPER[state])
        elif "perf-mon" in names:
            yield from self._performance(path, value)
        elif "pm-statistics" in names and names[-1] == "outbound-octets" and "vpn-network-access" not in names:
            yield from self._throughput(path, value, at)
        elif names[-2:] == ["te", "oper-status"] and "link" in names:
            link = path[names.index("link")].keys.get("link-id", "")
            if value in _OPER:
                yield _Found(f"link:{link}", "up", _OPER[str(value)])

    def _performance(self, path: Sequence[Element], value: object) -> Iterator[_Found]:
        subject, leaf = _pm_subject(path), path[-1].name
        number = _number(value)
        if subject is None or number is None or len(path) < 2:
            return
        group = path[-2].name
        if leaf == "loss-ratio":
            yield _Found(subject, "loss_ratio", number / 100)  # percent
        elif group in _PM_LEAVES and leaf in _PM_LEAVES[group][1]:
            metric, choices = _PM_LEAVES[group]
            unit = _UNITS_S.get(self._units.get((subject, group), _DEFAULT_UNIT))
            if unit is not None and choices.index(leaf) == self._best[subject, metric]:
                yield _Found(subject, metric, number * unit)

    def _throughput(self, path: Sequence[Element], value: object, at: float) -> Iterator[_Found]:
        number = _number(value)
        node = next((e.keys.get("node-id", "") for e in path if e.name == "node"), "")
        port = next((e.keys.get("tp-id", "") for e in path if e.name == "termination-point"), "")
        link = self._link_of_port((node, port))
        if number is None or link is None:
            return
        before = self._octets.get((node, port))
        self._octets[node, port] = (int(number), at)
        if before is not None and at > before[1] and number >= before[0]:  # a counter that went back was reset
            yield _Found(f"link:{link}", "throughput_bps", (int(number) - before[0]) * 8 / (at - before[1]))

    def _forget(self, path: Sequence[Element]) -> None:
        subject = _pm_subject(path) or _state_subject(path)
        if subject is not None:
            for memory in (self._units, self._best, self._told_at):
                for key in [key for key in memory if key[0] == subject]:
                    del memory[key]


def _pm_subject(path: Sequence[Element]) -> str | None:
    """Return whose performance a path tells; None for a class within it, which our flows tell better."""
    link = next((e.keys.get("link-id") for e in path if e.name == "link"), None)
    if link is None or any(e.name.endswith("-per-class") for e in path):
        return None
    return link if link.startswith("tunnel:") else f"link:{link}"


def _state_subject(path: Sequence[Element]) -> str | None:
    for name, keys in path:
        if name == "flow":
            return f"flow:{keys.get('class', '')}@{keys.get('vpn', '')}/{keys.get('access', '')}"
        if name == "access":
            return f"access:{keys.get('vpn', '')}/{keys.get('access', '')}"
        if name == "tunnel":
            return f"tunnel:{keys.get('name', '')}"
        if name == "circuit":
            return f"circuit:{keys.get('id', '')}"
    return None


def _state(path: Sequence[Element], value: object) -> Iterator[_Found]:
    subject, leaf = _state_subject(path), path[-1].name
    if subject is None:
        return
    word = str(value).lower()
    if leaf == "oper-status":
        if word in _OPER:
            yield _Found(subject, "up", _OPER[word])
    elif leaf == "active-leg":
        if word in _LEGS:
            yield _Found(subject, "active_leg", _LEGS[word])
    elif leaf in _STATE_LEAVES and (number := _number(value)) is not None:
        metric, scale = _STATE_LEAVES[leaf]
        yield _Found(subject, metric, number * scale)


def _elements(path: Any) -> tuple[Element, ...]:
    return tuple(Element(e.name.rpartition(":")[2], dict(e.key)) for e in path.elem)


def _joined(prefix: Any, path: Any) -> _Path:
    return (*_elements(prefix), *_elements(path))


def _plain_number(value: Any) -> float | None:
    """Return a number in JSON, bare or as a string (RFC 7951); None for anything else."""
    try:
        number = float(value.json_ietf_val.strip(b'"'))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _leaves(path: tuple[Element, ...], value: Any) -> Iterator[tuple[tuple[Element, ...], object]]:
    """Yield the leaves of an update, which may carry one value or a whole container as JSON."""
    kind = value.WhichOneof("value")
    if kind in ("json_ietf_val", "json_val"):
        try:
            decoded: object = json.loads(getattr(value, kind))
        except ValueError:
            return
        yield from _flattened(path, decoded)
    elif kind is not None and path:
        yield path, getattr(value, kind)


def _flattened(path: tuple[Element, ...], value: object) -> Iterator[tuple[tuple[Element, ...], object]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _flattened((*path, Element(str(name).rpartition(":")[2], {})), below)
    elif path and not isinstance(value, list):  # an entry of a list is told with its own path
        yield path, value


def _number(value: object) -> float | None:
    """Return a number; 64-bit integers and decimals come as strings (RFC 7951)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None

"""gNMI updates to samples: which leaf is which metric, in which unit (RFC 9375, mapping of optics, our flows).

RFC 9375 gives delay and jitter as integers in a unit that stands beside them, milliseconds where it is absent, and
loss in percent. It has no mean: the 50th percentile serves. Throughput is the rate of a port's octet counter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.southbound.driver import Sample
from controller.southbound.leaves import Element, LeafPath, Limit, Linear, Meaning, Ranked, Unit, joined, leaves_of
from controller.southbound.transponders import LIMIT_METRICS, MODELS, Limits, optical_meaning

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
    "span-loss-db": ("span_loss_db", 1.0),
    "pre-fec-ber": ("pre_fec_ber", 1.0),
    "reachable": ("reachable", 1.0),
    "expected": ("expected", 1.0),
}
_OWN_TREES: Final = frozenset({"flows", "accesses", "circuits", "tunnels", "fibres", "odu-links", "nodes", "hosts"})
_EQUIPMENT: Final = {"circuit": "circuit", "fibre": "fibre", "odu-link": "odu", "node": "node"}
_HOLD: Final = frozenset({"up", "active_leg"}) | LIMIT_METRICS  # told again they still hold
_OPER: Final = {"up": 1.0, "down": 0.0}
_HERE: Final = Element("", {})
SEVERITIES: Final = {"WARNING": 1.0, "MINOR": 2.0, "MAJOR": 3.0, "CRITICAL": 4.0}
_LEGS: Final = {"none": 0.0, "working": 1.0, "protect": 2.0}


@dataclass(frozen=True, slots=True)
class _Found:
    subject: str
    metric: str
    value: float


MOST_APART_S = 30.0  # between two readings of a counter: servers repeat them every ten seconds
MOST_PATHS = 500_000  # remembered by their wire form; a city of 10,000 services has about 100,000


class Translator:
    """Of one connection: remembers units, counters and what was already told.

    A path comes again every second, and taking it apart costs more than everything else: each is taken apart once,
    and known again by its bytes on the wire.
    """

    def __init__(
        self, domain: str, link_of_port: Callable[[tuple[str, str]], str | None], limits: Limits | None = None
    ) -> None:
        """limits: the domain's, over all its connections."""
        self._domain, self._link_of_port = domain, link_of_port
        self._limits = Limits(domain) if limits is None else limits
        self._units: dict[tuple[str, str], str] = {}
        self._best: dict[tuple[str, str], int] = {}
        self._counters: dict[tuple[str, str], tuple[int, float]] = {}
        self._told_at: dict[tuple[str, str], float] = {}
        self._alarms: dict[str, dict[str, str]] = {}  # openconfig-alarms: id → leaf → value
        self._raised: set[str] = set()  # of them, those heard in this notification
        self._known: dict[tuple[bytes, bytes], Meaning] = {}

    def samples(self, notification: Any) -> tuple[Sample, ...]:
        """Return what is new in one notification."""
        at = notification.timestamp / 1e9
        fresh: list[Sample] = []
        for path in notification.delete:
            gone = joined(notification.prefix, path)
            fresh.extend(self._cleared(gone, at))
            self._forget(gone)
        ranked: list[tuple[Ranked, float]] = []
        prefix = notification.prefix.SerializeToString()
        for update in notification.update:
            key = (prefix, update.path.SerializeToString())
            meaning = self._known.get(key) or self._take_apart(key, notification.prefix, update.path)
            if isinstance(meaning, Linear):
                number = _plain_number(update.val)
                if number is not None:
                    self._tell(fresh, meaning.subject, meaning.metric, number * meaning.scale, at)
            elif isinstance(meaning, Ranked):
                number = _plain_number(update.val)
                if number is not None:
                    self._rank(meaning, ranked, number)
            elif isinstance(meaning, Unit):
                unit = update.val.json_ietf_val.decode("utf-8", "replace").strip('"')
                self._units[meaning] = unit.rpartition(":")[2]
            elif isinstance(meaning, Limit):
                for _, told in leaves_of((_HERE,), update.val):
                    self._limit(fresh, meaning, told, at)
            else:
                self._the_rest(fresh, ranked, meaning, update.val, at)
        for leaf, number in ranked:  # after all units and all alternatives of this notification are known
            scale = _UNITS_S.get(self._units.get((leaf.subject, leaf.group), _DEFAULT_UNIT))
            if scale is not None and leaf.rank == self._best[leaf.subject, leaf.metric]:
                self._tell(fresh, leaf.subject, leaf.metric, number * scale, at)
        fresh.extend(self._told_alarms(at))
        return tuple(fresh)

    def _told_alarms(self, at: float) -> Iterator[Sample]:
        for alarm in sorted(self._raised):
            leaves = self._alarms[alarm]
            severity = SEVERITIES.get(leaves.get("severity", "").rpartition(":")[2])
            if severity is not None and "resource" in leaves:
                yield Sample(self._domain, f"alarm:{leaves['resource']}", _alarm_type(leaves), severity, at)
        self._raised.clear()

    def _cleared(self, path: LeafPath, at: float) -> Iterator[Sample]:
        alarm = _alarm_id(path)
        leaves = self._alarms.pop(alarm, None) if alarm is not None else None
        if leaves and "resource" in leaves:
            yield Sample(self._domain, f"alarm:{leaves['resource']}", _alarm_type(leaves), 0.0, at)

    def _rank(self, leaf: Ranked, ranked: list[tuple[Ranked, float]], number: float) -> None:
        key = (leaf.subject, leaf.metric)
        self._best[key] = min(leaf.rank, self._best.get(key, leaf.rank))
        ranked.append((leaf, number))

    def _the_rest(
        self, fresh: list[Sample], ranked: list[tuple[Ranked, float]], path: LeafPath, value: Any, at: float
    ) -> None:
        """Take leaves without a number, and containers told whole as JSON."""
        alarm = _alarm_id(path)
        if alarm is not None:
            told = self._alarms.setdefault(alarm, {})
            told.update({leaf[-1].name: str(plain) for leaf, plain in leaves_of(path, value)})
            self._raised.add(alarm)
            return
        for leaf, plain in leaves_of(path, value):
            meaning = _meaning(leaf)
            number = _number(plain)
            if isinstance(meaning, Unit):
                self._units[meaning] = str(plain).rpartition(":")[2]
            elif isinstance(meaning, Ranked) and number is not None:
                self._rank(meaning, ranked, number)
            elif isinstance(meaning, Linear) and number is not None:
                self._tell(fresh, meaning.subject, meaning.metric, number * meaning.scale, at)
            elif isinstance(meaning, Limit):
                self._limit(fresh, meaning, plain, at)
            elif not isinstance(meaning, Linear | Unit | Ranked):
                for found in self._found(leaf, plain, at):
                    self._tell(fresh, found.subject, found.metric, found.value, at)

    def _limit(self, fresh: list[Sample], limit: Limit, told: object, at: float) -> None:
        value = self._limits.read(limit, told)
        if value is not None:
            self._tell(fresh, limit.subject, limit.metric, value, at)

    def _tell(self, fresh: list[Sample], subject: str, metric: str, value: float, at: float) -> None:
        if metric == "pre_fec_ber" and value <= 0.0:
            return  # equipment without light tells 0.0, which is not a perfect line
        key = (subject, metric)
        before = self._told_at.get(key, 0.0)
        # A state told again still holds, a measurement is old. An earlier time is a clock that was set back: on one
        # stream nothing overtakes.
        if at != before or metric in _HOLD:
            self._told_at[key] = at
            fresh.append(Sample(self._domain, subject, metric, value, at))

    def _take_apart(self, key: tuple[bytes, bytes], prefix: Any, path: Any) -> Meaning:
        if len(self._known) >= MOST_PATHS:
            self._known.clear()
        meaning = self._known[key] = _meaning(joined(prefix, path))
        return meaning

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
        elif "pm-statistics" in names and names[-1] == "outbound-octets" and "vpn-network-access" not in names:
            yield from self._throughput(path, value, at)
        elif names[-1] == "fec-uncorrectable-blocks":
            channel = next((e.keys.get("index", "") for e in path if e.name == "channel"), "")
            for rate in self._growth((channel, names[-1]), value, at):
                yield _Found(f"circuit:{channel}", "uncorrectable_per_s", rate)
        elif names[-2:] == ["te", "oper-status"] and "link" in names:
            link = path[names.index("link")].keys.get("link-id", "")
            if value in _OPER:
                yield _Found(f"link:{link}", "up", _OPER[str(value)])
        elif names[-3:] == ["node", "te", "oper-status"] and value in _OPER:
            yield _Found(f"node:{path[-3].keys.get('node-id', '')}", "up", _OPER[str(value)])

    def _throughput(self, path: Sequence[Element], value: object, at: float) -> Iterator[_Found]:
        node = next((e.keys.get("node-id", "") for e in path if e.name == "node"), "")
        port = next((e.keys.get("tp-id", "") for e in path if e.name == "termination-point"), "")
        link = self._link_of_port((node, port))
        if link is not None:
            for rate in self._growth((node, port), value, at):
                yield _Found(f"link:{link}", "throughput_bps", rate * 8)

    def _growth(self, counter: tuple[str, str], value: object, at: float) -> Iterator[float]:
        """Yield by how much a counter grew a second since it was told last; nothing the first time."""
        number = _number(value)
        if number is None:
            return
        before = self._counters.get(counter)
        self._counters[counter] = (int(number), at)
        # A counter that went back was reset; a clock that leapt does not tell how long the growth took.
        if before is not None and 0 < at - before[1] <= MOST_APART_S and number >= before[0]:
            yield (int(number) - before[0]) / (at - before[1])

    def _forget(self, path: Sequence[Element]) -> None:
        subject = _pm_subject(path) or _state_subject(path)
        if subject is not None:
            for memory in (self._units, self._best, self._told_at):
                for key in [key for key in memory if key[0] == subject]:
                    del memory[key]


def _alarm_id(path: LeafPath) -> str | None:
    """Return which alarm of openconfig-alarms a path belongs to; None for other paths."""
    names = [e.name for e in path[:3]]
    return path[2].keys.get("id") if names == ["system", "alarms", "alarm"] else None


def _alarm_type(leaves: Mapping[str, str]) -> str:
    return leaves.get("type-id", "alarm").rpartition(":")[2].lower()


def _meaning(path: LeafPath) -> Meaning:
    """Return what a leaf means; the path itself where that takes more than a number."""
    if len(path) < 2:
        return path
    group, leaf = path[-2].name, path[-1].name
    if path[0].name in _OWN_TREES:
        subject = _state_subject(path)
        return Linear(subject, *_STATE_LEAVES[leaf]) if subject is not None and leaf in _STATE_LEAVES else path
    if path[0].name in MODELS:
        return optical_meaning(path)
    subject = _pm_subject(path) if any(e.name == "perf-mon" for e in path) else None
    if subject is None:
        return path
    if leaf == "loss-ratio":
        return Linear(subject, "loss_ratio", 0.01)  # percent
    if leaf == "unit-value":
        return Unit(subject, group)
    if group in _PM_LEAVES and leaf in _PM_LEAVES[group][1]:
        metric, choices = _PM_LEAVES[group]
        return Ranked(subject, group, metric, choices.index(leaf))
    return path


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
        if name == "host":
            return f"host:{keys.get('vpn', '')}/{keys.get('address', '')}/{keys.get('direction', '')}"
        if name == "access":
            return f"access:{keys.get('vpn', '')}/{keys.get('access', '')}"
        if name == "tunnel":
            return f"tunnel:{keys.get('name', '')}"
        if name in _EQUIPMENT:
            return f"{_EQUIPMENT[name]}:{keys.get('id', '')}"
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


def _plain_number(value: Any) -> float | None:
    """Return a number in JSON, bare or as a string (RFC 7951); None for anything else."""
    try:
        number = float(value.json_ietf_val.strip(b'"'))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _number(value: object) -> float | None:
    """Return a number; 64-bit integers and decimals come as strings (RFC 7951)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None

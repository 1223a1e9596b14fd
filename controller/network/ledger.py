"""What is reserved, over which interval of time: a projection of the placements, never the truth itself.

Rates are held on directed links (by link id), labels on resources (key forms in `planning/placement.py`).
A link keeps two promises at every moment: what planes and slices hold in full fits its capacity, and what a
VIP cannot squeeze away (slices, the planes' floors, the VIPs themselves) fits it too.
Copies share everything until one of them writes, so that a plan may be tried and thrown away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from controller.intent.model import ServiceId
from controller.network.labels import BLINK, Instant, Label, Table, overlap, rival
from controller.network.layered import Layered
from controller.network.model import CityMap

BitsPerSecond = npt.NDArray[np.int64]
BOUNDLESS_BPS = 10**15


class _Rate(Protocol):
    @property
    def link(self) -> str: ...
    @property
    def rate_bps(self) -> int: ...
    @property
    def start(self) -> Instant: ...
    @property
    def end(self) -> Instant: ...
    @property
    def squeezable_bps(self) -> int: ...
    @property
    def squeezes(self) -> bool: ...


class Holdings(Protocol):
    """What the ledger needs of a placement."""

    @property
    def service(self) -> ServiceId: ...
    @property
    def rates(self) -> tuple[_Rate, ...]: ...
    @property
    def labels(self) -> tuple[Label, ...]: ...


class RateHold(NamedTuple):
    service: ServiceId
    full_bps: int  # counts against planes and slices; 0 for a VIP
    hard_bps: int  # what no VIP can squeeze away
    start: Instant
    end: Instant


class Passing(NamedTuple):
    """What a service holds of a link or resource for a while only."""

    service: ServiceId
    rate_bps: int  # 0: a label
    start: Instant
    end: Instant


class Ledger:
    """Reservations of all services on one map's links; `capacity_bps` of links that vanished counts as 0."""

    def __init__(self, city: CityMap) -> None:
        self._index: Mapping[str, int] = city.link_index
        self._capacity = np.array([link.capacity_bps for link in city.links], dtype=np.int64)
        size = len(city.links) + 1  # the last entry collects links that the map no longer has
        self._full = np.zeros(size, dtype=np.int64)  # of holds without a window
        self._hard = np.zeros(size, dtype=np.int64)
        self._top_full = np.zeros(size, dtype=np.int64)  # the most that holds with a window ever come to together
        self._top_hard = np.zeros(size, dtype=np.int64)
        self._held: Layered[ServiceId, tuple[tuple[_Rate, ...], tuple[Label, ...]]] = Layered()
        self._windowed: dict[str, tuple[RateHold, ...]] = {}
        self._always: Layered[str, tuple[int, int]] = Layered()  # link → (full, hard) of holds without a window
        self._labels: Layered[str, Table] = Layered()
        self._own: set[str] = set()  # label tables that no copy shares
        self._asked: tuple[Instant, Instant] = (None, None)  # what a question without times of its own is about

    def copy(self) -> Ledger:
        """Return a ledger that starts as this one; neither sees what the other does later."""
        other = Ledger.__new__(Ledger)
        other._index, other._capacity = self._index, self._capacity
        other._full, other._hard = self._full.copy(), self._hard.copy()
        other._top_full, other._top_hard = self._top_full.copy(), self._top_hard.copy()
        other._held, other._windowed = self._held.copy(), dict(self._windowed)
        other._always, other._labels = self._always.copy(), self._labels.copy()
        other._own, self._own = set(), set()
        other._asked = self._asked
        return other

    def during(self, start: Instant, end: Instant) -> Ledger:
        """Return the same reservations, asked about [start, end) wherever a question gives no times of its own.

        For planning what holds in a window only: it may take whatever nobody holds then.
        """
        other = self.copy()
        other._asked = (start, end)
        return other

    def boundless(self) -> Ledger:
        """Return the same reservations as if every link had room for anything: what would be loaded, then."""
        other = self.copy()
        other._capacity = self._capacity + BOUNDLESS_BPS
        return other

    def at(self, moment: datetime) -> Ledger:
        """Return the same reservations, asked about one moment."""
        return self.during(moment, moment + BLINK)

    def _about(self, start: Instant, end: Instant) -> tuple[Instant, Instant]:
        return self._asked if start is None and end is None else (start, end)

    def on(self, city: CityMap) -> Ledger:
        """Return the same reservations over another map's links."""
        if city.link_index is self._index:
            return self.copy()
        other = self.copy()
        fresh = Ledger(city)
        other._index, other._capacity = fresh._index, fresh._capacity
        other._full, other._hard = fresh._full, fresh._hard
        other._top_full, other._top_hard = fresh._top_full, fresh._top_hard
        for link, (full, hard) in self._always.items():
            at = other._index.get(link, -1)
            other._full[at] += full
            other._hard[at] += hard
        for link in other._windowed:
            other._find_top(link)
        return other

    def add(self, placement: Holdings) -> None:
        """Enter everything a placement holds; a service that is already in is replaced."""
        if placement.service in self._held:
            self.remove(placement.service)
        self._held[placement.service] = (placement.rates, placement.labels)
        self._book(placement.service, placement.rates, 1)
        for label in placement.labels:
            self._table(label.resource).add(placement.service, label)

    def remove(self, service: ServiceId) -> None:
        """Give back everything the service holds; nothing happens if it holds nothing."""
        rates, labels = self._held.pop(service) or ((), ())
        self._book(service, rates, -1)
        for label in labels:
            table = self._table(label.resource)
            table.drop(service, label.label)
            if not table:
                self._labels.pop(label.resource)
                self._own.discard(label.resource)

    def take(self, service: ServiceId, label: Label) -> None:
        """Hold one more label outside any placement: for plans under way, on a copy that is thrown away."""
        self._table(label.resource).add(service, label)

    def _book(self, service: ServiceId, rates: Iterable[_Rate], sign: int) -> None:
        for rate in rates:
            full = 0 if rate.squeezes else rate.rate_bps
            hold = RateHold(service, full, rate.rate_bps - rate.squeezable_bps, rate.start, rate.end)
            if rate.start is None and rate.end is None:
                was_full, was_hard = self._always.get(rate.link) or (0, 0)
                now = (was_full + sign * hold.full_bps, was_hard + sign * hold.hard_bps)
                if now == (0, 0):
                    self._always.pop(rate.link)
                else:
                    self._always[rate.link] = now
                at = self._index.get(rate.link, -1)
                self._full[at] += sign * hold.full_bps
                self._hard[at] += sign * hold.hard_bps
            elif sign > 0:
                self._windowed[rate.link] = (*self._windowed.get(rate.link, ()), hold)
                self._find_top(rate.link)
            else:
                left = tuple(h for h in self._windowed.get(rate.link, ()) if h.service != service)
                self._windowed[rate.link] = left
                if not left:
                    del self._windowed[rate.link]
                self._find_top(rate.link)

    def _find_top(self, link: str) -> None:
        """Work out again how much the holds with a window on a link ever come to, so that nobody else has to."""
        at = self._index.get(link)
        if at is not None:
            full, hard = self._peaks(link, None, None)
            always = self._always.get(link) or (0, 0)
            self._top_full[at], self._top_hard[at] = full - always[0], hard - always[1]

    def _table(self, resource: str) -> Table:
        """The resource's table, made this ledger's own before it is written."""
        if resource not in self._own:
            shared = self._labels.get(resource)
            own = shared.copy() if shared is not None else Table.empty()
            self._labels[resource] = own
            self._own.add(resource)
            return own
        table = self._labels.get(resource)
        assert table is not None, f"{resource} is said to be this ledger's own"
        return table

    def __contains__(self, service: object) -> bool:
        return service in self._held

    def services(self) -> tuple[ServiceId, ...]:
        return tuple(sorted(self._held))

    def peaks(self, link: str, start: Instant, end: Instant) -> tuple[int, int]:
        """Return the highest (full, hard) load of a link at any moment of [start, end)."""
        return self._peaks(link, *self._about(start, end))

    def _peaks(self, link: str, start: Instant, end: Instant) -> tuple[int, int]:
        full, hard = self._always.get(link) or (0, 0)
        holds = [h for h in self._windowed.get(link, ()) if overlap(h.start, h.end, start, end)]
        if not holds:
            return full, hard
        # A load only rises where a hold starts, so the interval's own start and those moments are enough.
        moments = [start, *(h.start for h in holds if h.start is not None and (start is None or h.start > start))]
        alive = [[h for h in holds if _holds_at(h, m)] for m in moments]
        return full + max(sum(h.full_bps for h in a) for a in alive), hard + max(
            sum(h.hard_bps for h in a) for a in alive
        )

    def peak_bps(self, link: str, start: Instant, end: Instant) -> int:
        """Return the most that is reserved in full on a link at any moment of [start, end)."""
        return self.peaks(link, start, end)[0]

    def free_bps(self, link: str, start: Instant = None, end: Instant = None, *, squeeze: bool = False) -> int:
        """Return what a further service may hold; with `squeeze`, what a VIP may, down to the planes' floors."""
        at = self._index.get(link)
        capacity = int(self._capacity[at]) if at is not None else 0
        full, hard = self.peaks(link, start, end)
        return capacity - (hard if squeeze else max(full, hard))

    def free_array(self, start: Instant = None, end: Instant = None, *, squeeze: bool = False) -> BitsPerSecond:
        """Return `free_bps` of every link of the map, in its order."""
        start, end = self._about(start, end)
        if start is None and end is None:
            full, hard = self._full[:-1] + self._top_full[:-1], self._hard[:-1] + self._top_hard[:-1]
            return self._capacity - (hard if squeeze else np.maximum(full, hard))
        loads = self._hard[:-1] if squeeze else np.maximum(self._full[:-1], self._hard[:-1])
        free: BitsPerSecond = self._capacity - loads
        for link in self._windowed:
            at = self._index.get(link)
            if at is not None:
                free[at] = self.free_bps(link, start, end, squeeze=squeeze)
        return free

    def passing(self, part: str, start: Instant, end: Instant) -> tuple[Passing, ...]:
        """Return what is held for a while only, at some moment of [start, end), of a link or a resource of labels."""
        rates = [Passing(h.service, max(h.full_bps, h.hard_bps), h.start, h.end) for h in self._windowed.get(part, ())]
        table = self._labels.get(part)
        labels = [] if table is None else [Passing(h.service, 0, h.start, h.end) for _, t in table.items() for h in t]
        found = (p for p in (*rates, *labels) if p.start is not None or p.end is not None)
        return tuple(sorted((p for p in found if overlap(p.start, p.end, start, end)), key=repr))

    def squeezable(self, link: str, start: Instant = None, end: Instant = None) -> tuple[ServiceId, ...]:
        """Return the services that would give way to a VIP on a link at some moment of [start, end)."""
        return tuple(
            sorted(
                s
                for s, (rates, _) in self._held.items()
                if any(r.link == link and r.squeezable_bps and overlap(r.start, r.end, start, end) for r in rates)
            )
        )

    def holder(self, resource: str, label: int, start: Instant = None, end: Instant = None) -> ServiceId | None:
        """Return who holds a label at some moment of [start, end), the first by name where several do."""
        table = self._labels.get(resource)
        holds = table.of(label) if table is not None else ()
        start, end = self._about(start, end)
        return min((h.service for h in holds if overlap(h.start, h.end, start, end)), default=None)

    def holders(self, resource: str, label: int) -> tuple[ServiceId, ...]:
        """Return everybody who holds a label at any time, sorted."""
        table = self._labels.get(resource)
        return tuple(sorted({h.service for h in table.of(label)})) if table is not None else ()

    def stands(self, resource: str, label: int) -> bool:
        """Return whether somebody holds a label now and did not wait for a window to open."""
        table = self._labels.get(resource)
        return table is not None and any(h.start is None for h in table.of(label))

    def rivals(self, label: Label) -> tuple[ServiceId, ...]:
        """Return who holds a label so that it cannot be held like this too, at some moment of its interval."""
        table = self._labels.get(label.resource)
        holds = table.of(label.label) if table is not None else ()
        start, end = self._about(label.start, label.end)
        return tuple(sorted({h.service for h in holds if rival(h, label, start, end)}))

    def kept_labels(self, resource: str, risks: Set[str]) -> frozenset[int]:
        """Return the labels that are only kept for restoration, of ways that these risks do not take down."""
        table = self._labels.get(resource)
        held = table.items() if table is not None else ()
        now = ((label, [h for h in holds if overlap(h.start, h.end, *self._asked)]) for label, holds in held)
        return frozenset(
            label
            for label, holds in now
            if holds and all(h.stands_by_for and risks.isdisjoint(h.stands_by_for) for h in holds)
        )

    def held_labels(self, resource: str) -> frozenset[int]:
        """Return the labels of a resource that any service holds at any moment asked about."""
        table = self._labels.get(resource)
        if table is None:
            return frozenset()
        start, end = self._asked
        if start is None and end is None:
            return frozenset(label for label, _ in table.items())
        return frozenset(label for label, _ in table.items() if not table.free(label, start, end))

    def free_label(
        self, resource: str, candidates: Iterable[int], start: Instant = None, end: Instant = None
    ) -> int | None:
        """Return the first candidate that nobody holds in [start, end); None where all are held."""
        start, end = self._about(start, end)
        table = self._labels.get(resource)
        if table is None:
            return next(iter(candidates), None)
        if isinstance(candidates, range) and candidates.step == 1:
            return table.lowest(candidates, start, end)
        return next((c for c in candidates if table.free(c, start, end)), None)

    def dump(self) -> dict[str, Any]:
        """Return everything that is held, in one canonical form: equal ledgers dump equal."""
        return {
            "always": dict(sorted(self._always.items())),
            "windowed": {k: sorted(v, key=repr) for k, v in sorted(self._windowed.items())},
            "labels": {
                f"{r}={n}": sorted(h, key=repr) for r, t in sorted(self._labels.items()) for n, h in sorted(t.items())
            },
            "full": self._full[:-1].tolist(),
            "hard": self._hard[:-1].tolist(),
        }


def _holds_at(hold: RateHold, moment: Instant) -> bool:
    if moment is None:  # before everything: only holds without a start
        return hold.start is None
    return (hold.start is None or hold.start <= moment) and (hold.end is None or moment < hold.end)

"""The controller's own state at one moment, as /metrics shows it: domains, changes, links, circuits, the store.

Taken from memory in the event loop; the links are worked out in a thread, from values that are never mutated.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.assurance.receivers import least_power_dbm
from controller.changes.atlas import links_view
from controller.changes.desk import Desk
from controller.changes.domains import Domains
from controller.changes.map_views import LinkView
from controller.loop.culprits import Blame, OpenIncident, listed
from controller.loop.repair import Repairs
from controller.loop.tickets import Tickets
from controller.southbound.driver import CountsStreams, StreamCounts
from controller.store.store import Store
from controller.telemetry.telemetry import Telemetry
from controller.transactions.engine import Transactions

CIRCUIT_METRICS = ("margin_db", "pre_fec_ber", "delay_s", "rx_dbm", "dispersion_ps_nm", "uncorrectable_per_s")
SECONDS_METRICS = ("errored_s", "severely_errored_s", "unavailable_s")  # counters, which go on in the dark


@dataclass(frozen=True, slots=True)
class DomainObservation:
    """One domain. None: never heard."""

    up: bool
    notification_gaps: int  # times its notifications could not be heard
    unsettled: bool  # closed to changes until an earlier one has ended there
    silence_s: float | None
    streams: StreamCounts


@dataclass(frozen=True, slots=True)
class CircuitObservation:
    """One lit circuit, as far as it is measured."""

    circuit: str
    domain: str
    margin_db: float | None
    pre_fec_ber: float | None
    delay_s: float | None
    rx_dbm: float | None = None  # what arrives at its receiver
    rx_over_db: float | None = None  # over what that needs
    dispersion_ps_nm: float | None = None
    uncorrectable_per_s: float | None = None  # blocks
    errored_s: float | None = None  # seconds so far, as its equipment counts them
    severely_errored_s: float | None = None
    unavailable_s: float | None = None
    service: str = ""  # whose it is; "": a wavelength under links


@dataclass(frozen=True, slots=True)
class AmplifierObservation:
    """One amplifier, as far as it is measured."""

    name: str
    gain_db: float | None
    input_dbm: float | None
    output_dbm: float | None


@dataclass(frozen=True, slots=True)
class MonitorObservation:
    """What one channel monitor sees: how many channels, the weakest and the strongest of them."""

    name: str
    channels: int
    weakest_dbm: float
    strongest_dbm: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One moment."""

    domains: Mapping[str, DomainObservation] = field(default_factory=dict)
    in_flight: int = 0
    in_doubt: int = 0
    waiting: int = 0  # services that are hurt and cannot be repaired for now
    flapping: int = 0  # components held down because they come and go
    down: Mapping[str, int] = field(default_factory=dict)  # kind of component → how many are down
    incidents: Mapping[str, int] = field(default_factory=dict)  # severity → how many are open
    open_incidents: tuple[OpenIncident, ...] = ()
    blame: Blame = field(default_factory=Blame)
    alarms: Mapping[str, int] = field(default_factory=dict)  # kind → how many stand
    proposals: int = 0  # moves that wait for a person
    links: tuple[LinkView, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)  # link → measured bit/s
    circuits: tuple[CircuitObservation, ...] = ()
    amplifiers: tuple[AmplifierObservation, ...] = ()
    monitors: tuple[MonitorObservation, ...] = ()
    span_loss_db: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # by fibre: measured, as built
    store_bytes: int = 0
    store_free_bytes: int = 0
    webhook: tuple[int, int] = (0, 0)  # incidents whose news wait for a receiver; news that were given up
    series: int = 0  # measured subject and metric pairs held in memory
    refused: int = 0  # samples for which there was no room


class Observer:
    """Looks at the rooms. `in_flight` counts changes that have not ended."""

    def __init__(
        self,
        desk: Desk,
        domains: Domains,
        transactions: Transactions,
        telemetry: Telemetry,
        repairs: Repairs,
        store: Store,
        in_flight: Callable[[], int],
        tickets: Tickets,
        proposals: Callable[[], int],
        webhook: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self._desk, self._domains, self._transactions = desk, domains, transactions
        self._telemetry, self._repairs, self._store = telemetry, repairs, store
        self._in_flight, self._tickets, self._proposals = in_flight, tickets, proposals
        self._webhook = webhook

    async def look(self) -> Observation:
        """Return the present moment."""
        city, ledger = self._domains.city, self._desk.held_now
        links, (size, free) = await asyncio.to_thread(
            lambda: (links_view(city, ledger), _store_bytes(self._store.path))
        )
        down: dict[str, int] = {}
        for component in self._repairs.down:
            kind = component.partition(":")[0]
            down[kind] = down.get(kind, 0) + 1
        return Observation(
            domains=self._of_domains(),
            in_flight=self._in_flight(),
            in_doubt=len(self._transactions.in_doubt()),
            waiting=len(self._repairs.waiting),
            flapping=len(self._repairs.flapping()),
            down=down,
            incidents=Counter(i.severity for i in self._tickets.open),
            open_incidents=listed(self._tickets.open),
            blame=self._tickets.blame,
            alarms=Counter(kind for _, kind in self._tickets.alarms),
            proposals=self._proposals(),
            links=links,
            rates=self.rates(links),
            circuits=self._circuits(),
            amplifiers=self._amplifiers(),
            monitors=self._monitors(),
            span_loss_db=self._span_losses(),
            store_bytes=size,
            store_free_bytes=free,
            webhook=self._webhook(),
            series=self._telemetry.series,
            refused=self._telemetry.refused,
        )

    async def links(self) -> tuple[tuple[LinkView, ...], Mapping[str, float]]:
        """Return the links with what is reserved, and what is measured on them."""
        links = await asyncio.to_thread(links_view, self._domains.city, self._desk.held_now)
        return links, self.rates(links)

    def rates(self, links: tuple[LinkView, ...]) -> dict[str, float]:
        """Return what is measured on links, bit/s; a link without a fresh sample is missing."""
        found = {k.id: self._telemetry.newest(f"link:{k.id}", "throughput_bps") for k in links if k.layer == "ip"}
        return {link: rate for link, rate in found.items() if rate is not None}

    def _of_domains(self) -> dict[str, DomainObservation]:
        unsettled = self._transactions.unsettled()
        found = {}
        for name, state in self._domains.states().items():
            driver = self._domains.drivers[name]
            counts = driver.stream_counts() if isinstance(driver, CountsStreams) else StreamCounts()
            gaps = self._domains.notification_gaps[name]
            silence_s = self._telemetry.silence_s(name)
            found[name] = DomainObservation(state.up, gaps, name in unsettled, silence_s, counts)
        return found

    def _circuits(self) -> tuple[CircuitObservation, ...]:
        """Circuits of services, and the wavelengths under them and under links."""
        active = {sid: s for sid, s in self._desk.state.services.items() if s.active}
        known = {c.id: c.domain for s in active.values() for c in s.placement.circuits}
        owners = {c.id: str(sid) for sid, s in active.items() for c in s.placement.circuits}
        for domain, circuits in self._domains.wavelengths_by_domain().items():
            known.update(dict.fromkeys(circuits, domain))
        found, modes = [], self._domains.line_modes()
        for circuit, domain in sorted(known.items()):
            fresh = self._telemetry.fresh(f"circuit:{circuit}")
            if any(metric in fresh for metric in (*CIRCUIT_METRICS, *SECONDS_METRICS)):
                margin, ber, delay, power, dispersion, blocks = (fresh.get(m) for m in CIRCUIT_METRICS)
                least = least_power_dbm(modes.get(circuit, ""), self._tickets.limits.of(circuit))
                over = None if power is None or least is None else power - least
                light = (margin, ber, delay, power, over, dispersion, blocks)
                errored, severely, unavailable = (fresh.get(m) for m in SECONDS_METRICS)
                owner = owners.get(circuit, "")
                found.append(CircuitObservation(circuit, domain, *light, errored, severely, unavailable, owner))
        return tuple(found)

    def _amplifiers(self) -> tuple[AmplifierObservation, ...]:
        found = []
        for subject in self._telemetry.of_kind("amplifier"):
            fresh = self._telemetry.fresh(subject)
            if fresh:
                values = (fresh.get(m) for m in ("gain_db", "input_dbm", "output_dbm"))
                found.append(AmplifierObservation(subject.partition(":")[2], *values))
        return tuple(found)

    def _monitors(self) -> tuple[MonitorObservation, ...]:
        """Fold channels: there may be a hundred on every fibre."""
        powers: dict[str, list[float]] = {}
        for subject in self._telemetry.of_kind("channel"):
            power = self._telemetry.newest(subject, "power_dbm")
            if power is not None:
                powers.setdefault(subject.partition(":")[2].rpartition("/")[0], []).append(power)
        return tuple(MonitorObservation(n, len(p), min(p), max(p)) for n, p in sorted(powers.items()))

    def _span_losses(self) -> dict[str, tuple[float, float]]:
        fibres = self._domains.city.fibres
        losses = {f: self._telemetry.newest(f"fibre:{f}", "span_loss_db") for f in fibres}
        return {f: (loss, fibres[f].loss_db) for f, loss in losses.items() if loss is not None}


def _store_bytes(path: Path) -> tuple[int, int]:
    """Return the size of the store with its log, and what is free beside it."""
    size = 0
    for file in (path, path.with_name(path.name + "-wal")):
        try:
            size += file.stat().st_size
        except OSError:
            continue
    try:
        room = os.statvfs(path.parent)
    except OSError:
        return size, 0
    return size, room.f_bavail * room.f_frsize

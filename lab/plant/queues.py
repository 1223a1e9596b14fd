"""The performance model: offered traffic in, delay, jitter and loss out, for all flows at once.

Every direction of a link is a server for packets of 1,000 bytes with eight priority queues, 7 first. A partition
(NRP) on it is a server of its own with its own rate; the rest of the link has what partitions leave. A dedicated
circuit is a server with one queue. With C the rate, s = 8000/C, ρ_k the load of queue k over C and σ_k = Σ_{i≥k} ρ_i:

    wait    W_k = s · Σρ / ((1 − σ_{k+1}) (1 − σ_k))   (M/M/1, non-preemptive priorities), at most 20 ms of buffer
    loss    L_k = max(0, 1 − max(0, 1 − σ_{k+1}) / ρ_k)   where a queue is offered more than those above leave it
    link    propagation 4.897 µs/km or its circuit's latency, + s + W_k + 5 µs of forwarding
    path    delay adds; jitter = √Σ(W² + J²), J what a degradation makes its link vary by; 1 − loss multiplies;
            degradations add delay and loss to their link

Offered: 30 % of each access's hose spread over its peers, 60 % of each class's committed rate. What exceeds the
hose or the committed rate is policed: lost at the access. W is sampled with ±10 % every second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.plant.flows import Flow
from lab.plant.physical import Physical
from lab.plant.units import Access
from lab.plant.walk import SHARED

PACKET_BITS = 8000.0
FORWARDING_S = 5e-6
BUFFER_S = 0.020
QUEUES = 8
OFFERED_SHARE = 0.3
CLASS_SHARE = 0.6
NOISE = 0.1
Array = NDArray[np.float64]
Server = tuple[str, int]  # link or "circuit:<id>", partition


@dataclass(frozen=True, slots=True)
class Measured:
    """One second's values per flow, in the order of the flows."""

    delay_s: Array
    jitter_s: Array
    loss: Array
    throughput_bps: Array


class Model:
    """Flows compiled to arrays; `measure` is all that runs each second."""

    def __init__(
        self,
        physical: Physical,
        partition_rates: Mapping[str, Mapping[int, int]],
        flows: Sequence[Flow],
        offers: Mapping[str, float],
        extra: Sequence[Sequence[tuple[Any, int, int]]] = (),
    ) -> None:
        """partition_rates: link → partition → bit/s. extra: paths to measure that carry nothing themselves."""
        self._physical, self._partition_rates = physical, partition_rates
        self._servers: dict[Server, int] = {}
        self._capacity: list[float] = []
        count = len(flows) + len(extra)
        self._flow_of: list[int] = []
        self._queue_of: list[int] = []
        base, passed, self.offered = np.zeros(count), np.ones(count), np.zeros(count)
        self._varied = np.zeros(count)  # ΣJ², in s²
        self.ok = np.ones(count, dtype=bool)
        for n, flow in enumerate(flows):
            self.ok[n] = flow.ok
            self.offered[n], policed = offered_bps(flow, offers)
            passed[n] *= policed
            self._compile(n, flow.way.links, base, passed)
            for circuit in flow.way.circuits:
                state = physical.circuits.states[circuit]
                base[n] += state.latency_s
                passed[n] *= 1 - state.loss
                self._varied[n] += state.jitter_s**2
                self._server(n, (f"circuit:{circuit}", SHARED), physical.circuits.specs[circuit].rate_bps, 0)
        for n, links in enumerate(extra, len(flows)):
            self._compile(n, links, base, passed)
        for link_id in physical.floods:
            link = physical.links[link_id]
            index = self._servers.setdefault((link_id, SHARED), len(self._servers))
            if index == len(self._capacity):
                self._capacity.append(max(self._rate(link_id, link.rate_bps, SHARED), 1.0))
        self._base, self._passed = base, passed
        self._settle()

    def _compile(self, n: int, links: Sequence[tuple[Any, int, int]], base: Array, passed: Array) -> None:
        physical = self._physical
        for link, partition, queue in links:
            base[n] += physical.delay_s(link) + FORWARDING_S
            passed[n] *= 1 - physical.loss(link)
            self._varied[n] += physical.jitter_s(link) ** 2
            self._server(n, (link.id, partition), self._rate(link.id, link.rate_bps, partition), queue)

    def _rate(self, link: str, rate_bps: int, partition: int) -> float:
        partitions = self._partition_rates.get(link, {})
        return float(rate_bps - sum(partitions.values()) if partition == SHARED else partitions.get(partition, 0))

    def _server(self, n: int, server: Server, rate: float, queue: int) -> None:
        index = self._servers.setdefault(server, len(self._servers))
        if index == len(self._capacity):
            self._capacity.append(max(rate, 1.0))
        self._flow_of.append(n)
        self._queue_of.append(index * QUEUES + min(max(queue, 0), QUEUES - 1))

    def _settle(self) -> None:
        """Load the servers; everything but the noise is done once."""
        self._f = np.asarray(self._flow_of, dtype=np.intp)
        self._q = np.asarray(self._queue_of, dtype=np.intp)
        size = len(self._capacity) * QUEUES
        carried = np.where(self.ok, self.offered, 0.0) * self._passed
        load: Array = np.bincount(self._q, weights=carried[self._f], minlength=size).astype(np.float64)
        self._load = load = load.reshape(-1, QUEUES)
        for link, rate_bps in self._physical.floods.items():
            load[self._servers[link, SHARED], 0] += rate_bps
        wait, loss = waits_and_losses(load, np.asarray(self._capacity))
        service = np.repeat(PACKET_BITS / np.asarray(self._capacity), QUEUES) if self._capacity else np.zeros(0)
        self._wait = wait.ravel()[self._q] if size else np.zeros(0)
        kept = np.log1p(-np.minimum(loss.ravel()[self._q], 1 - 1e-12)) if size else np.zeros(0)
        flows = len(self.offered)
        self._fixed = self._base + np.bincount(self._f, weights=service[self._q], minlength=flows)
        self._loss = 1 - self._passed * np.exp(np.bincount(self._f, weights=kept, minlength=flows))

    def measure(self, random: np.random.Generator) -> Measured:
        """Return this second's values."""
        flows = len(self.offered)
        waits = self._wait * random.uniform(1 - NOISE, 1 + NOISE, len(self._wait))
        delay = self._fixed + np.bincount(self._f, weights=waits, minlength=flows)
        jitter = np.sqrt(self._varied + np.bincount(self._f, weights=waits * waits, minlength=flows))
        loss = np.where(self.ok, self._loss, 1.0)
        return Measured(delay, jitter, loss, self.offered * (1 - loss))

    def link_load(self) -> dict[str, float]:
        """Return the carried traffic of each link in bit/s, all partitions together."""
        loads: dict[str, float] = {}
        for (link, _), index in self._servers.items():
            loads[link] = loads.get(link, 0.0) + float(self._load[index].sum())
        return loads

    def link_wait(self) -> dict[str, tuple[float, float]]:
        """Return (wait, loss) of the lowest queue in the shared part of each loaded link."""
        wait, loss = waits_and_losses(self._load, np.asarray(self._capacity))
        return {
            link: (float(wait[n, 0]), float(loss[n, 0])) for (link, part), n in self._servers.items() if part == SHARED
        }


def waits_and_losses(load_bps: Array, capacity_bps: Array) -> tuple[Array, Array]:
    """Return the mean wait in s and the loss ratio of each queue, shape (servers, 8), queue 7 served first."""
    if not len(capacity_bps):
        return np.zeros((0, QUEUES)), np.zeros((0, QUEUES))
    rho = load_bps / capacity_bps[:, None]
    upto = np.cumsum(rho[:, ::-1], axis=1)[:, ::-1]  # σ_k
    above = upto - rho  # σ_{k+1}
    left = np.maximum(1 - above, 1e-9)
    service = PACKET_BITS / capacity_bps[:, None]
    wait = service * rho.sum(axis=1)[:, None] / (left * np.maximum(1 - upto, 1e-9))
    loss = 1 - np.maximum(1 - above, 0) / np.maximum(rho, 1e-12)
    return np.minimum(wait, BUFFER_S), np.clip(loss, 0.0, 1.0)


def offered_bps(flow: Flow, offers: Mapping[str, float]) -> tuple[float, float]:
    """Return what one flow offers and the share of it that the access lets in."""
    access = flow.source
    if flow.target:
        limit = committed_bps(access, flow.target)
        offered = limit * CLASS_SHARE
    else:
        limit = float(access.in_bps)
        offered = offers.get(access.key, limit * OFFERED_SHARE)
    policed = 1.0 if offered <= limit or not offered else limit / offered
    if flow.host:
        return 0.0, policed  # what it measures is offered by the flows of its class
    return offered / max(1, flow.peers), policed


def committed_bps(access: Access, target: str) -> float:
    """Return what a class may send: its committed rate, its share of the hose, or nothing said: the hose."""
    action = access.actions.get(target)
    if action is None:
        return float(access.in_bps)
    if action.committed_bps is not None:
        return float(action.committed_bps)
    if action.inbound_percent is not None:
        return access.in_bps * action.inbound_percent / 100
    return float(access.in_bps)

"""What telemetry knows of one thing at one moment, as values.

A gap is None, never a zero: nobody can tell a silent tunnel from a perfect one by looking at 0.0.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Indicator:
    """One metric of one subject: the last value and how it spread over the window. Units: see `metric`'s suffix."""

    subject: str  # "tunnel:<name>", "flow:<class>@<vpn-id>/<access>", … (southbound/driver.py, Sample)
    metric: str  # "delay_s" | "jitter_s" | "loss_ratio" | "throughput_bps" | "latency_s" | "margin_db" | "up"
    value: float  # the newest sample
    p50: float  # over the window
    p99: float
    samples: int  # in the window, ≥ 1
    age_s: float  # since the newest sample arrived here


@dataclass(frozen=True, slots=True)
class ServiceIndicators:
    """A service's worst measured values over all the subjects that carry it. None: nothing fresh was measured."""

    delay_s: Indicator | None = None  # one way, the highest
    jitter_s: Indicator | None = None
    loss_ratio: Indicator | None = None  # the highest
    throughput_bps: Indicator | None = None  # the lowest of those that carry anything; 0: none does
    subjects: int = 0  # tunnels, circuits, accesses and flows that carry it
    silent: tuple[str, ...] = ()  # those of them without a fresh sample, sorted: the gaps
    down: tuple[str, ...] = ()  # those of them that say they are down, sorted
    unreachable: tuple[str, ...] = ()  # those accesses that reach fewer peers than they were promised, sorted

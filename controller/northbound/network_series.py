"""The controller's own state and the network's as series: domains, changes, links, fibres, circuits, the store.

Bounded: links and fibres by how much of them is taken, circuits by how little margin they have left, amplifiers and
channel monitors by how little light they get; what does not fit is counted. Of the channels of a monitor only the
weakest and the strongest have series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from controller.changes.map_views import LinkView
from controller.loop.observed import DomainObservation, Observation

MOST_LINKS = 500
MOST_FIBRES = 500
MOST_CIRCUITS = 200
MOST_AMPLIFIERS = 200  # and channel monitors
SEVERITIES = ("critical", "major", "warning")
COMPONENTS = ("fibre", "link", "node", "odu")


def network_series(now: Observation) -> Iterator[Metric]:
    """Yield every family."""
    yield from _domains(now)
    for name, words, value in (
        ("changes_in_flight", "Changes accepted that have not ended.", now.in_flight),
        ("changes_in_doubt", "Decided changes that a domain out of reach has yet to hear of.", now.in_doubt),
        ("proposals", "Moves to something better that wait for a person.", now.proposals),
        ("repairs_waiting", "Services that are hurt and cannot be repaired for now.", now.waiting),
        ("components_flapping", "Components held down because they come and go.", now.flapping),
        ("store_bytes", "Size of the store, its log included.", now.store_bytes),
        ("store_free_bytes", "Room left on the store's disk.", now.store_free_bytes),
        ("telemetry_series", "Measured subject and metric pairs held in memory.", now.series),
    ):
        yield GaugeMetricFamily(f"onecity_{name}", words, value=value)
    yield CounterMetricFamily("onecity_telemetry_refused_samples", "Samples without room.", value=now.refused)
    down = GaugeMetricFamily("onecity_components_down", "Components that count as down.", labels=["kind"])
    for kind in sorted({*COMPONENTS, *now.down}):
        down.add_metric([kind], now.down.get(kind, 0))
    yield down
    incidents = GaugeMetricFamily("onecity_incidents_open", "Open incidents by severity.", labels=["severity"])
    for severity in SEVERITIES:
        incidents.add_metric([severity], now.incidents.get(severity, 0))
    yield incidents
    yield from _links(now)
    yield from _fibres(now)
    yield from _circuits(now)
    yield from _lines(now)


def _domains(now: Observation) -> Iterator[Metric]:
    gauges: tuple[tuple[str, str, Callable[[DomainObservation], float | None]], ...] = (
        ("domain_unsettled", "1: closed to changes until an earlier one has ended there.", lambda d: d.unsettled),
        ("telemetry_silence_seconds", "Since the last measurement of a domain.", lambda d: d.silence_s),
    )
    counters: tuple[tuple[str, str, Callable[[DomainObservation], float]], ...] = (
        (
            "domain_notification_gaps",
            "Times the notifications of a domain could not be heard.",
            lambda d: d.notification_gaps,
        ),
        ("telemetry_reconnects", "Attempts to stand a lost stream up again.", lambda d: d.streams.reconnects),
        ("telemetry_dropped_batches", "Batches lost here for want of time.", lambda d: d.streams.dropped),
    )
    for name, words, value in gauges:
        family = GaugeMetricFamily(f"onecity_{name}", words, labels=["domain"])
        for domain, seen in sorted(now.domains.items()):
            if (number := value(seen)) is not None:
                family.add_metric([domain], float(number))
        yield family
    for name, words, count in counters:
        counter = CounterMetricFamily(f"onecity_{name}", words, labels=["domain"])
        for domain, seen in sorted(now.domains.items()):
            counter.add_metric([domain], count(seen))
        yield counter


def _links(now: Observation) -> Iterator[Metric]:
    links = sorted((k for k in now.links if k.layer == "ip"), key=lambda k: (-_taken(k), k.id))
    chosen = links[:MOST_LINKS]

    def family(name: str, words: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"onecity_link_{name}", words, labels=["link", "domain"])

    capacity, reserved = family("capacity_bps", "What a link can carry."), family("reserved_bps", "Reserved on a link.")
    rate, up = family("throughput_bps", "Measured on a link."), family("up", "Whether a link is up.")
    for link in sorted(chosen, key=lambda k: k.id):
        labels = [link.id, link.domain]
        capacity.add_metric(labels, link.capacity_bps)
        reserved.add_metric(labels, link.reserved_bps)
        up.add_metric(labels, float(link.up))
        if link.id in now.rates:
            rate.add_metric(labels, now.rates[link.id])
    yield from (capacity, reserved, rate, up)
    yield GaugeMetricFamily(
        "onecity_links_without_series", "Links beyond the bound on series.", value=len(links) - len(chosen)
    )


def _taken(link: LinkView) -> float:
    if not link.up:
        return math.inf
    return link.reserved_bps / link.capacity_bps if link.capacity_bps else 0.0


def _fibres(now: Observation) -> Iterator[Metric]:
    fibres = sorted(
        (k for k in now.links if k.layer == "optical"), key=lambda k: (k.up, -k.channels_taken, k.id)
    )  # fmt: skip
    taken = GaugeMetricFamily("onecity_fibre_channels_taken", "Channels of a fibre that are lit.", labels=["fibre"])
    channels = GaugeMetricFamily("onecity_fibre_channels", "Channels of a fibre.", labels=["fibre"])
    up = GaugeMetricFamily("onecity_fibre_up", "Whether a fibre is whole.", labels=["fibre"])
    loss = GaugeMetricFamily("onecity_fibre_span_loss_decibels", "Light lost over a fibre.", labels=["fibre"])
    words = "Light lost over a fibre beyond what it was built with."
    more = GaugeMetricFamily("onecity_fibre_excess_loss_decibels", words, labels=["fibre"])
    for fibre in sorted(fibres[:MOST_FIBRES], key=lambda k: k.id):
        taken.add_metric([fibre.id], fibre.channels_taken)
        channels.add_metric([fibre.id], fibre.channels)
        up.add_metric([fibre.id], float(fibre.up))
        if fibre.id in now.span_loss_db:
            measured, built = now.span_loss_db[fibre.id]
            loss.add_metric([fibre.id], measured)
            more.add_metric([fibre.id], measured - built)
    yield from (taken, channels, up, loss, more)


def _circuits(now: Observation) -> Iterator[Metric]:
    words = "Measured circuits: of services, and wavelengths under links."
    lit = GaugeMetricFamily("onecity_circuits", words, labels=["domain"])
    counts: dict[str, int] = {}
    for circuit in now.circuits:
        counts[circuit.domain] = counts.get(circuit.domain, 0) + 1
    for domain, count in sorted(counts.items()):
        lit.add_metric([domain], count)
    yield lit
    margin = GaugeMetricFamily("onecity_circuit_margin_decibels", "Optical margin left.", labels=["circuit"])
    ber = GaugeMetricFamily("onecity_circuit_pre_fec_ber", "Bit errors before correction.", labels=["circuit"])
    delay = GaugeMetricFamily("onecity_circuit_delay_seconds", "One-way delay of a circuit.", labels=["circuit"])
    worst = sorted(now.circuits, key=lambda c: (math.inf if c.margin_db is None else c.margin_db, c.circuit))
    for found in sorted(worst[:MOST_CIRCUITS], key=lambda c: c.circuit):
        for family, value in ((margin, found.margin_db), (ber, found.pre_fec_ber), (delay, found.delay_s)):
            if value is not None:
                family.add_metric([found.circuit], value)
    yield from (margin, ber, delay)


def _lines(now: Observation) -> Iterator[Metric]:
    gain, received, sent = (
        GaugeMetricFamily(f"onecity_amplifier_{name}", words, labels=["amplifier"])
        for name, words in (
            ("gain_decibels", "Gain of an amplifier."),
            ("input_power_dbm", "Light that an amplifier gets, all channels."),
            ("output_power_dbm", "Light that an amplifier gives, all channels."),
        )
    )
    weakest = sorted(now.amplifiers, key=lambda a: (math.inf if a.input_dbm is None else a.input_dbm, a.name))
    for one in sorted(weakest[:MOST_AMPLIFIERS], key=lambda a: a.name):
        for family, value in ((gain, one.gain_db), (received, one.input_dbm), (sent, one.output_dbm)):
            if value is not None:
                family.add_metric([one.name], value)
    power = GaugeMetricFamily(
        "onecity_channel_power_dbm", "Power of the weakest and the strongest channel.", labels=["monitor", "channel"]
    )
    dimmest = sorted(now.monitors, key=lambda m: (m.weakest_dbm, m.name))
    for seen in sorted(dimmest[:MOST_AMPLIFIERS], key=lambda m: m.name):
        power.add_metric([seen.name, "weakest"], seen.weakest_dbm)
        power.add_metric([seen.name, "strongest"], seen.strongest_dbm)
    yield from (gain, received, sent, power)
    left = max(0, len(now.amplifiers) - MOST_AMPLIFIERS)
    yield GaugeMetricFamily("onecity_amplifiers_without_series", "Amplifiers beyond the bound on series.", value=left)

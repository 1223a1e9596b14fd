"""The controller's own state and the network's as series: domains, changes, links, fibres, circuits, the store.

Bounded: links and fibres by how much of them is taken, circuits by how little margin they have left, amplifiers and
channel monitors by how little light they get; what does not fit is counted. Of the channels of a monitor only the
weakest and the strongest have series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from controller.changes.map_views import LinkView
from controller.loop.observed import CircuitObservation, DomainObservation, Observation

MOST_INCIDENTS = 200
MOST_LINKS = 500
MOST_FIBRES = 500
MOST_CIRCUITS = 200
MOST_AMPLIFIERS = 200  # and channel monitors
_OF_CIRCUITS: tuple[tuple[str, str, Callable[[CircuitObservation], float | None]], ...] = (
    ("margin_decibels", "Optical margin left.", lambda c: c.margin_db),
    ("pre_fec_ber", "Bit errors before correction.", lambda c: c.pre_fec_ber),
    ("delay_seconds", "One-way delay of a circuit.", lambda c: c.delay_s),
    ("rx_power_dbm", "Light that a receiver gets.", lambda c: c.rx_dbm),
    ("rx_margin_decibels", "Light that a receiver gets over what it needs.", lambda c: c.rx_over_db),
    ("dispersion_ps_nm", "Chromatic dispersion of a wavelength; it grows with the way.", lambda c: c.dispersion_ps_nm),
    ("uncorrectable_blocks_per_second", "Blocks that no code corrects.", lambda c: c.uncorrectable_per_s),
)
_SECONDS_OF_CIRCUITS: tuple[tuple[str, str, Callable[[CircuitObservation], float | None]], ...] = (
    ("errored_seconds", "Seconds with a spoilt block, counted by equipment (G.8201).", lambda c: c.errored_s),
    (
        "severely_errored_seconds",
        "Of them, those without light or with many spoilt blocks, counted by equipment (G.8201).",
        lambda c: c.severely_errored_s,
    ),
    (
        "unavailable_seconds",
        "Seconds from ten severely errored ones in a row on, counted by equipment (G.8201).",
        lambda c: c.unavailable_s,
    ),
)
SEVERITIES = ("critical", "major", "warning")
MOST_KINDS = 30  # of alarms; equipment names them as it likes
KINDS = (
    "los", "margin", "pre_fec_ber", "span_loss", "rx_power", "fec_uncorrectable", "unavailable", "dispersion_step",
)  # fmt: skip
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
        ("webhook_waiting", "Incidents whose news nobody has taken yet.", now.webhook[0]),
        ("telemetry_series", "Measured subject and metric pairs held in memory.", now.series),
    ):
        yield GaugeMetricFamily(f"onecity_{name}", words, value=value)
    yield CounterMetricFamily("onecity_webhook_lost", "News of incidents that were given up.", value=now.webhook[1])
    yield CounterMetricFamily("onecity_telemetry_refused_samples", "Samples without room.", value=now.refused)
    down = GaugeMetricFamily("onecity_components_down", "Components that count as down.", labels=["kind"])
    for kind in sorted({*COMPONENTS, *now.down}):
        down.add_metric([kind], now.down.get(kind, 0))
    yield down
    incidents = GaugeMetricFamily("onecity_incidents_open", "Open incidents by severity.", labels=["severity"])
    for severity in SEVERITIES:
        incidents.add_metric([severity], now.incidents.get(severity, 0))
    yield incidents
    yield _open_incidents(now)
    yield _alarms(now)
    yield from _links(now)
    yield from _fibres(now)
    yield from _circuits(now)
    yield from _lines(now)


def _open_incidents(now: Observation) -> Metric:
    family = GaugeMetricFamily(
        "onecity_incident_opened_timestamp_seconds",
        "When an open incident began, by its cause; the worst first, at most 200.",
        labels=["cause", "kind", "severity"],
    )
    for one in now.open_incidents[:MOST_INCIDENTS]:
        family.add_metric([one.cause, one.kind, one.severity], one.opened)
    return family


def _causes(what: str, causes: Mapping[str, str]) -> Metric:
    """Tell for each that has series what explains it, itself where nothing does: alerts are gathered by it."""
    words = f"1: the root of the open incident that explains a {what}; itself where none does."
    family = GaugeMetricFamily(f"onecity_{what}_cause_info", words, labels=[what, "cause"])
    for name, cause in sorted(causes.items()):
        family.add_metric([name, cause], 1.0)
    return family


def _alarms(now: Observation) -> Metric:
    """Count the alarms that stand by kind: the usual ones always, of others the most frequent."""
    family = GaugeMetricFamily("onecity_alarms_standing", "Alarms raised and not cleared.", labels=["kind"])
    others = sorted((k for k in now.alarms if k not in KINDS), key=lambda k: (-now.alarms[k], k))
    for kind in (*KINDS, *others[:MOST_KINDS]):
        family.add_metric([kind], now.alarms.get(kind, 0))
    family.add_metric(["other"], sum(now.alarms[k] for k in others[MOST_KINDS:]))
    return family


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
    yield _causes("link", {k.id: now.blame.of("link", k.id) for k in chosen})
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
    left = max(0, len(fibres) - MOST_FIBRES)
    yield GaugeMetricFamily("onecity_fibres_without_series", "Fibres beyond the bound on series.", value=left)
    yield _causes("fibre", {k.id: now.blame.of("fibre", k.id) for k in fibres[:MOST_FIBRES]})


def _circuits(now: Observation) -> Iterator[Metric]:
    words = "Measured circuits: of services, and wavelengths under links."
    lit = GaugeMetricFamily("onecity_circuits", words, labels=["domain"])
    counts: dict[str, int] = {}
    for circuit in now.circuits:
        counts[circuit.domain] = counts.get(circuit.domain, 0) + 1
    for domain, count in sorted(counts.items()):
        lit.add_metric([domain], count)
    yield lit
    families: list[tuple[GaugeMetricFamily | CounterMetricFamily, Callable[[CircuitObservation], float | None]]] = [
        (family(f"onecity_circuit_{name}", words, labels=["circuit"]), value)
        for family, rows in ((GaugeMetricFamily, _OF_CIRCUITS), (CounterMetricFamily, _SECONDS_OF_CIRCUITS))
        for name, words, value in rows
    ]
    worst = sorted(now.circuits, key=_poorest)
    for found in sorted(worst[:MOST_CIRCUITS], key=lambda c: c.circuit):
        for family, value in families:
            if (number := value(found)) is not None:
                family.add_metric([found.circuit], number)
    yield from (family for family, _ in families)
    left = max(0, len(worst) - MOST_CIRCUITS)
    yield GaugeMetricFamily("onecity_circuits_without_series", "Circuits beyond the bound on series.", value=left)
    yield _causes("circuit", {c.circuit: now.blame.of_circuit(c.circuit, c.service) for c in worst[:MOST_CIRCUITS]})


def _poorest(circuit: CircuitObservation) -> tuple[bool, float, str]:
    """Who loses blocks comes first, then who has little left, of margin or of power over what its receiver needs."""
    left = min((v for v in (circuit.margin_db, circuit.rx_over_db) if v is not None), default=math.inf)
    return not circuit.uncorrectable_per_s, left, circuit.circuit


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

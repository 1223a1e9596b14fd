"""The judgements on a service in the network: does something stand by, and does it get what was promised.

Nothing is taken for good because nobody complained: what is not measured is unknown, and what is down is no
matter of a promised limit. A plane without a single limit that reaches nobody is as broken as one with ten.
"""

from __future__ import annotations

from collections.abc import Mapping

from controller.changes.views import Condition, SloView
from controller.intent.model import DedicatedPlane, Service, VipAssurance
from controller.network.model import CityMap
from controller.planning.emergency import is_emergency
from controller.planning.placement import Placement, TunnelPlacement
from controller.telemetry.indicator import ServiceIndicators
from controller.telemetry.telemetry import Telemetry

NO_LEG, PROTECT_LEG = 0.0, 2.0  # values of the metric `active_leg`
LOST_RATIO = 0.5  # half of the packets gone: no service, whatever was promised
MOST_NAMED = 3


def protected(service: Service, placement: Placement, city: CityMap, telemetry: Telemetry) -> Condition:
    """Say whether something stands by; a service that rides its standby already has nothing left."""
    legs = {c.id: telemetry.indicator(f"circuit:{c.id}", "active_leg") for c in placement.circuits}
    dead = [c for c, leg in legs.items() if leg is not None and leg.value == NO_LEG]
    dead += [c for c in legs if c not in dead and _says_down(f"circuit:{c}", telemetry)]
    dead += [t.name for t in placement.tunnels if _says_down(f"tunnel:{t.name}", telemetry)]
    if dead:
        return Condition("Protected", "False", "Down", f"working and standby are down: {_named(dead)}")
    moved = [c for c, leg in legs.items() if leg is not None and leg.value == PROTECT_LEG]
    if moved:
        return Condition("Protected", "False", "OnStandby", f"{_named(moved)} rides its standby leg")
    if not placement.circuits and not placement.tunnels:
        ranks = {s.rank for s in placement.stitches}
        if len(ranks) == 1:
            return Condition("Protected", "False", "OneBorder", "only one border pair")
        return Condition("Protected", "True", "Rerouted", "both border pairs" if ranks else "inside one domain")
    return _standby(service, placement, city)


def _standby(service: Service, placement: Placement, city: CityMap) -> Condition:
    """Planning refuses a slice that cannot have the standby it asks for: one without did not ask."""
    without = [c.id for c in placement.circuits if c.protect is None]
    without += [t.name for t in placement.tunnels if t.standby is None and not _inside_a_site(t, city)]
    if without and is_emergency(placement):
        return Condition("Protected", "False", "NoStandby", f"nothing stands by for {_named(without)} for now")
    if not without and any(c.shared for c in placement.circuits):
        kept = [c.id for c in placement.circuits if c.shared]
        return Condition("Protected", "True", "Restoration", f"a way is kept for {_named(kept)}, and lit if it fails")
    if not without:
        return Condition("Protected", "True", "Standby")
    if isinstance(service, VipAssurance | DedicatedPlane):
        return Condition("Protected", "False", "NoStandby", f"nothing stands by for {_named(without)}")
    return Condition("Protected", "True", "NotAsked", "no standby was asked for or needed")


def _inside_a_site(tunnel: TunnelPlacement, city: CityMap) -> bool:
    """Between two routers of one building there is nothing that could be led another way."""
    ends = [city.nodes[n].site for n in (tunnel.src, tunnel.dst) if n in city.nodes]
    return len(ends) == 2 and ends[0] is not None and ends[0] == ends[1]


def _says_down(subject: str, telemetry: Telemetry) -> bool:
    up = telemetry.indicator(subject, "up")
    return up is not None and up.value < LOST_RATIO


def within_slo(slo: SloView, measured: ServiceIndicators) -> Condition:
    """Judge what is measured; every service is judged, also one that was promised no limit."""
    if measured.down:
        return Condition("WithinSlo", "False", "Down", f"down: {_named(measured.down)}")
    if measured.unreachable:
        message = f"does not reach all others: {_named(measured.unreachable)}"
        return Condition("WithinSlo", "False", "Unreachable", message)
    if measured.loss_ratio is not None and measured.loss_ratio.value >= LOST_RATIO:
        return Condition("WithinSlo", "False", "Unreachable", f"{measured.loss_ratio.value:.0%} of the traffic is lost")
    checks: Mapping[str, tuple[float | None, float | None]] = {
        name: (limit, found.value if found is not None else None)
        for name, limit, found in (
            ("delay", slo.delay_s, measured.delay_s),
            ("jitter", slo.jitter_s, measured.jitter_s),
            ("loss", slo.loss_ratio, measured.loss_ratio),
        )
    }
    broken = [n for n, (limit, value) in checks.items() if limit is not None and value is not None and value > limit]
    if broken:
        return Condition("WithinSlo", "False", "Violated", ", ".join(broken))
    missing = [n for n, (limit, value) in checks.items() if limit is not None and value is None]
    if len(measured.silent) >= measured.subjects or missing:
        return Condition("WithinSlo", "Unknown", "NoMeasurement", "nothing fresh was measured")
    if measured.silent:
        return Condition("WithinSlo", "Unknown", "NoMeasurement", f"no measurement from {_named(measured.silent)}")
    return Condition("WithinSlo", "True", "Measured")


def health_word(judged: Condition) -> str:
    """Return what `within_slo` judged in one word: "ok", "violated", "down" or "unknown"."""
    if judged.status == "True":
        return "ok"
    if judged.status == "Unknown":
        return "unknown"
    return "violated" if judged.reason == "Violated" else "down"


def _named(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more

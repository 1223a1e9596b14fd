"""Watches the light of every wavelength: margins, power and alarms become causes, most of them before packets suffer.

Looked at once a second with the links. Margin and power are compared with their best on the same route: whoever is led
elsewhere begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nsmallest

from controller.assurance.causes import Cause
from controller.assurance.components import Component
from controller.assurance.fading import Light, Margin, fading, joined, longer, riders_of, spoilt
from controller.assurance.receivers import MAJOR, RX_POWER, UNCORRECTABLE
from controller.changes.domains import Domains
from controller.loop.alarms import Alarm, Alarms
from controller.loop.receivers import Receivers
from controller.southbound.driver import Sample
from controller.telemetry.telemetry import Telemetry

OF_LIGHT = frozenset({"margin", "pre_fec_ber", RX_POWER})  # kinds of alarms
OF_FIBRES = "span_loss"
MOST_TRENDS = 200
DIM_DB = 10.0  # a span that loses so much more than it was built with can end what is lit over it
PROTECT_LEG = 2.0  # value of the metric `active_leg`


class Lights:
    """The wavelengths of all domains. `clock` is monotonic seconds."""

    def __init__(self, domains: Domains, telemetry: Telemetry, alarms: Alarms, clock: Callable[[], float]) -> None:
        self._domains, self._telemetry, self._alarms, self._clock = domains, telemetry, alarms, clock
        self._margins: dict[str, Margin] = {}
        self._dim: frozenset[str] = frozenset()
        self._receivers = Receivers(alarms)
        self._over: tuple[Alarm, ...] = ()
        self._least_gain_db: dict[str, float] = {}  # amplifier → the least gain it was seen with

    def hear(self, samples: Sequence[Sample]) -> tuple[Alarm, ...]:
        """Take samples; return the alarms that receivers make news of, those that ended with a way among them."""
        over, self._over = self._over, ()
        return (*over, *self._receivers.hear(samples))

    @property
    def dim(self) -> frozenset[str]:
        """Return the fibres that lose so much that circuits over them may be dark, though no domain calls them cut."""
        return self._dim

    def look(self) -> tuple[Cause, ...]:
        """Take the margins of this moment; return what lets light fade, spoils its frames or leads it a longer way."""
        now = self._clock()
        routes = self._routes()
        self._over += self._receivers.follow(routes, self._domains.line_modes(), self._domains.discovered.fibres)
        self._margins = {c: m for c, m in self._margins.items() if routes.get(c) == m.route}
        seen = {}  # now; a gap makes nobody forget what there was before
        for circuit, route in routes.items():
            fresh = self._telemetry.fresh(f"circuit:{circuit}")
            if "margin_db" in fresh:
                seen[circuit] = self._margins.setdefault(circuit, Margin(route))
                seen[circuit].take(fresh["margin_db"], now)
                seen[circuit].take_power(fresh.get("rx_dbm"))
        # A trend costs some 80 µs: where more than these fade at once, the brightest have time.
        poorest = nsmallest(MOST_TRENDS, (c for c, m in seen.items() if m.fell_db > 0), key=self._now_db)
        spent = {circuit: seen[circuit].spent_in_s() for circuit in poorest}
        lights = {}
        for circuit, route in routes.items():
            known = seen.get(circuit)
            alarmed, faint = self._alarmed(circuit)
            if known is not None:
                margin_db, fell_db, weaker_db = known.now_db, known.fell_db, known.weaker_db
                lights[circuit] = Light(route, margin_db, fell_db, spent.get(circuit), alarmed, weaker_db, faint)
            elif alarmed:
                lights[circuit] = Light(route, None, 0.0, None, True, faint=faint)
        worn = {c[6:] for c, kind in self._alarms.standing if kind == OF_FIBRES and c.startswith("fibre:")}
        riders, more_db = self._riders(routes), self._more_db()
        grown = longer(self._receivers.longer_km, routes, riders, more_db)
        found = joined(grown, fading(lights, worn, riders, more_db))
        losing = {c: routes[c] for c in routes if (f"circuit:{c}", UNCORRECTABLE) in self._alarms.standing}
        found = joined(spoilt(losing, routes, riders, found), found) if losing else found
        self._dim = self._dimmed(routes, found, more_db)
        return found

    def _alarmed(self, circuit: str) -> tuple[bool, bool]:
        """Return whether something complains of a wavelength's light, and whether hardly any of it arrives."""
        standing, component = self._alarms.standing, f"circuit:{circuit}"
        power = standing.get((component, RX_POWER))
        alarmed = any((component, kind) in standing for kind in OF_LIGHT)
        return alarmed, power is not None and power.severity >= MAJOR

    def _more_db(self) -> dict[str, float]:
        """Return what fibres lose beyond what they were built with, where it is measured: by span, else by gain.

        A preamplifier is set to the loss of its span; its gain counts from the least that it ever had.
        """
        found = {}
        for name, fibre in self._domains.discovered.fibres.items():
            loss_db = self._telemetry.newest(f"fibre:{name}", "span_loss_db")
            if loss_db is not None:
                found[name] = loss_db - fibre.loss_db
        for subject in self._telemetry.of_kind("amplifier"):
            gain_db = self._telemetry.newest(subject, "gain_db")
            if gain_db is not None:
                self._least_gain_db[subject] = least = min(gain_db, self._least_gain_db.get(subject, gain_db))
                fibre_name = subject.partition(":")[2].partition("@")[0]
                if fibre_name in self._domains.discovered.fibres:
                    found.setdefault(fibre_name, gain_db - least)
        return found

    def _now_db(self, circuit: str) -> float:
        return self._margins[circuit].now_db

    def _routes(self) -> dict[str, tuple[str, ...]]:
        """Return the fibres that each wavelength runs over now."""
        found = {}
        for circuit, (working, protect) in self._domains.wavelengths().items():
            leg = self._telemetry.newest(f"circuit:{circuit}", "active_leg") if protect else None
            found[circuit] = protect if leg == PROTECT_LEG else working
        return found

    def _riders(self, routes: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[Component]]:
        city = self._domains.discovered
        return riders_of(routes, ((k.id, k.circuit) for k in city.links), self._domains.odu_servers().items())

    def _dimmed(
        self, routes: Mapping[str, tuple[str, ...]], found: tuple[Cause, ...], more_db: Mapping[str, float]
    ) -> frozenset[str]:
        """Return fibres that were to blame while their light could last no longer, for as long as it is away."""
        dim = {c.root[6:] for c in found if c.at_risk and c.root.startswith("fibre:")}
        dim |= {fibre for fibre, more in more_db.items() if more >= DIM_DB}
        dark = {c for c in routes if self._telemetry.newest(f"circuit:{c}", "up") == 0.0}
        still = {f for c in dark for f in routes[c]}
        return frozenset(dim | (self._dim & still))

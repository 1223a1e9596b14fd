"""Watches the light of every wavelength: margins, power and alarms become causes, most of them before packets suffer.

Looked at once a second with the links. Margin and power are compared with their best on the same route: whoever is led
elsewhere begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nsmallest

from controller.assurance.causes import Cause
from controller.assurance.components import Component
from controller.assurance.fading import (
    FALLEN_DB,
    LEAST_FALL_DB,
    POOR_DB,
    Light,
    Margin,
    fading,
    joined,
    longer,
    riders_of,
    spoilt,
)
from controller.assurance.receivers import MAJOR, OF_FRAMES, RX_POWER
from controller.changes.domains import Domains
from controller.loop.alarms import Alarm, Alarms
from controller.loop.limits import ToldLimits
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
        self.limits = ToldLimits(clock, telemetry.silence_s)
        self._receivers = Receivers(alarms, telemetry, self.limits)
        self._over: tuple[Alarm, ...] = ()
        self._witnesses: dict[str, Light] = {}
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
        if len(self._witnesses) > len(routes):
            self._witnesses = {c: w for c, w in self._witnesses.items() if c in routes}
        seen, doubtful = self._seen(routes, now)
        # A trend costs some 80 µs: where more than these fade at once, the brightest have time.
        poorest = nsmallest(MOST_TRENDS, (c for c in doubtful if seen[c].falls), key=self._now_db)
        spent = {circuit: due for circuit in poorest if (due := seen[circuit].spent_in_s()) is not None}
        alarmed, faint = self._alarmed()
        worn = {c[6:] for c, kind in self._alarms.standing if kind == OF_FIBRES and c.startswith("fibre:")}
        ill = {c for c in doubtful if seen[c].now_db < POOR_DB or seen[c].fell_db >= FALLEN_DB} | spent.keys()
        ill |= alarmed & routes.keys()
        spoils = {c.partition(":")[2] for c, kind in self._alarms.standing if kind in OF_FRAMES}
        losing = {c: routes[c] for c in sorted(spoils & routes.keys())}
        by_km, more_db = self._receivers.longer_km, self._more_db()
        riders = self._riders({c: routes[c] for c in {*ill, *losing, *by_km} if c in routes})
        found = longer(by_km, routes, riders, more_db) if by_km else ()
        lights = {c: _light(routes[c], seen.get(c), spent.get(c), c in alarmed, c in faint) for c in ill}
        if lights or worn:
            fibres = {f for c in ill for f in routes[c]} | worn
            for circuit in seen:  # who shares no fibre with those who suffer is no witness
                if circuit not in ill and not fibres.isdisjoint(routes[circuit]):
                    lights[circuit] = self._bright(circuit, routes[circuit])
        found = joined(found, fading(lights, worn, riders, more_db) if lights or worn else ())
        found = joined(spoilt(losing, routes, riders, found), found) if losing else found
        self._dim = self._dimmed(routes, found, more_db)
        return found

    def _bright(self, circuit: str, route: tuple[str, ...]) -> Light:
        """Return a wavelength that suffers nothing, of which only the way counts: kept, for most are that."""
        light = self._witnesses.get(circuit)
        if light is None or light.route != route:
            light = self._witnesses[circuit] = Light(route, None, 0.0, None, False)
        return light

    def _seen(self, routes: Mapping[str, tuple[str, ...]], now: float) -> tuple[dict[str, Margin], list[str]]:
        """Take the margin and power of each wavelength; return those that have any now, and who may suffer of them.

        A gap makes nobody forget what there was before.
        """
        seen, doubtful, subjects = {}, [], [f"circuit:{c}" for c in routes]
        margins_db = self._telemetry.newest_of(subjects, "margin_db")
        powers_dbm = self._telemetry.newest_of(subjects, "rx_dbm")
        for (circuit, route), margin_db, power_dbm in zip(routes.items(), margins_db, powers_dbm, strict=True):
            if margin_db is not None:
                margin = self._margins.get(circuit)
                if margin is None:
                    margin = self._margins[circuit] = Margin(route)
                seen[circuit] = margin
                margin.take(margin_db, now)
                margin.take_power(power_dbm)
                if margin_db < POOR_DB or margin.best_db - margin_db >= LEAST_FALL_DB:
                    doubtful.append(circuit)
        return seen, doubtful

    def _alarmed(self) -> tuple[set[str], set[str]]:
        """Return the wavelengths of whose light something complains, and those that hardly any of it reaches."""
        alarmed, faint = set(), set()
        for (component, kind), alarm in self._alarms.standing.items():
            if kind in OF_LIGHT and component.startswith("circuit:"):
                alarmed.add(component[8:])
                if kind == RX_POWER and alarm.severity >= MAJOR:
                    faint.add(component[8:])
        return alarmed, faint

    def _more_db(self) -> dict[str, float]:
        """Return what fibres lose beyond what they were built with, where it is measured: by span, else by gain.

        A preamplifier is set to the loss of its span; its gain counts from the least that it ever had.
        """
        found = {}
        fibres = self._domains.discovered.fibres
        losses_db = self._telemetry.newest_of([f"fibre:{name}" for name in fibres], "span_loss_db")
        for (name, fibre), loss_db in zip(fibres.items(), losses_db, strict=True):
            if loss_db is not None:
                found[name] = loss_db - fibre.loss_db
        for subject in self._telemetry.of_kind("amplifier"):
            gain_db = self._telemetry.newest(subject, "gain_db")
            if gain_db is not None:
                self._least_gain_db[subject] = least = min(gain_db, self._least_gain_db.get(subject, gain_db))
                fibre_name = subject.partition(":")[2].partition("@")[0]
                if fibre_name in fibres:
                    found.setdefault(fibre_name, gain_db - least)
        return found

    def _now_db(self, circuit: str) -> float:
        return self._margins[circuit].now_db

    def _routes(self) -> dict[str, tuple[str, ...]]:
        """Return the fibres that each wavelength runs over now."""
        ways = self._domains.wavelengths()
        found = {circuit: working for circuit, (working, _) in ways.items()}
        guarded = [circuit for circuit, (_, protect) in ways.items() if protect]
        legs = self._telemetry.newest_of([f"circuit:{c}" for c in guarded], "active_leg")
        return found | {c: ways[c][1] for c, leg in zip(guarded, legs, strict=True) if leg == PROTECT_LEG}

    def _riders(self, routes: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[Component]]:
        city = self._domains.discovered
        return riders_of(routes, ((k.id, k.circuit) for k in city.links), self._domains.odu_servers().items())

    def _dimmed(
        self, routes: Mapping[str, tuple[str, ...]], found: tuple[Cause, ...], more_db: Mapping[str, float]
    ) -> frozenset[str]:
        """Return fibres that were to blame while their light could last no longer, for as long as it is away."""
        dim = {c.root[6:] for c in found if c.at_risk and c.root.startswith("fibre:")}
        dim |= {fibre for fibre, more in more_db.items() if more >= DIM_DB}
        if not self._dim - dim:
            return frozenset(dim)
        up = self._telemetry.newest_of([f"circuit:{c}" for c in routes], "up")
        still = {f for route, state in zip(routes.values(), up, strict=True) if state == 0.0 for f in route}
        return frozenset(dim | (self._dim & still))


def _light(route: tuple[str, ...], known: Margin | None, spent_in_s: float | None, alarmed: bool, faint: bool) -> Light:
    """Return how a wavelength is that suffers; known None: nothing is measured of it, and something complains."""
    if known is not None:
        return Light(route, known.now_db, known.fell_db, spent_in_s, alarmed, known.weaker_db, faint)
    return Light(route, None, 0.0, None, True, faint=faint)

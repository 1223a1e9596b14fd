"""Watches the light of every wavelength: margins over time and the alarms on them become causes, before packets suffer.

Looked at once a second with the links. A margin is compared with its best on the same route: whoever is led elsewhere
begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import nsmallest

from controller.assurance.causes import Cause
from controller.assurance.fading import Light, Margin, fading, riders_of
from controller.changes.domains import Domains
from controller.loop.alarms import Alarms
from controller.telemetry.telemetry import Telemetry

OF_LIGHT = frozenset({"margin", "pre_fec_ber"})  # kinds of alarms
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

    @property
    def dim(self) -> frozenset[str]:
        """Return the fibres that lose so much that circuits over them may be dark, though no domain calls them cut."""
        return self._dim

    def look(self) -> tuple[Cause, ...]:
        """Take the margins of this moment; return what lets light fade."""
        now = self._clock()
        routes = self._routes()
        self._margins = {c: m for c, m in self._margins.items() if routes.get(c) == m.route}
        seen = {}  # now; a gap makes nobody forget what there was before
        for circuit, route in routes.items():
            value = self._telemetry.newest(f"circuit:{circuit}", "margin_db")
            if value is not None:
                seen[circuit] = self._margins.setdefault(circuit, Margin(route))
                seen[circuit].take(value, now)
        # A trend costs some 80 µs: where more than these fade at once, the brightest have time.
        poorest = nsmallest(MOST_TRENDS, (c for c, m in seen.items() if m.fell_db > 0), key=self._now_db)
        spent = {circuit: seen[circuit].spent_in_s() for circuit in poorest}
        lights = {}
        for circuit, route in routes.items():
            known = seen.get(circuit)
            alarmed = any((f"circuit:{circuit}", kind) in self._alarms.standing for kind in OF_LIGHT)
            if known is not None:
                lights[circuit] = Light(route, known.now_db, known.fell_db, spent.get(circuit), alarmed)
            elif alarmed:
                lights[circuit] = Light(route, None, 0.0, None, True)
        worn = {c[6:] for c, kind in self._alarms.standing if kind == OF_FIBRES and c.startswith("fibre:")}
        found = fading(lights, worn, self._riders(routes))
        self._dim = self._dimmed(routes, found)
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

    def _riders(self, routes: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
        city = self._domains.discovered
        return riders_of(routes, ((k.id, k.circuit) for k in city.links), self._domains.odu_servers().items())

    def _dimmed(self, routes: Mapping[str, tuple[str, ...]], found: tuple[Cause, ...]) -> frozenset[str]:
        """Return fibres that were to blame while their light could last no longer, for as long as it is away."""
        fibres = self._domains.discovered.fibres
        dim = {c.root[6:] for c in found if c.at_risk and c.root.startswith("fibre:")}
        for name, fibre in fibres.items():
            loss_db = self._telemetry.newest(f"fibre:{name}", "span_loss_db")
            if loss_db is not None and loss_db >= fibre.loss_db + DIM_DB:
                dim.add(name)
        dark = {c for c in routes if self._telemetry.newest(f"circuit:{c}", "up") == 0.0}
        still = {f for c in dark for f in routes[c]}
        return frozenset(dim | (self._dim & still))

"""The domains as the controller knows them: which sessions stand, what each domain said last, and the map of it all.

Each domain has one task of its own, so one that is down, slow or mad delays no other. A domain that is lost stays in
the map as it was, marked stale; nothing is forgotten until an operator says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from controller.assurance.components import closure
from controller.errors import OnecityError
from controller.network.discovered import DomainKind, DomainTopology
from controller.network.inventory import Inventory
from controller.network.lit import with_lit
from controller.network.merge import merge
from controller.network.model import CityMap, LitForServices
from controller.network.outage import without
from controller.optics.propagation import Lamps
from controller.southbound.driver import Driver, EventKind
from controller.store.store import Store

log = logging.getLogger(__name__)

SETTLE_S = 0.5  # a burst of topology events is one discovery
PATIENT_S = 1.5  # so long a start is silent
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class DomainState:
    """What the NOC asks of a domain first: does its session stand, and if not, why."""

    up: bool
    message: str = ""


class Domains:
    """Owns a task per domain; `city` is always the newest map."""

    def __init__(
        self,
        drivers: Mapping[str, Driver],
        inventory: Inventory,
        store: Store,
        finish_open: Callable[[str], Awaitable[None]],
        lamps: Lamps,
        *,
        lights: bool = True,
    ) -> None:
        """`lights`: whether planning may light IP links that are not there."""
        self.drivers = drivers
        self._inventory, self._store, self._finish_open = inventory, store, finish_open
        self._lamps, self._lights = lamps, lights
        self._topologies: dict[str, DomainTopology] = {}
        self._fresh: set[str] = set()
        self._states: dict[str, DomainState] = {d: DomainState(False, "not connected yet") for d in drivers}
        self._discoveries: dict[str, asyncio.Event] = {d: asyncio.Event() for d in drivers}
        self._tasks: list[asyncio.Task[None]] = []
        self._version = 0
        self.suspect: Callable[[str], None] = lambda domain: None  # may run something else than what we committed
        self._changed = asyncio.Condition()
        self.notification_gaps: dict[str, int] = dict.fromkeys(drivers, 0)  # times the domain could not be heard
        self.city = self._told = self._discovered = merge((), inventory, 0, frozenset())
        self._fading: frozenset[str] = frozenset()  # fibres that incidents call worn
        self._lit: tuple[LitForServices, ...] = ()  # the IP links that stand for services only
        self._reported: frozenset[str] = frozenset()  # components that streams say are down, and what rides on them
        self._suspected: frozenset[str] = frozenset()  # fibres that must be cut, of which nobody says so

    @property
    def kinds(self) -> Mapping[str, DomainKind]:
        return {name: driver.kind for name, driver in self.drivers.items()}

    @property
    def discovered(self) -> CityMap:
        """Return the map as the domains told it when they were last asked, with the IP links that we had lit."""
        return self._discovered

    def states(self) -> Mapping[str, DomainState]:
        return dict(self._states)

    def down(self) -> frozenset[str]:
        """Return the domains out of reach."""
        return frozenset(name for name, state in self._states.items() if not state.up)

    async def start(self) -> None:
        """Show the last known map as stale, then attend to every domain independently."""
        self._topologies = {d: kept for d, (kept, _) in self._store.load_topologies().items() if d in self.drivers}
        self._remerge()
        for name in self.drivers:
            self._tasks.append(asyncio.create_task(self._follow(name), name=f"events of {name}"))
            self._tasks.append(asyncio.create_task(self._discover_when_asked(name), name=f"discovery of {name}"))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(driver.close() for driver in self.drivers.values()), return_exceptions=True)

    async def settled(self, deadline_s: float) -> None:
        """Wait until every domain has been discovered in this life, or the deadline; then go on with what there is."""
        if await self._all_fresh(min(PATIENT_S, deadline_s)):
            return
        log.info("waiting for %s, at most %.0f s", self._missing(), deadline_s)
        if not await self._all_fresh(deadline_s - PATIENT_S):
            log.warning("starting without %s: not discovered within %.0f s", self._missing(), deadline_s)

    async def _all_fresh(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s), self._changed:
                await self._changed.wait_for(lambda: self._fresh >= set(self.drivers))
        except TimeoutError:
            return False
        return True

    def _missing(self) -> str:
        return ", ".join(sorted(set(self.drivers) - self._fresh))

    async def _follow(self, name: str) -> None:
        """Turn the domain's events into discoveries; the driver reconnects by itself."""
        async for event in self.drivers[name].events():
            if event.kind is EventKind.LOST:
                self.notification_gaps[name] += 1
                self._note(name, DomainState(False, event.detail))
                self._fresh.discard(name)
                self._remerge()
            elif event.kind in (EventKind.CONNECTED, EventKind.TOPOLOGY_CHANGED):
                self._discoveries[name].set()
            elif event.kind is EventKind.CONFIG_CHANGED:
                log.info("%s: its configuration was changed %s", name, event.detail or "by somebody")
                self.suspect(name)

    async def _discover_when_asked(self, name: str) -> None:
        """Finish what is open on the domain, then read what it has; repeat on every event, gathered over a moment."""
        asked, attempt = self._discoveries[name], 0
        while True:
            await asked.wait()
            if name in self._fresh:
                await asyncio.sleep(SETTLE_S)
            asked.clear()
            try:
                if name not in self._fresh:
                    await self._finish_open(name)
                await self._discover(name)
                attempt = 0
            except OnecityError as error:
                self._note(name, DomainState(False, str(error)))
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
                asked.set()

    async def _discover(self, name: str) -> None:
        topology = await self.drivers[name].discover()
        if topology.fibres:
            await asyncio.to_thread(self._lamps.learn, [(f.length_m, f.loss_db) for f in topology.fibres])
        back = name not in self._fresh
        news = topology != self._topologies.get(name) or name not in self._fresh
        self._note(name, DomainState(True))
        if not news:
            return
        self._topologies[name] = topology
        self._fresh.add(name)
        self._remerge()
        if back:
            self.suspect(name)
        await self._store.save_topology(topology)
        async with self._changed:
            self._changed.notify_all()

    def _note(self, name: str, state: DomainState) -> None:
        """Keep how a domain stands, and say so once: not with every attempt that fails for the same reason."""
        before, self._states[name] = self._states[name], state
        if state.up and not before.up:
            log.info("domain %s is up", name)
        elif not state.up and state != before:
            log.warning("domain %s is down: %s", name, state.message.removeprefix(f"domain {name}: "))

    def _remerge(self) -> None:
        """Make the map anew; its version moves only when something on it did."""
        stale = frozenset(self.drivers) - self._fresh
        merged = self._lamps.on(merge(tuple(self._topologies.values()), self._inventory, self._version, stale))
        self._told = _sharing(replace(merged, lights=self._lights), self._told)
        self._extend()

    def look_at_light(self) -> None:
        """Ask the optical domains again: what was read while a transaction was open told of what that still held."""
        for name, driver in self.drivers.items():
            if driver.kind is DomainKind.OPTICAL and name in self._fresh:
                self._discoveries[name].set()

    def light(self, lit: tuple[LitForServices, ...]) -> None:
        """Show exactly these of the IP links that stand for services only, whatever was discovered of them."""
        if lit != self._lit:
            self._lit = lit
            self._extend()

    def _extend(self) -> None:
        self._discovered = _sharing(with_lit(self._told, self._lit), self._discovered)
        self._show_outage()

    def _show_outage(self) -> None:
        """Show as down what is said to be, and what must be."""
        self._show(without(self._discovered, closure(self._discovered, self._reported | self._suspected, self.lit())))

    def outage(self, down: AbstractSet[str]) -> frozenset[str]:
        """Show these components as down (and what rides on them), whatever was discovered; return all of them.

        Discovery takes a second and a failure must be planned around at once. Those not named are as discovered.
        """
        fallen = self.fallen(down)
        if down != self._reported:
            self._reported = frozenset(down)
            if self._suspected:
                self._show_outage()
            else:
                self._show(without(self._discovered, fallen))
        return fallen

    def suspects(self, fibres: frozenset[str]) -> None:
        """Show these fibres ("fibre:<id>") as down from now on, and no others beside what is said to be.

        Nothing is led over them anew; what their domain says is well on them stays where it is.
        """
        if fibres != self._suspected:
            self._suspected = fibres
            self._show_outage()

    def fallen(self, down: AbstractSet[str]) -> frozenset[str]:
        """Return these components and what rides on them."""
        return closure(self._discovered, down, self.lit())

    def fades(self, fibres: frozenset[str]) -> None:
        """Show these fibres as fading from now on, and no others."""
        if fibres != self._fading:
            self._fading = fibres
            self._show(self.city)

    def _show(self, city: CityMap) -> None:
        city = replace(city, version=self.city.version, fading=self._fading)
        if city != self.city:
            self._version += 1
            self.city = _sharing(replace(city, version=self._version), self.city)

    def lit(self) -> dict[str, tuple[str, ...]]:
        """Return the fibres under each circuit that has no second leg."""
        every = (c for t in self._topologies.values() for c in t.circuits)
        return {c.id: c.route for c in every if c.layer == "wavelength" and not c.protect_route}

    def wavelengths(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return the fibres under both legs of each lit wavelength; the second is empty where there is one leg."""
        every = (c for t in self._topologies.values() for c in t.circuits)
        return {c.id: (c.route, c.protect_route) for c in every if c.layer == "wavelength"}

    def line_modes(self) -> dict[str, str]:
        """Return lit wavelength → its line mode, "" where its domain does not tell."""
        return {c.id: c.mode for t in self._topologies.values() for c in t.circuits if c.layer == "wavelength"}

    def wavelengths_by_domain(self) -> dict[str, tuple[str, ...]]:
        """Return domain → its lit wavelengths."""
        every = self._topologies.items()
        return {name: tuple(c.id for c in t.circuits if c.layer == "wavelength") for name, t in every}

    def odu_servers(self) -> dict[str, str]:
        """Return ODU link → the circuit that carries it."""
        return {odu.id: odu.server_circuit for t in self._topologies.values() for odu in t.odu_links}


def _sharing(new: CityMap, old: CityMap) -> CityMap:
    """Return the new map with the old one's parts where they are equal: what was worked out of a part stays good.

    Every circuit of ours lights a port somewhere; links, nodes and fibres are not touched by that.
    """
    parts = ("sites", "domains", "nodes", "links", "fibres", "odu_links", "srlg_names")
    same = {part: getattr(old, part) for part in parts if getattr(old, part) == getattr(new, part)}
    shared = replace(new, **same)
    if [k.id for k in old.links] == [k.id for k in new.links]:
        vars(shared)["link_index"] = old.link_index  # the same links in the same order: ledgers stay where they are
    return shared

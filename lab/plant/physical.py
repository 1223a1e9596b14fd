"""Fibres, cables, ports and the faults on them: what is up, before anybody configures anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import hypot
from typing import Any

from lab.city import PROPAGATION_S_PER_M, City, Fibre, IpLink
from lab.plant.cable import Link, Port
from lab.plant.circuits import WAVELENGTH, Circuits, Strain
from lab.plant.receivers import DETOUR_DB_M
from lab.plant.units import WrittenLink
from lab.plant.written import WrittenLinks

STRAINED_FIBRE_DB = 3.0  # a fibre that loses packets also loses light
NO_STRAIN = Strain()
SEVERITIES = ("WARNING", "MINOR", "MAJOR", "CRITICAL")  # openconfig-alarm-types


class PlantError(Exception):
    """An operator's command names something that is not there; the message says what is near."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """What wears a link, fibre or wavelength. `light_db`: light lost in the end, `in_s` seconds from the beginning.

    `jitter_s`: by so much later than most come the slowest packets; what most take stays as it is.
    """

    loss: float
    delay_s: float
    light_db: float = 0.0
    in_s: float = 0.0
    age_s: float = 0.0
    jitter_s: float = 0.0

    @property
    def light_now_db(self) -> float:
        return self.light_db * min(1.0, self.age_s / self.in_s) if self.in_s else self.light_db

    @property
    def settled(self) -> bool:
        return self.age_s >= self.in_s


class Physical:
    """The city with its faults. Every answer follows from city file, faults and circuits."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.cut: set[str] = set()
        self.down: set[str] = set()
        self.degraded: dict[str, Degradation] = {}
        self.detours: dict[str, int] = {}  # fibre or wavelength → metres that it is longer than anybody was told
        self.spurious: dict[str, dict[str, str]] = {}  # domain → "what/KIND" → severity; "": cleared again
        self.floods: dict[str, float] = {}  # link → best-effort traffic of others on it, bit/s
        self.node_domain = {n.id: d.name for d in city.ip.values() for n in d.nodes}
        self.port_rate = {(p.node, p.id): p.rate_bps for d in city.ip.values() for p in d.ports}
        self.port_role = {(p.node, p.id): p.role for d in city.ip.values() for p in d.ports}
        self.client_of = _cables(city)
        self.router_of = {client: port for port, client in self.client_of.items()}
        self._own_links = {link.id: link for link in _directions(city)}
        self.links = dict(self._own_links)
        self.link_from = {link.source: link for link in self.links.values()}
        self.circuits = Circuits(city, self.fibre_up, self.node_up, self._strain)
        self.written = WrittenLinks(self._own_links.values(), self.client_of, self.circuits)
        self.light_known = False  # whether the optical domain has said which circuits it has
        stuck, failed = self.circuits.stuck, self.circuits.failed
        self._everything = (self.cut, self.down, self.degraded, self.detours, failed, self.floods, stuck)
        self.port_up: dict[Port, bool] = {}
        self.link_up: dict[str, bool] = {}
        self.refresh_ports()

    # ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, command: Mapping[str, Any]) -> str:
        """Carry out cut, degrade, detour, down, fail, flood or restore; return one sentence. Raises PlantError."""
        kind = command["type"]
        if kind == "cut":
            sentence = self._cut(str(command.get("fibre", "")))
        elif kind == "down":
            node = self._known(str(command.get("node", "")), self._nodes(), "node")
            self.down.add(node)
            sentence = f"{node} is down"
        elif kind == "degrade":
            sentence = self._degrade(command)
        elif kind == "detour":
            sentence = self._detour(str(command.get("link", "")), float(command["longer_m"]))
        elif kind == "fail":
            circuit = self._known(str(command.get("circuit", "")), sorted(self.circuits.specs), "circuit")
            self.circuits.failed.add(circuit)
            sentence = f"a line card of {circuit} is broken"
        elif kind == "flood":
            link = self._known(str(command.get("link", "")), [*self.links], "link")
            self.floods[link] = float(command["rate_bps"])
            sentence = f"{link} carries {self.floods[link] / 1e9:g} Gbit/s of somebody else's"
        else:
            sentence = self._restore(str(command.get("what", "all")))
        self.circuits.refresh(self.circuits.specs)
        self.refresh_ports()
        return sentence

    def stick(self, name: str, names: list[str], unnoticed: bool) -> str:
        """Have a protection switch stay on the first of its ways; unnoticed: its domain believes that it moves."""
        self.circuits.stuck[self._known(name, names, "circuit or tunnel")] = unnoticed
        self.circuits.refresh(self.circuits.specs)
        self.refresh_ports()
        return f"the switch of {name} stays where it is" + (", and its domain believes that it moves" * unnoticed)

    def complain(self, name: str, kind: str, severity: str) -> str:
        """Have equipment raise an alarm that nothing explains; raises PlantError."""
        if severity not in SEVERITIES:
            raise PlantError(f"no severity {severity!r}; there are {', '.join(SEVERITIES).lower()}")
        if not kind.replace("_", "").isalnum():
            raise PlantError(f"{kind!r} is no kind of alarm; write one word, as FAN or TEMPERATURE")
        optical = self.city.optical
        where = {n: (d, f"node:node:{n}") for n, d in self.node_domain.items()}
        where |= {n: (optical.name, f"node:{n}") for n in optical.nodes}
        where |= {f.id: (optical.name, f"fibre:{f.id}") for f in optical.fibres}
        domain, resource = where[self._known(name, [*where], "node or fibre")]
        self.spurious.setdefault(domain, {})[f"{resource}/{kind}"] = severity
        return f"{name} complains of {kind} ({severity.lower()}), and nothing is wrong with it"

    def _calm(self, what: str) -> int:
        """End the alarms on one thing, or all of them; return how many there were."""
        ended = 0
        for alarms in self.spurious.values():
            for alarm in [a for a, severity in alarms.items() if severity]:
                if what == "all" or alarm.rpartition("/")[0].rpartition(":")[2] == what:
                    alarms[alarm] = ""
                    ended += 1
        return ended

    def _cut(self, name: str) -> str:
        fibres = [f.id for f in self.city.optical.fibres if name in f.ducts] or [name]
        for fibre in fibres:
            self._known(fibre, [*(f.id for f in self.city.optical.fibres), *self.city.ducts], "fibre or duct")
        self.cut.update(fibres)
        return f"{', '.join(fibres)} {'is' if len(fibres) == 1 else 'are'} cut"

    def _degrade(self, command: Mapping[str, Any]) -> str:
        loss, delay, jitter = (float(command.get(key) or 0.0) for key in ("loss", "delay_s", "jitter_s"))
        if command.get("rate_bps"):
            raise PlantError("a modelled link keeps its rate; flood fills it with somebody else's traffic")
        if not 0 <= loss <= 1 or not 0 <= delay < 10 or not 0 <= jitter < 10:
            raise PlantError("loss is a ratio from 0 to 1, delay and jitter 0 to 10 seconds")
        light, in_s = float(command.get("light_db") or 0.0), float(command.get("in_s") or 0.0)
        if not 0 <= light <= 60 or in_s < 0:
            raise PlantError("light is 0 to 60 dB, the time in which it is lost not negative")
        lit = self._lit_ways()
        name = str(command.get("link", ""))
        link = self._known(name, lit if light else [*self.links, *lit], "link, fibre or wavelength")
        self.degraded[link] = Degradation(loss, delay, light, in_s, jitter_s=jitter)
        dimmer = f", and {light:g} dB of light" + (f" within {in_s:g} s" if in_s else "") if light else ""
        unsteady = f", varies by {jitter * 1e3:g} ms" if jitter else ""
        return f"{link} loses {loss:.4%} and delays {delay * 1e3:g} ms more{unsteady}{dimmer}"

    def _detour(self, name: str, longer_m: float) -> str:
        if not 0 < longer_m <= 200_000:
            raise PlantError("a detour is up to 200 km long")
        way = self._known(name, self._lit_ways(), "fibre or wavelength")
        self.detours[way] = round(longer_m)
        return f"{way} is {longer_m / 1000:g} km longer than anybody was told"

    def _lit_ways(self) -> list[str]:
        """Return what light can be lost on: fibres and wavelengths."""
        waves = sorted(c.id for c in self.circuits.specs.values() if c.layer == WAVELENGTH)
        return [*(f.id for f in self.city.optical.fibres), *waves]

    def age(self, elapsed_s: float) -> bool:
        """Let fibres that wear out lose more light; return whether a circuit went dark by it."""
        wearing = {f: d for f, d in self.degraded.items() if not d.settled}
        if not wearing:
            return False
        for fibre, d in wearing.items():
            self.degraded[fibre] = replace(d, age_s=d.age_s + elapsed_s)
        before = {c: s.up for c, s in self.circuits.states.items()}
        self.circuits.refresh(self.circuits.specs)
        return any(s.up is not before.get(c) for c, s in self.circuits.states.items())

    def span_loss_db(self, fibre: Fibre) -> float:
        return fibre.loss_db + self._strain(fibre.id).light_db

    def _restore(self, what: str) -> str:
        if what == "all":
            count = self._calm("all") + sum(len(some) for some in self._everything)
            for some in self._everything:
                some.clear()
            return f"{count} fault{'' if count == 1 else 's'} repaired"
        calmed = self._calm(what)
        fibres = {f.id for f in self.city.optical.fibres if what in f.ducts} & self.cut or {what}
        faulty = [name for some in self._everything for name in some]
        for name in fibres:
            if name not in faulty and not calmed:
                self._known(name, faulty, "fault at")
        self.cut -= fibres
        self.down.discard(what)
        self.degraded.pop(what, None)
        self.detours.pop(what, None)
        self.circuits.failed.discard(what)
        self.floods.pop(what, None)
        self.circuits.stuck.pop(what, None)
        return f"{what} is repaired"

    @staticmethod
    def _known(name: str, names: list[str], what: str) -> str:
        if name in names:
            return name
        near = [n for n in names if name and n.startswith(name)][:3] or get_close_matches(name, names, 3, 0.4)
        some = f"; there are {', '.join(sorted(names)[:6])} …" if names else ""
        hint = f"; did you mean {' or '.join(near)}?" if near else some
        raise PlantError(f"no {what} {name!r}{hint}")

    def _nodes(self) -> list[str]:
        return [*self.node_domain, *self.city.optical.nodes]

    def faults(self) -> dict[str, Any]:
        degraded = {
            k: {"loss": d.loss, "delay_s": d.delay_s, "jitter_s": d.jitter_s, "light_db": d.light_now_db}
            for k, d in self.degraded.items()
        }
        broken = {
            "failed": sorted(self.circuits.failed),
            "floods": dict(sorted(self.floods.items())),
            "alarms": sorted(a for alarms in self.spurious.values() for a, severity in alarms.items() if severity),
            "detours": dict(sorted(self.detours.items())),
            "stuck": sorted(self.circuits.stuck),
        }
        return {"cut": sorted(self.cut), "down": sorted(self.down), "degraded": degraded, **broken}

    # ── state ───────────────────────────────────────────────────────────────────────────────────────────────────

    def fibre_up(self, fibre: str) -> bool:
        return fibre not in self.cut

    def node_up(self, node: str) -> bool:
        return node not in self.down

    def _strain(self, name: str) -> Strain:
        """Return what faults do to a fibre or a wavelength; the detour of a wavelength has amplifiers of its own."""
        worn, longer_m = self.degraded.get(name), self.detours.get(name, 0)
        if worn is None and not longer_m:
            return NO_STRAIN
        loss, delay_s, jitter_s = (worn.loss, worn.delay_s, worn.jitter_s) if worn else (0.0, 0.0, 0.0)
        light_db = worn.light_now_db if worn else 0.0
        if name not in self.circuits.specs:
            light_db += DETOUR_DB_M * longer_m + (STRAINED_FIBRE_DB if loss else 0.0)
        return Strain(loss, delay_s, light_db, longer_m, jitter_s)

    def write_links(self, put: Iterable[WrittenLink], drop: Iterable[tuple[str, str]]) -> None:
        """Take links that clients configured; `refresh_ports` has them carry traffic."""
        self.written.change(put, drop)

    def refresh_ports(self) -> bool:
        """Follow circuits, written links and nodes up to ports and links; return whether anything changed."""
        written, lit = self.written.now()
        links = {**written, **self._own_links}
        moved = links != self.links
        if moved:
            was, self.links = self.links, links
            self.link_from = {link.source: link for link in links.values()}
            self._forget_faults_of(was.keys() - links.keys())
        ports = {port: self._port_state(port) for port in self.port_rate}
        ups = {
            k: ports.get(link.source, False) and ports.get(link.destination, False) and (not link.written or k in lit)
            for k, link in links.items()
        }
        changed = moved or ports != self.port_up or ups != self.link_up
        self.port_up, self.link_up = ports, ups
        return changed

    def _forget_faults_of(self, links: Iterable[str]) -> None:
        for gone in links:
            self.floods.pop(gone, None)
            self.degraded.pop(gone, None)

    def _port_state(self, port: Port) -> bool:
        if not self.node_up(port[0]):
            return False
        client = self.client_of.get(port)
        if client is None:
            link = self.link_from.get(port)
            return link is None or self.node_up(link.destination[0])  # no light from a dead neighbour
        if not self.node_up(client.rpartition("/")[0]):
            return False
        riding = self.circuits.on_port(client)
        if not riding:
            return True  # lit by the client port it is plugged into
        link = self.link_from.get(port)
        if link is not None and not self.node_up(link.destination[0]):
            return False
        return any(self.circuits.states[c].up for c in riding)

    def delay_s(self, link: Link) -> float:
        """Return the one-way delay of a link now: its circuit's, or its cable's, and what a fault adds."""
        state = self.circuits.states.get(link.circuit) if link.circuit else None
        base = state.latency_s if state is not None and state.up else link.length_m * PROPAGATION_S_PER_M
        fault = self.degraded.get(link.id)
        return base + (fault.delay_s if fault else 0.0)

    def jitter_s(self, link: Link) -> float:
        """Return how much faults make the delay of a link vary; its queues add to that."""
        state = self.circuits.states.get(link.circuit) if link.circuit else None
        fault = self.degraded.get(link.id)
        return hypot(state.jitter_s if state else 0.0, fault.jitter_s if fault else 0.0)

    def loss(self, link: Link) -> float:
        state = self.circuits.states.get(link.circuit) if link.circuit else None
        fault = self.degraded.get(link.id)
        return 1 - (1 - (state.loss if state else 0.0)) * (1 - (fault.loss if fault else 0.0))

    def state_for(self, domain: str) -> dict[str, Any]:
        """Return what one domain controller sees of its own equipment."""
        if domain == self.city.optical.name:
            optical = self.city.optical
            return {
                "ports": {p.id: self.node_up(p.node) for p in optical.client_ports},
                "nodes": {n: self.node_up(n) for n in optical.nodes},
                "links": {},
                "fibres": {f.id: self.fibre_up(f.id) for f in optical.fibres},
                "odu_links": {link.id: self.circuits.odu_up(link.id) for link in optical.odu_links},
                "circuits": {c: self.circuits.told(c).wire() for c in self.circuits.states},
                "alarms": self.spurious.get(domain, {}),
            }
        mine = {n for n, d in self.node_domain.items() if d == domain}
        return {
            "ports": {f"{n}/{p}": up for (n, p), up in self.port_up.items() if n in mine},
            "nodes": {n: self.node_up(n) for n in sorted(mine)},
            "links": {k: up for k, up in self.link_up.items() if self._told(self.links[k], mine)},
            "fibres": {},
            "odu_links": {},
            "circuits": {},
            "alarms": self.spurious.get(domain, {}),
        }

    def _told(self, link: Link, mine: Set[str]) -> bool:
        """Whether a domain with these nodes hears of a link: of one over circuits not before those are known."""
        return link.source[0] in mine and (self.light_known or not link.written)


def _cables(city: City) -> dict[Port, str]:
    by_lock = {p.lock_id: p.id for p in city.optical.client_ports if p.lock_id is not None}
    return {(p.node, p.id): by_lock[p.lock_id] for d in city.ip.values() for p in d.ports if p.lock_id is not None}


def _directions(city: City) -> list[Link]:
    def both(link: IpLink) -> list[Link]:
        return [
            Link(name, source, destination, link.domain, link.rate_bps, link.circuit, link.length_m)
            for name, source, destination in link.directions()
        ]

    inside = [d for domain in city.ip.values() for link in domain.links for d in both(link)]
    return inside + [d for link in city.borders for d in both(link)]

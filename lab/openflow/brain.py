"""What an OpenFlow process knows and decides: one thread, one queue of what happens.

Switches tell it of ports and neighbours, the front of configuration, other domains of what they reach. It acts once it
knows enough: a start that has not heard of everybody leaves the switches as they are.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from pathlib import Path
from typing import Any

from lab.city import load_city
from lab.openflow.compiler import Compiler
from lab.openflow.domain import Domain
from lab.openflow.library import NAME, ofproto
from lab.openflow.lines import Line, serve, subscribe
from lab.openflow.measuring import Measuring
from lab.openflow.names import Names
from lab.openflow.neighbours import Neighbours
from lab.openflow.numbers import Numbers
from lab.openflow.routing import read_advert
from lab.openflow.switch import Switch
from lab.openflow.update import Update

TICK_S = 1.0
PEERS_S, SWITCHES_S = 3.0, 5.0  # how long a start waits for neighbours and switches that do not come
_log = logging.getLogger(__name__)


def socket_of(directory: Path, domain: str) -> Path:
    """Return where a domain's OpenFlow process listens for its front and for operators."""
    return directory / f"openflow-{domain}.sock"


def peers_of(directory: Path, domain: str) -> Path:
    return directory / f"peers-{domain}.sock"


class Brain:
    """The one thread that knows and decides."""

    def __init__(self, city_name: str, domain: str, directory: Path, scale: int) -> None:
        city = load_city(city_name)
        self.names, self.numbers = Names(city), Numbers(directory / f"openflow-{domain}.json")
        self.domain = Domain(city, domain)
        self.compiler = Compiler(self.domain, self.names, self.numbers, scale)
        self.neighbours = Neighbours(self.domain, self.names, self.numbers, self.compiler)
        self.update = Update()
        self.switches: dict[str, Switch] = {}
        self._events: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self._directory, self._started = directory, time.monotonic()
        self._peers: dict[str, bool | None] = {d: None for d in city.ip if d != domain}  # None: not heard of yet
        self._subscribers: list[Line] = []
        self._fronts: list[Line] = []
        self._fabric: Line | None = None
        self._state: dict[str, dict[str, Any]] = {"nodes": {}, "ports": {}, "links": {}}
        self._told: dict[str, Any] = {}
        self._partitions: dict[str, Any] = {}
        self._published: dict[str, Any] = {}
        self._configured = self._acting = self._stale = False
        self._compiled: dict[tuple[str, str, int], int] = {}
        self.measuring = Measuring(self.domain, self.names, self.compiler, scale)

    def start(self) -> None:
        """Listen, connect, and begin to act."""
        name, room = self.domain.name, self._directory
        serve(socket_of(room, name), lambda n, m: self.tell("front", n, m), lambda n: self.tell("front-left", n))
        serve(peers_of(room, name), lambda n, m: self.tell("subscriber", n), lambda n: self.tell("unsubscribed", n))
        for peer in self._peers:
            subscribe(peers_of(room, peer), {}, lambda n, m, p=peer: self.tell("peer", p, m), peer)  # type: ignore[misc]
        hello = {"type": "hello", "role": "domain", "domain": name}
        subscribe(room / "plant.sock", hello, lambda n, m: self.tell("fabric", n, m), "fabric")
        self.measuring.start(lambda *event: self.tell("measured", *event))
        threading.Thread(target=self._run, daemon=True, name="brain").start()

    def tell(self, kind: str, *facts: Any) -> None:
        """Let the brain know that something happened; any thread may."""
        self._events.put((kind, *facts))

    def barrier(self, datapath: Any, xid: int) -> None:
        for switch in list(self.switches.values()):
            if switch.datapath is datapath:
                switch.barrier_passed(xid)

    # ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        tick_at = time.monotonic() + TICK_S
        while True:
            try:
                event = self._events.get(timeout=max(0.0, tick_at - time.monotonic()))
                self._handle(event)
                while not self._events.empty():
                    self._handle(self._events.get_nowait())
            except queue.Empty:
                pass
            except Exception:
                _log.exception("an event could not be handled")
            try:
                if self._stale or not self._acting:
                    self._act()
                if time.monotonic() >= tick_at:
                    tick_at = max(tick_at + TICK_S, time.monotonic() + TICK_S / 2)
                    self._tick()
            except Exception:
                _log.exception("could not act")

    def _handle(self, event: tuple[Any, ...]) -> None:
        getattr(self, f"_on_{event[0].replace('-', '_')}")(*event[1:])

    def _act(self) -> None:
        """Bring everything up to date, once enough is known."""
        if not self._acting:
            waited = time.monotonic() - self._started
            peers = all(v is not None for v in self._peers.values()) or waited > PEERS_S
            switches = self._complete() or waited > SWITCHES_S
            self._acting = self._configured and peers and switches
            if not self._acting:
                return
        self._stale = False
        self.domain.settle()
        self.neighbours.follow()
        self._compiled = self._ports()
        programs = self.compiler.programs(self._compiled, keep=not self._complete())
        self._tell_partitions()
        self.update.to(programs, self.switches.values())
        self.numbers.save()
        self._publish()
        self.measuring.follow()
        self.neighbours.ask(self.switches)

    def _tick(self) -> None:
        if not self._acting:
            return
        self.update.tidy(self.switches.values())
        self.neighbours.ask(self.switches)
        for switch in list(self.switches.values()):
            switch.ask_counters()
        samples = self.measuring.samples()
        self._fronts = [f for f in self._fronts if f.send({"type": "samples", "at": time.time(), **samples})]
        self.measuring.probe(self.switches)

    def _complete(self) -> bool:
        return all(n in self.switches and self.switches[n].known for n in self.domain.nodes)

    def _ports(self) -> dict[tuple[str, str, int], int]:
        found = {}
        for switch in self.switches.values():
            for interface, (number, _) in switch.ports.items():
                place = self.names.place(interface)
                if place is not None:
                    found[place.node, place.port, place.vlan] = number
        return found

    def _tell_partitions(self) -> None:
        """Have the ports' queues cut as the partitions say, before anything is sent into them."""
        wanted = {self.names.interface(*p): {str(n): r for n, r in v.items()} for p, v in self._rates().items()}
        told = wanted == self._partitions or self._fabric is None
        if not told and self._fabric is not None and self._fabric.send({"type": "partitions", "ports": wanted}):
            self._partitions = wanted

    def _rates(self) -> dict[tuple[str, str], dict[int, float]]:
        return self.domain.partition_rates()

    # ── front and operators ─────────────────────────────────────────────────────────────────────────────────────

    def _on_front(self, line: Line, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "hello" and message.get("role") == "domain":
            self._fronts.append(line)
            line.send({"type": "state", "full": True, **self._full_state()})
        elif kind == "config":
            self.domain.configure(message.get("put") or {}, message.get("drop") or (), bool(message.get("replace")))
            self._configured = self._stale = True
        elif kind == "accesses":
            line.send({"ok": True, "accesses": self.measuring.accesses()})
        elif kind == "status":
            rules = {n: len(s.holds.rules) for n, s in self.switches.items()}
            idle = self._acting and not self._stale and self._events.empty()
            line.send({"ok": True, "idle": idle, "complete": self._complete(), "rules": rules, "library": NAME})

    def _on_front_left(self, line: Line) -> None:
        self._fronts = [f for f in self._fronts if f is not line]

    def _full_state(self) -> dict[str, Any]:
        """What the front tells of nodes, ports and links: dark where the plant or a switch says so."""
        places = {name: name.partition("/") for name in self._state["ports"]}
        ports = {
            name: up and self.domain.place_up(places[name][0], places[name][2], 0)
            for name, up in self._state["ports"].items()
        }
        known = self.domain.links
        links = {n: up and (n not in known or self.domain.link_up(known[n])) for n, up in self._state["links"].items()}
        return {"nodes": dict(self._state["nodes"]), "ports": ports, "links": links}

    def _tell_state(self) -> None:
        state = self._full_state()
        if state != self._told:
            self._told = state
            self._fronts = [f for f in self._fronts if f.send({"type": "state", "full": True, **state})]

    def _on_fabric(self, line: Line, message: dict[str, Any]) -> None:
        if line is not self._fabric:
            self._fabric, self._partitions = line, {}
            self._stale = self._stale or self._acting
        if message.get("type") == "state":
            for kind in self._state:
                self._state[kind].update(message.get(kind) or {})
            self._tell_state()

    # ── other domains ───────────────────────────────────────────────────────────────────────────────────────────

    def _on_subscriber(self, line: Line) -> None:
        self._subscribers.append(line)
        line.send(self._published or {"ready": False})

    def _on_unsubscribed(self, line: Line) -> None:
        self._subscribers = [s for s in self._subscribers if s is not line]

    def _publish(self) -> None:
        adverts = [[place, advert.wire()] for place, advert in sorted(self.domain.adverts().items())]
        news = {"ready": True, "adverts": adverts, "responders": self.measuring.responders()}
        if news != self._published:
            self._published = news
            self._subscribers = [s for s in self._subscribers if s.send(news)]

    def _on_peer(self, peer: str, message: dict[str, Any]) -> None:
        if not message.get("ready"):
            if self._peers[peer] is None:
                self._peers[peer] = False
            return  # it starts again: what it said before holds until it speaks
        self._peers[peer] = True
        self.measuring.hear_responders(peer, message["responders"])
        mine = {tuple(place): doc for place, doc in message["adverts"] if place[0] in self.domain.nodes}
        now = {place: read_advert(self._far(place), doc) for place, doc in mine.items()}
        ours = {p for p in self.domain.heard if self._peer_at(p) == peer}
        if any(self.domain.heard.get(p) != a for p, a in now.items()) or ours - now.keys():
            for place in ours - now.keys():
                del self.domain.heard[place]
            self.domain.heard.update(now)
            self._stale = True

    def _far(self, place: tuple[str, str, int]) -> tuple[str, str, int]:
        return (*self.domain.link_from[place[0], place[1]].destination, place[2])

    def _peer_at(self, place: tuple[str, str, int]) -> str:
        far = self.domain.link_from[place[0], place[1]].destination[0]
        return next(d.name for d in self.domain.city.ip.values() if any(n.id == far for n in d.nodes))

    # ── switches ────────────────────────────────────────────────────────────────────────────────────────────────

    def _node_of(self, datapath: Any) -> str | None:
        number = datapath.id
        node = self.names.nodes[number - 1] if number and number <= len(self.names.nodes) else None
        return node if node in self.domain.nodes else None

    def _switch(self, datapath: Any) -> Switch | None:
        node = self._node_of(datapath)
        switch = self.switches.get(node) if node is not None else None
        return switch if switch is not None and switch.datapath is datapath else None

    def _on_switch(self, datapath: Any, there: bool) -> None:
        node = self._node_of(datapath)
        if node is None:
            return
        if there:
            self.switches[node] = Switch(node, datapath)
            self.switches[node].read()
        elif self._switch(datapath) is not None:
            del self.switches[node]

    def _on_ports(self, datapath: Any, ports: list[Any]) -> None:
        for port in ports:
            self._on_port(datapath, port, False)

    def _on_port(self, datapath: Any, port: Any, gone: bool) -> None:
        switch = self._switch(datapath)
        interface = port.name.decode() if isinstance(port.name, bytes) else port.name
        place = self.names.place(interface)
        if switch is None or place is None:
            return
        alive = not port.config & ofproto.OFPPC_PORT_DOWN and not port.state & ofproto.OFPPS_LINK_DOWN
        key, before = (place.node, place.port, place.vlan), switch.ports.get(interface)
        if gone:
            switch.ports.pop(interface, None)
            alive = True  # nothing hangs on it: it is as lit as before anything did
        else:
            switch.ports[interface] = (port.port_no, alive)
        if before != switch.ports.get(interface):
            self._stale = True
        if (key in self.domain.down) is alive:
            (self.domain.down.discard if alive else self.domain.down.add)(key)
            if self._acting:
                self._fork()
            self._tell_state()

    def _fork(self) -> None:
        """Take dark links out of the groups before anything else is thought about."""
        for node, program in self.compiler.fork_programs(self._compiled).items():
            if node in self.switches:
                self.switches[node].fork(program.groups)

    def _on_meters(self, datapath: Any, meters: list[Any]) -> None:
        if (switch := self._switch(datapath)) is not None:
            switch.found_meters(meters)

    def _on_groups(self, datapath: Any, groups: list[Any]) -> None:
        if (switch := self._switch(datapath)) is not None:
            switch.found_groups(groups)

    def _on_rules(self, datapath: Any, rules: list[Any], last: bool) -> None:
        if (switch := self._switch(datapath)) is not None:
            switch.found_rules(rules, last)
            self._stale = self._stale or last

    def _on_counters(self, datapath: Any, counters: list[Any]) -> None:
        if (switch := self._switch(datapath)) is not None:
            self.measuring.counters(switch, counters)

    def _on_packet(self, datapath: Any, message: Any, at_ns: int) -> None:
        if (switch := self._switch(datapath)) is None:
            return
        if self.measuring.arrived(switch, message.data, at_ns):
            return
        if self.neighbours.hear(switch, message.match["in_port"], message.data):
            self._stale = True

    def _on_measured(self, number: int, at_ns: int) -> None:
        self.measuring.returned(number, at_ns)

"""The plant as one thing: takes configuration, faults and offered traffic; gives state, samples and traces.

A change marks what it can reach; the next tick walks only the flows of those VPNs again and rebuilds the arrays.
While nothing changes a tick is one numpy pass and the writing of the samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import hypot
from typing import Any
from zlib import crc32

import numpy as np

from lab.city import City
from lab.plant.cable import Link
from lab.plant.circuits import read_circuit
from lab.plant.flows import Flow, flows_of, host_of
from lab.plant.forwarding import Forwarding
from lab.plant.lines import lines
from lab.plant.physical import Physical, PlantError
from lab.plant.queues import Model
from lab.plant.transponders import LightSamples
from lab.plant.units import Access, parse_address, read_written_link
from lab.plant.walk import SHARED, Packet, live_path, walk

PLANE_TURNS = (
    10  # a plane's accesses are measured every ten seconds, slices and VIPs every second (RFC 9375 defaults 60)
)
LINK = "link/"  # units that are links which clients wrote
FLOWS_A_SLICE = 200  # walks before the event loop gets its turn


class World:
    """Everything physical of a city and the configuration that runs on it."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.physical = Physical(city)
        self.forwarding = Forwarding(self.physical)
        self.offers: dict[str, float] = {}
        self.clocks: dict[str, float] = {}  # domain → seconds that its clock is ahead
        self.lying: set[str] = set()  # domains that tell what was, as if it were now
        self._units: dict[str, set[str]] = {}
        self._flows: dict[str, list[Flow]] = {}
        self._stale: set[str] = set()
        self._model: Model | None = None
        self._order: list[Flow] = []
        # domain, kind, name, flows, expected, turn (the tick of PLANE_TURNS at which it is told; -1: at each)
        self._groups: list[tuple[str, str, str, list[int], int, int]] = []
        self._told: set[str] = set()  # accesses told at least once
        self._tick = 0
        self._tunnels: list[tuple[str, str, float]] = []
        self._random = np.random.default_rng(1)
        self._light = LightSamples(self.physical.circuits, self._random)
        self._ports = self.physical.port_up  # as routing knows them
        self._written: dict[str, tuple[Link, bool]] = {}  # as routing knows them: whether up

    # ── in ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def configure(self, domain: str, put: Mapping[str, Any], drop: list[str], replace: bool) -> bool:
        """Take a domain's running configuration, all of it or what changed; return whether equipment heeds it."""
        known = self._units.setdefault(domain, set())
        gone = set(drop) | ((known - put.keys()) if replace else set())
        known.update(put)
        known.difference_update(gone)
        self._model = None
        if domain == self.city.optical.name:
            circuits = {
                c.id: c
                for u, doc in put.items()
                if u.startswith("circuit/")
                for c in [read_circuit({"id": u[8:], **doc})]
            }
            dropped = {u.removeprefix("circuit/") for u in gone}
            self.physical.light_known = True
            self.physical.circuits.change(circuits, dropped)
            self._stale |= {c.split("/")[0] for c in (*circuits, *dropped)}
            self._follow_equipment()
            return True
        self._stale |= self.forwarding.change(domain, put, gone)
        links = [read_written_link(domain, doc) for u, doc in put.items() if u.startswith(LINK)]
        no_longer = [(domain, u.removeprefix(LINK)) for u in gone if u.startswith(LINK)]
        self.physical.write_links(links, no_longer)
        if links or no_longer:
            self._follow_equipment()
        return bool(links or no_longer)

    def operate(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operator's command; raises PlantError."""
        kind = command.get("type")
        if kind in ("clock", "lie"):
            return self._mislead(command)
        if kind in ("cut", "degrade", "detour", "down", "fail", "flood", "stick", "alarm", "restore"):
            what = str(command.get("what", "all"))
            honest = self._honest_again(what) if kind == "restore" else ()
            if honest and what != "all":
                return {"ok": True, "message": f"{what} tells the truth again"}
            sentence = self._apply(command)
            self._follow_equipment()
            self._stale |= self.forwarding.by_vpn.keys()  # any path may run over it
            self._model = None
            also = f"; {', '.join(honest)} {'tells' if len(honest) == 1 else 'tell'} the truth again" if honest else ""
            return {"ok": True, "message": sentence + also}
        if kind == "offer":
            return self._offer(command)
        if kind == "trace":
            return self.trace(command)
        if kind == "status":
            return {
                "ok": True,
                "city": self.city.name,
                "units": {d: len(u) for d, u in self._units.items()},
                "lit": self._lit_links(),
                "lying": sorted(self.lying),
                "clocks": dict(sorted(self.clocks.items())),
                **self.physical.faults(),
            }
        raise PlantError(
            f"unknown command {kind!r}; there are cut, degrade, detour, down, fail, flood, stick, alarm, clock, "
            "lie, restore, trace, offer, status"
        )

    def _lit_links(self) -> list[dict[str, Any]]:
        """Return the IP links that clients had lit, each in one of its directions."""
        lit = sorted(
            (k for k in self.physical.links.values() if k.written and k.source < k.destination), key=lambda k: k.id
        )
        ups = self.physical.link_up
        return [{"link": k.id, "rate_bps": k.rate_bps, "circuit": k.circuit, "up": ups[k.id]} for k in lit]

    def _apply(self, command: Mapping[str, Any]) -> str:
        if command["type"] == "stick":
            return self._stick(command)
        if command["type"] == "alarm":
            name, kind = str(command.get("name", "")), str(command.get("kind") or "FAN").upper()
            return self.physical.complain(name, kind, str(command.get("severity") or "MINOR").upper())
        return self.physical.apply(command)

    def _stick(self, command: Mapping[str, Any]) -> str:
        names = [*self.physical.circuits.specs, *(name for _, name in self.forwarding.tunnels)]
        return self.physical.stick(str(command.get("name", "")), names, bool(command.get("unnoticed")))

    def _mislead(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Set a domain's clock wrong, or have it tell for ever what it told last."""
        domain = str(command.get("domain", ""))
        if domain not in (*self.city.ip, self.city.optical.name):
            raise PlantError(f"no domain {domain!r}; there are {', '.join((*self.city.ip, self.city.optical.name))}")
        if command["type"] == "clock":
            self.clocks[domain] = float(command["step_s"])
            return {"ok": True, "message": f"the clock of {domain} is {self.clocks[domain]:+g} s wrong"}
        self.lying.add(domain)
        return {"ok": True, "message": f"{domain} goes on telling what it told last"}

    def _honest_again(self, what: str) -> tuple[str, ...]:
        """End what domains tell wrongly, one of them or all; return which."""
        misled = tuple(sorted({d for d in (*self.clocks, *self.lying) if what in ("all", d)}))
        for domain in misled:
            self.clocks.pop(domain, None)
            self.lying.discard(domain)
        return misled

    def _follow_equipment(self) -> None:
        """Let routing hear of ports that went up or down, and of written links that are others than it knows."""
        physical = self.physical
        physical.refresh_ports()
        changed = [p for p, up in physical.port_up.items() if self._ports.get(p) is not up]
        self._ports = physical.port_up
        if changed:
            self._stale |= self.forwarding.ports_changed(changed)
        written = {k: (link, physical.link_up[k]) for k, link in physical.links.items() if link.written}
        if written != self._written:
            self._written = written
            self.forwarding.links_changed()
            self._stale |= self.forwarding.by_vpn.keys()

    def age(self, elapsed_s: float) -> bool:
        """Let what wears out wear on; return whether domains see another state of their equipment."""
        if not self.physical.age(elapsed_s):
            return False
        self._follow_equipment()
        self._stale |= self.forwarding.by_vpn.keys()
        self._model = None
        return True

    def _offer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        access = self._access(command)
        self.offers[access.key] = float(command["rate_bps"])
        self._model = None
        return {"ok": True, "message": f"{access.key} offers {float(command['rate_bps']) / 1e6:g} Mbit/s"}

    # ── out ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def trace(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Send one packet and say where it goes; raises PlantError."""
        self.forwarding.settle()
        access = self._access(command)
        destination = parse_address(str(command.get("dst", "")))
        source = parse_address(str(command["src"])) if command.get("src") else host_of(access)
        if destination is None or source is None:
            raise PlantError(f"{command.get('dst')!r} is not an IP address")
        protocol = {"tcp": 6, "udp": 17, "icmp": 1}.get(str(command.get("proto", "udp")).lower())
        if protocol is None:
            raise PlantError(f"proto {command.get('proto')!r} is not tcp, udp or icmp")
        ports = int(command.get("sport") or 9), int(command.get("port") or 9)
        way = walk(self.forwarding, access, Packet(source, destination, protocol, *ports))
        flow = Flow(access, "", 1, way.delivered is not None, way)
        measured = Model(self.physical, self._partition_rates(), [flow], {}).measure(self._random)
        return {
            "ok": True,
            "delivered": way.delivered.key if way.delivered else None,
            "reason": way.reason,
            "hops": way.text,
            "links": [link.id for link, _, _ in way.links],
            "circuits": way.circuits,
            "tunnels": [name for _, name in way.tunnels],
            "delay_s": float(measured.delay_s[0]) if way.delivered else None,
        }

    def _access(self, command: Mapping[str, Any]) -> Access:
        vpn, name, domain = str(command.get("vpn", "")), str(command.get("access", "")), command.get("domain")
        members = self.forwarding.by_vpn.get(vpn)
        if not members:
            there = sorted(v for v, m in self.forwarding.by_vpn.items() if m)
            raise PlantError(f"no VPN {vpn!r}; there are {', '.join(there[:8]) or 'none'}")
        found = [a for (d, i), a in members.items() if i in (name, f"{vpn}.{name}") and domain in (None, "", d)]
        if not found:
            raise PlantError(
                f"no access {name!r} in VPN {vpn}; there are {', '.join(sorted(i for _, i in members)[:8])}"
            )
        return found[0]

    def refresh(self) -> Iterator[None]:
        """Bring flows and arrays up to date, a slice at a time; the caller may do something else in between."""
        if self._model is not None and not self._stale:
            return
        self.forwarding.settle()
        stale, self._stale = self._stale, set()
        walked = 0
        for vpn in sorted(stale):
            flows = flows_of(self.forwarding, vpn)
            if flows:
                self._flows[vpn] = flows
            else:
                self._flows.pop(vpn, None)
            walked += len(flows)
            if walked >= FLOWS_A_SLICE:
                walked = 0
                yield
        self._compile()

    def _compile(self) -> None:
        self._order = [flow for vpn in sorted(self._flows) for flow in self._flows[vpn]]
        groups: dict[tuple[str, str, str], list[int]] = {}
        for n, flow in enumerate(self._order):
            if flow.host:
                kind, name = "hosts", f"{flow.source.vpn}/{flow.host}"
            elif flow.target:
                kind, name = "flows", f"{flow.target}@{flow.source.key}"
            else:
                kind, name = "accesses", flow.source.key
            groups.setdefault((flow.source.domain, kind, name), []).append(n)
        exclusive = self._exclusive()
        self._groups = [
            (
                d,
                k,
                n,
                m,
                self._order[m[0]].peers,
                _turn(n) if k == "accesses" and n.split("/")[0] not in exclusive else -1,
            )
            for (d, k, n), m in groups.items()
        ]
        self._told &= {n for _, k, n in groups if k == "accesses"}
        carried: dict[tuple[str, str], float] = {}
        paths = []
        self._tunnels = []
        rates = self._partition_rates()
        for (domain, name), tunnel in self.forwarding.tunnels.items():
            path = live_path(self.forwarding, tunnel)
            if path is None:
                self._tunnels.append((domain, name, -1.0))
                continue
            links = [self.physical.link_from[h] for h in path.hops if h in self.physical.link_from]
            partition = SHARED if tunnel.nrp is None else tunnel.nrp
            paths.append([(link, partition if partition in rates.get(link.id, {}) else SHARED, 0) for link in links])
            self._tunnels.append((domain, name, 0.0))
        self._model = Model(self.physical, rates, self._order, self.offers, paths)
        for n, flow in enumerate(self._order):
            for tunnel_key in flow.way.tunnels:
                carried[tunnel_key] = carried.get(tunnel_key, 0.0) + float(self._model.offered[n])
        self._tunnels = [(d, n, up if up < 0 else carried.get((d, n), 0.0)) for d, n, up in self._tunnels]

    def _exclusive(self) -> set[str]:
        """Return the VPNs with a circuit or tunnel of their own: measured every second, planes less often."""
        own = {name.partition("/")[0] for name in self.physical.circuits.states}
        return own | {name.split("/")[1] for _, name in self.forwarding.tunnels if name.startswith("slice/")}

    def _partition_rates(self) -> dict[str, dict[int, int]]:
        rates: dict[str, dict[int, int]] = {}
        for partition in self.forwarding.partitions.values():
            for link, rate in partition.rates_bps.items():
                rates.setdefault(link, {})[partition.nrp] = rate
        return rates

    def samples(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return this second's samples: domain → kind → name → values.

        An access of a plane is told at once, then every PLANE_TURNS seconds, each at its own tick.
        """
        out: dict[str, dict[str, dict[str, Any]]] = {}
        for domain in (*self.city.ip, self.city.optical.name):
            out[domain] = {
                kind: {} for kind in ("links", "tunnels", "accesses", "flows", "hosts", "circuits", "fibres")
            }
        model = self._model
        if model is None:
            return out
        measured = model.measure(self._random)
        ok = model.ok.tolist()
        columns = (
            measured.delay_s.tolist(),
            measured.jitter_s.tolist(),
            measured.loss.tolist(),
            measured.throughput_bps.tolist(),
        )
        self._tick = (self._tick + 1) % PLANE_TURNS
        for domain, kind, name, members, expected, turn in self._groups:
            if turn in (-1, self._tick) or name not in self._told:
                out[domain][kind][name] = _worst(members, expected, ok, columns)
                if turn >= 0:
                    self._told.add(name)
        self._sample_tunnels(out, columns)
        self._sample_links(out, model)
        optical = out[self.city.optical.name]
        optical["fibres"], optical["circuits"] = lines(self.physical, self._random), self._light.circuits()
        return out

    def _sample_tunnels(self, out: dict[str, Any], columns: tuple[list[float], ...]) -> None:
        n = len(self._order)
        for domain, name, throughput in self._tunnels:
            if throughput < 0:
                out[domain]["tunnels"][name] = {"up": 0}
                continue
            delay, jitter, loss = (c[n] for c in columns[:3])
            values = {"delay_s": delay, "jitter_s": jitter, "loss_ratio": loss, "throughput_bps": throughput, "up": 1}
            out[domain]["tunnels"][name] = values
            n += 1

    def _sample_links(self, out: dict[str, Any], model: Model) -> None:
        physical, loads, waits = self.physical, model.link_load(), model.link_wait()
        noise = self._random.uniform(0.9, 1.1, len(physical.links)).tolist()
        for link, factor in zip(physical.links.values(), noise, strict=True):
            if not physical.link_up[link.id]:
                continue  # a dead link measures nothing
            wait, queue_loss = waits.get(link.id, (0.0, 0.0))
            loss = 1 - (1 - physical.loss(link)) * (1 - queue_loss)
            out[physical.node_domain[link.source[0]]]["links"][link.id] = {
                "delay_s": physical.delay_s(link) + wait * factor,
                "least_delay_s": physical.delay_s(link),
                "jitter_s": hypot(wait * factor, physical.jitter_s(link)),
                "loss_ratio": loss,
                "throughput_bps": loads.get(link.id, 0.0),
            }


def _turn(name: str) -> int:
    return crc32(name.encode()) % PLANE_TURNS


def _worst(members: list[int], expected: int, ok: list[bool], columns: tuple[list[float], ...]) -> dict[str, Any]:
    """Fold the flows of one access or class: the worst of what arrives, and how many do."""
    delay, jitter, loss, throughput = columns
    arriving = [n for n in members if ok[n]]
    values: dict[str, Any] = {
        "loss_ratio": max(loss[n] for n in members),
        "throughput_bps": sum(throughput[n] for n in members),
        "reachable": len(arriving),
        "expected": expected,
    }
    if arriving:
        values["delay_s"] = max(delay[n] for n in arriving)
        values["jitter_s"] = max(jitter[n] for n in arriving)
    return values

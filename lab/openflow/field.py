"""The outside plant of the packet city, seen by its optical domain controller, its OpenFlow processes and operators.

It speaks on `plant.sock` what the modelled plant speaks, so that the optical controller and `onecity lab cut` are the
same for both. Circuits, cut fibres and dead nodes become cables that appear, vanish, go down and come up; where the
packets go is none of its business.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.city import City
from lab.openflow.fabric import Fabric
from lab.openflow.faults import Faults
from lab.plant.circuits import Circuit, read_circuit
from lab.plant.lines import lines
from lab.plant.link import LINE_LIMIT
from lab.plant.physical import Physical, PlantError
from lab.plant.transponders import LightSamples

SAMPLE_S = 1.0
WORDS = "cut, degrade, detour, down, fail, stick, alarm, restore, plug, status"
Ends = tuple[tuple[str, str, int], tuple[str, str, int]]
_log = logging.getLogger(__name__)


class Field:
    """Physical state of the city and who listens to it."""

    def __init__(self, city: City, fabric: Fabric) -> None:
        self.city, self.fabric, self.physical = city, fabric, Physical(city)
        self._circuits: set[str] = set()
        self._lit: dict[str, Ends] = {}
        self._listeners: dict[asyncio.StreamWriter, str] = {}
        self._told: dict[asyncio.StreamWriter, dict[str, Any]] = {}
        self.offers: dict[str, float] = {}
        self._faults = Faults(self.physical, fabric)
        self._random = np.random.default_rng(1)
        self._light_samples = LightSamples(self.physical.circuits, self._random)

    async def serve(self, listener: socket.socket) -> asyncio.AbstractServer:
        return await asyncio.start_unix_server(self._connected, sock=listener, limit=LINE_LIMIT)

    async def tick(self) -> None:
        """Tell the optical domain each second what its circuits do, until cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_S)
            self.fabric.buffers.widen()  # a switch process opens sockets when it needs them
            optical = self.city.optical.name
            if self.physical.age(SAMPLE_S):
                self._follow()
            circuits, fibres = self._light_samples.circuits(), lines(self.physical, self._random)
            empty: dict[str, Any] = {"links": {}, "tunnels": {}, "accesses": {}, "flows": {}}
            for writer, domain in list(self._listeners.items()):
                if domain == optical:
                    _send(
                        writer, {"type": "samples", "at": time.time(), **empty, "circuits": circuits, "fibres": fibres}
                    )

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            hello = json.loads(await reader.readline() or b"{}")
            domain = str(hello["domain"]) if hello.get("role") == "domain" else None
            if domain is not None:
                self._listeners[writer] = domain
                self._tell(writer, full=True)
            while line := await reader.readline():
                message = json.loads(line)
                if domain is not None:
                    self._hear(domain, message)
                else:
                    _send(writer, self._operate(message))
                    await writer.drain()
        except asyncio.CancelledError:
            return  # the city ends
        except (OSError, ValueError, KeyError) as error:
            _log.warning("connection lost: %s: %s", type(error).__name__, error)
        finally:
            self._listeners.pop(writer, None)
            self._told.pop(writer, None)
            with contextlib.suppress(OSError):
                writer.close()

    # ── configuration ───────────────────────────────────────────────────────────────────────────────────────────

    def _hear(self, domain: str, message: Mapping[str, Any]) -> None:
        if message.get("type") == "partitions":
            self.fabric.set_partitions(
                {i: {int(n): float(r) for n, r in p.items()} for i, p in message["ports"].items()}
            )
        elif message.get("type") == "config" and domain == self.city.optical.name:
            self._light(message)
            self._follow()

    def _light(self, message: Mapping[str, Any]) -> None:
        put, drop = message.get("put") or {}, set(message.get("drop") or ())
        gone = drop | ((self._circuits - put.keys()) if message.get("replace") else set())
        self._circuits = (self._circuits | put.keys()) - gone
        specs = [read_circuit({"id": u[8:], **doc}) for u, doc in put.items() if u.startswith("circuit/")]
        self.physical.circuits.change({c.id: c for c in specs}, {u.removeprefix("circuit/") for u in gone})

    def _follow(self) -> None:
        """Make cables equal to circuits and faults, and tell everyone what changed."""
        physical = self.physical
        physical.refresh_ports()
        wanted = {
            c: ends
            for c, spec in physical.circuits.specs.items()
            if c not in physical.circuits.infrastructure and (ends := self._ends(spec)) is not None
        }
        for circuit, ends in list(self._lit.items()):
            if wanted.get(circuit) != ends:
                self.fabric.darken(*self._lit.pop(circuit))
        taken = {end for ends in self._lit.values() for end in ends}
        for circuit in sorted(wanted.keys() - self._lit.keys()):
            state, ends = physical.circuits.states[circuit], wanted[circuit]
            if taken.isdisjoint(ends):  # a port that two circuits claim carries the first
                self.fabric.light(*ends, physical.circuits.specs[circuit].rate_bps, state.latency_s)
                self._lit[circuit] = ends
                taken.update(ends)
        self._set_links()
        for writer in list(self._listeners):
            self._tell(writer, full=False)

    def _ends(self, spec: Circuit) -> Ends | None:
        """Return the router ports that a circuit joins, None where it ends elsewhere."""
        a, z = (self.physical.router_of.get(end[0]) for end in (spec.a, spec.z))
        return ((*a, spec.a[1]), (*z, spec.z[1])) if a is not None and z is not None else None

    def _set_links(self) -> None:
        names, physical = self.fabric.names, self.physical
        states = {names.interface(*link.source): physical.link_up[link.id] for link in physical.links.values()}
        for circuit, ends in self._lit.items():
            up = physical.circuits.states[circuit].up and all(physical.node_up(end[0]) for end in ends)
            states |= {names.interface(*end): up for end in ends}
        self.fabric.set_links(states)

    # ── operators ───────────────────────────────────────────────────────────────────────────────────────────────

    def _operate(self, command: Mapping[str, Any]) -> dict[str, Any]:
        kind = command.get("type")
        try:
            sentence = self._faults.apply(command)
            if sentence is not None:
                self._follow()
                return {"ok": True, "message": sentence}
            if kind == "plug":
                self.fabric.plug(command["host"], command["vlan"], command["addresses"], command["gateways"])
                return {"ok": True, "message": f"{command['host']} is in VLAN {command['vlan']}"}
            if kind == "unplug":
                self.fabric.unplug(command["host"])
                return {"ok": True, "message": f"{command['host']} is unplugged"}
            if kind == "hosts":
                sites = {f"{n}/{p}": list(h) for (n, p), h in self.fabric.site_hosts.items()}
                return {"ok": True, "pids": self.fabric.host_pids(), "sites": sites}
            if kind == "status":
                units = {self.city.optical.name: len(self._circuits)}
                return {"ok": True, "city": self.city.name, "units": units, **self._faults.status()}
        except PlantError as error:
            return {"ok": False, "error": str(error)}
        except (KeyError, TypeError, ValueError) as error:
            return {"ok": False, "error": f"bad command: {type(error).__name__}: {error}"}
        return {"ok": False, "error": f"{kind!r} is not for real packets; there are {WORDS}"}

    def _tell(self, writer: asyncio.StreamWriter, full: bool) -> None:
        state, told = self.physical.state_for(self._listeners[writer]), self._told.get(writer, {})
        news = {k: {n: v for n, v in s.items() if full or told.get(k, {}).get(n) != v} for k, s in state.items()}
        self._told[writer] = {k: dict(s) for k, s in state.items()}
        if full or any(news.values()):
            _send(writer, {"type": "state", "full": full, **news})


def _send(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

"""The plant's socket: domains send configuration and hear state and samples, operators send commands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import Mapping
from typing import Any

from lab.plant.link import LINE_LIMIT
from lab.plant.physical import PlantError
from lab.plant.world import World

TICK_S = 1.0
SLOW_READER_BYTES = 64 * 2**20  # a domain that hangs loses samples, never the plant's memory
_KINDS = ("ports", "nodes", "links", "fibres", "odu_links", "circuits", "alarms")
_log = logging.getLogger(__name__)


class _Domain:
    """A connected domain controller and the state that it has heard."""

    def __init__(self, name: str, writer: asyncio.StreamWriter) -> None:
        self.name, self.writer = name, writer
        self.told: dict[str, dict[str, Any]] = {}
        self.measured: Mapping[str, Any] = {}  # the newest samples it was sent

    def tell_state(self, state: Mapping[str, Mapping[str, Any]], full: bool) -> None:
        news = {k: {n: v for n, v in state[k].items() if full or self.told.get(k, {}).get(n) != v} for k in _KINDS}
        self.told = {k: dict(state[k]) for k in _KINDS}
        if full or any(news.values()):
            self.send({"type": "state", "full": full, **news})

    def send(self, message: Mapping[str, Any]) -> None:
        self.writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def behind(self) -> bool:
        return self.writer.transport.get_write_buffer_size() > SLOW_READER_BYTES


class PlantServer:
    def __init__(self, world: World) -> None:
        self.world = world
        self._domains: set[_Domain] = set()

    async def serve(self, listener: socket.socket) -> asyncio.AbstractServer:
        return await asyncio.start_unix_server(self._connected, sock=listener, limit=LINE_LIMIT)

    async def tick(self) -> None:
        """Send samples every second, until cancelled."""
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        while True:
            next_at = max(next_at + TICK_S, loop.time())
            await asyncio.sleep(next_at - loop.time())
            try:
                if self.world.age(TICK_S):
                    self._tell_all()
                await self._sample()
            except Exception:  # a broken unit must not stop the clock of the whole city
                _log.exception("a tick failed")

    async def _sample(self) -> None:
        for _ in self.world.refresh():
            await asyncio.sleep(0)
        if not self._domains:
            return
        at, samples = time.time(), self.world.samples()
        for domain in list(self._domains):
            if domain.name in samples and not domain.behind():
                if domain.name not in self.world.lying or not domain.measured:
                    domain.measured = samples[domain.name]
                measured_at = at + self.world.clocks.get(domain.name, 0.0)
                domain.send({"type": "samples", "at": measured_at, **domain.measured})
                await asyncio.sleep(0)

    def _tell_all(self) -> None:
        for domain in self._domains:
            if domain.name in self.world.lying:
                continue
            domain.tell_state(self.world.physical.state_for(domain.name), full=False)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        domain: _Domain | None = None
        try:
            hello = json.loads(await reader.readline() or b"{}")
            if hello.get("role") == "domain":
                domain = _Domain(str(hello["domain"]), writer)
                self._domains.add(domain)
                domain.tell_state(self.world.physical.state_for(domain.name), full=True)
            while line := await reader.readline():
                if domain is not None:
                    self._configure(domain, json.loads(line))
                else:
                    writer.write(json.dumps(self._operate(line)).encode() + b"\n")
                    await writer.drain()
        except (OSError, ValueError, KeyError) as error:
            _log.warning("connection lost: %s: %s", type(error).__name__, error)
        finally:
            if domain is not None:
                self._domains.discard(domain)
            with contextlib.suppress(OSError):
                writer.close()

    def _configure(self, domain: _Domain, message: Mapping[str, Any]) -> None:
        if message.get("type") != "config":
            return
        put, drop = message.get("put") or {}, list(message.get("drop") or ())
        if self.world.configure(domain.name, put, drop, bool(message.get("replace"))):
            self._tell_all()

    def _operate(self, line: bytes) -> dict[str, Any]:
        try:
            command = json.loads(line)
            answer = self.world.operate(command)
        except PlantError as error:
            return {"ok": False, "error": str(error)}
        except (ValueError, KeyError, TypeError) as error:
            return {"ok": False, "error": f"bad command: {type(error).__name__}: {error}"}
        if command.get("type") in ("cut", "degrade", "detour", "down", "fail", "flood", "stick", "alarm", "restore"):
            self._tell_all()
        return answer

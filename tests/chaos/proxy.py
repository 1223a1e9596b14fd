"""A TCP proxy between the daemon and a domain: it delays, cuts, swallows and hangs. Keys and certificates stay real."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass

_CHUNK = 65536


@dataclass
class Weather:
    """How the connection is now; the campaign changes it from its own thread."""

    delay_s: float = 0.0  # for every chunk, both ways
    refuse: bool = False  # connections end as soon as they begin
    black_hole: bool = False  # nothing gets through, and nothing ends
    mute: bool = False  # requests get through, replies do not


class Proxy:
    """One listening port in front of one domain; runs in the loop of `Proxies`."""

    def __init__(self, name: str, target: int) -> None:
        self.name, self.target, self.port = name, target, 0
        self.weather = Weather()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """End every connection at once, as a reset would."""
        for writer in tuple(self._writers):
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.weather.refuse:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        try:
            await asyncio.gather(
                self._pump(reader, far_writer, replies=False), self._pump(far_reader, writer, replies=True)
            )
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for end in (writer, far_writer):
                self._writers.discard(end)
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool) -> None:
        while chunk := await reader.read(_CHUNK):
            if self.weather.delay_s:
                await asyncio.sleep(self.weather.delay_s)
            while self.weather.black_hole or (replies and self.weather.mute):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            writer.write(chunk)
            await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof() if writer.can_write_eof() else None
        writer.close()


class Proxies:
    """The proxies of a city, in a thread of their own."""

    def __init__(self, targets: dict[str, int]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()
        self._of = {name: Proxy(name, port) for name, port in targets.items()}
        for proxy in self._of.values():
            self._run(proxy.start())

    def __getitem__(self, domain: str) -> Proxy:
        return self._of[domain]

    @property
    def ports(self) -> dict[str, int]:
        return {name: proxy.port for name, proxy in self._of.items()}

    def cut(self, domain: str) -> None:
        self._run(self._of[domain].cut())

    def heal(self) -> None:
        """Fair weather everywhere; what was connected through foul weather begins anew."""
        for proxy in self._of.values():
            foul = proxy.weather != Weather()
            proxy.weather = Weather()
            if foul:
                self._run(proxy.cut())

    def close(self) -> None:
        for proxy in self._of.values():
            self._run(proxy.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)  # type: ignore[arg-type]

"""A small HTTP server for `/metrics`, in the event loop: what it reads belongs to the loop.

It speaks as much HTTP/1.1 as a scraper needs: GET, one answer, close. Requests are bounded in size and time.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST

from controller.errors import ConfigurationError
from controller.northbound.metrics import Metrics
from controller.settings import Listen

log = logging.getLogger(__name__)

REQUEST_MOST_BYTES = 8 * 1024
REQUEST_WITHIN_S = 5.0
ANSWER_WITHIN_S = 10.0


class ScrapeServer:
    """Serves one Metrics on loopback. `port` is known once started."""

    def __init__(self, metrics: Metrics, listen: Listen) -> None:
        self._metrics, self._listen = metrics, listen
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen; raises ConfigurationError where the address cannot be had."""
        try:
            self._server = await asyncio.start_server(
                self._serve, self._listen.host, self._listen.port, limit=REQUEST_MOST_BYTES
            )
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigurationError(
                f"metrics: {self._listen} cannot be had: {reason}; choose another port in onecity.yaml"
            ) from None
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop to listen."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError):
            try:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_WITHIN_S)
                writer.write(await self._answer(head))
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                writer.write(_response("400 Bad Request", b"not an HTTP request\n"))
            await asyncio.wait_for(writer.drain(), ANSWER_WITHIN_S)
        writer.close()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.split(b" ", 1)[0].split(b"?", 1)[0]
        if method != b"GET":
            return _response("405 Method Not Allowed", b"GET only\n")
        if path != b"/metrics":
            return _response("404 Not Found", b"look at /metrics\n")
        try:
            return _response("200 OK", await self._metrics.exposition(), CONTENT_TYPE_LATEST)
        except Exception:
            log.exception("a scrape failed by a defect of ours")
            return _response("500 Internal Server Error", b"the daemon's log holds the details\n")


def _response(status: str, body: bytes, content_type: str = "text/plain; charset=utf-8") -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close")
    return "\r\n".join((*lines, "", "")).encode() + body

"""An ncclient SSH session that wakes when there is something to do, instead of ten times a second.

ncclient's loop sleeps in `select` for `TICK` (100 ms) before it looks at its send queue, so every request waits
half a tick on average and a configuration change of five requests costs half a second. Here the same loop also
watches one end of a socket pair; `send` and `close` write a byte to the other end. No timer is left: the loop
sleeps until the peer or we have something to say, and an idle session costs nothing.

Beyond that it differs from its parent in five ways, each of which cured a hang or a risk:
- only the known_hosts file given counts; the parent quietly adds the one in the user's home;
- when the loop ends for whatever reason, every request still waiting is told so;
- replies are deframed in linear time (framing.py) and read 64 kB at a time;
- a reply that nobody waits for (sent twice, or too late) is passed over; the parent ends the session over it;
- notifications go to a callback, not into a queue that nobody may be draining.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
from collections.abc import Callable
from queue import Empty
from typing import Any

from lxml import etree
from ncclient.devices.default import DefaultDeviceHandler
from ncclient.operations.errors import OperationError
from ncclient.transport.errors import SessionCloseError
from ncclient.transport.notify import Notification
from ncclient.transport.session import NetconfBase
from ncclient.transport.ssh import SSHSession

from controller.southbound.netconf.framing import Deframer, frame

log = logging.getLogger(__name__)

READ_BYTES = 64 * 1024
HEAD_CHARACTERS = 512  # in which a reply's first tag ends

NotificationSink = Callable[[str], None]  # called on the session's thread with the notification's XML


def root_of(raw: str) -> tuple[str, dict[str, str]]:
    """Return the qualified name and the attributes of a document's first element, whatever follows it.

    Raises XMLSyntaxError or ValueError where no element begins before the text breaks off or is no XML.
    """
    parser: Any = etree.XMLPullParser(events=("start",), resolve_entities=False, no_network=True)
    for begin in range(0, len(raw), HEAD_CHARACTERS):
        parser.feed(raw[begin : begin + HEAD_CHARACTERS].encode())
        for _, element in parser.read_events():
            return str(element.tag), {str(name): str(value) for name, value in element.attrib.items()}
    parser.close()
    raise ValueError("no element begins in it")


class _Parser:
    """What ncclient calls a parser: takes bytes, hands whole messages to the session."""

    def __init__(self, session: WakingSession) -> None:
        self._session = session
        self._deframer = Deframer()

    def parse(self, data: bytes) -> None:
        for message in self._deframer.feed(data, chunked=self._session.chunked):
            self._session._dispatch_message(message.decode("utf-8"))


class _Handler(DefaultDeviceHandler):  # type: ignore[misc]
    """ncclient's plain device, with the session's own parser kept after the hello."""

    def get_xml_parser(self, session: WakingSession) -> _Parser:
        return session.parser


class _Sink:
    """Stands where ncclient puts its unbounded notification queue."""

    def __init__(self, sink: NotificationSink | None) -> None:
        self._sink = sink

    def put(self, notification: Notification) -> None:
        if self._sink is not None:
            self._sink(notification.notification_xml)


class WakingSession(SSHSession):  # type: ignore[misc]
    """NETCONF over SSH on a thread of its own; `connect` blocks, `send` never does."""

    def __init__(self, sink: NotificationSink | None = None) -> None:
        super().__init__(_Handler({"name": "default"}))
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._notification_q = _Sink(sink)
        self.parser = _Parser(self)

    @property
    def device_handler(self) -> Any:
        return self._device_handler

    @property
    def chunked(self) -> bool:
        return bool(self._base == NetconfBase.BASE_11)

    def load_known_hosts(self, filename: str | None = None) -> None:
        """Load the file given; unlike the parent, never the one in the user's home."""
        if filename is not None:
            self._host_keys.load(filename)

    def send(self, message: str) -> None:
        super().send(message)
        self._wake()

    def close(self) -> None:
        """End the session; waits for its thread unless called on it."""
        self._closing.set()
        self._wake()
        if self._transport is not None:
            super().close()
        self._connected = False
        if not self.is_alive():  # it never started, or it ended: nobody uses the pair any more
            self._release_pair()

    def _dispatch_message(self, raw: str) -> None:
        """Hand a message to whoever listens; the parent parses the first 32 kB of it to see its first tag."""
        try:
            root = root_of(raw)
        except (etree.XMLSyntaxError, ValueError) as error:
            log.warning("a message that is no XML is passed over: %s", error)
            return
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener.callback(root, raw)
            except OperationError as error:
                log.debug("a reply that nobody waits for: %s", error)

    def run(self) -> None:
        error: Exception = SessionCloseError(b"")
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_read, selectors.EVENT_READ)
                self._transport_register(selector, selectors.EVENT_READ)
                self._serve(selector)
        except Exception as caught:  # whatever it was, the session is over and the waiting must learn it
            error = caught
        self._connected = False
        self._dispatch_error(error)
        with contextlib.suppress(Exception):
            self.close()
        self._release_pair()

    def _serve(self, selector: selectors.BaseSelector) -> None:
        channel = self._channel
        while not self._closing.is_set():
            self._write_queued()
            for key, _ in selector.select():
                if key.fileobj is self._wake_read:
                    self._drain_wakes()
                    continue
                data = channel.recv(READ_BYTES)
                if not data:
                    raise SessionCloseError(b"")
                self.parser.parse(data)

    def _write_queued(self) -> None:
        """Send everything queued. Blocks while the peer's window is full; closing the transport ends that."""
        while True:
            try:
                message = self._q.get_nowait()
            except Empty:
                return
            self._channel.sendall(frame(message.encode("utf-8"), chunked=self.chunked))

    def _wake(self) -> None:
        # A full socket pair already holds a wake-up, a closed one has nobody left to wake.
        with contextlib.suppress(OSError):
            self._wake_write.send(b"\0")

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass

    def _release_pair(self) -> None:
        self._wake_read.close()
        self._wake_write.close()

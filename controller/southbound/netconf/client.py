"""One NETCONF session as the event loop sees it: send, await, give up after a deadline.

Requests go out in the order of `send` and are answered in that order by every server (RFC 6241 §4.5), so several
can be under way at once. What blocks (connecting, parsing long replies) runs on the domain's own threads; a server
that hangs holds up nobody else. After a missed deadline nothing is known of the session any more: it is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from lxml import etree
from ncclient import NCClientError
from ncclient.operations.rpc import RPC
from ncclient.transport.errors import AuthenticationError, SSHUnknownHostError
from ncclient.transport.session import SessionListener
from paramiko import SSHException

from controller.errors import ConfigurationError, DomainError, DomainUnreachableError
from controller.southbound.driver import DomainSettings
from controller.southbound.endpoint import read_password, split_address
from controller.southbound.netconf import operations as op
from controller.southbound.netconf.replies import NC, Reply, parse_reply
from controller.southbound.netconf.session import NotificationSink, WakingSession

LONG_REPLY_CHARACTERS = 20_000  # parsed and turned into trees on a thread above this, about 1 ms
KEEPALIVE_S = 15
FIRST_ANSWER_S = 1.0  # after this long without any answer, a fresh session is asked once more
DEAD_PEER_S = 20.0  # unacknowledged data for this long ends the TCP connection
_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


class _Request(RPC):  # type: ignore[misc]
    """One request under way; answers into a future of the loop instead of a threading event."""

    def __init__(self, session: WakingSession, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(session, session.device_handler, async_mode=True)
        self._loop = loop
        self.answer: asyncio.Future[str] = loop.create_future()

    def deliver_reply(self, raw: str) -> None:
        self._resolve(lambda: self.answer.set_result(raw))

    def deliver_error(self, err: Exception) -> None:
        self._resolve(lambda: self.answer.set_exception(err))

    def _resolve(self, resolve: Callable[[], None]) -> None:
        def settle() -> None:
            if not self.answer.done():
                resolve()
                if self.answer.exception() is not None:
                    pass  # marks it as seen: a request that nobody awaits any more is no defect

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is waiting
            self._loop.call_soon_threadsafe(settle)


class _EndListener(SessionListener):  # type: ignore[misc]
    """Tells the loop that the session is over."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended

    def callback(self, root: object, raw: str) -> None:
        """Messages are the requests' business."""

    def errback(self, ex: Exception) -> None:
        self._ended()


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that went out; `what` names it to people ("edit-config")."""

    what: str
    answer: Awaitable[str]


class NetconfClient:
    """One session. Not reused: after `alive` turns false, make another."""

    def __init__(self, settings: DomainSettings, executor: Executor) -> None:
        self.domain = settings.name
        self._settings, self._executor = settings, executor
        self._session: WakingSession | None = None
        self._socket: socket.socket | None = None
        self.capabilities: frozenset[str] = frozenset()
        self.session_id = ""
        self.heard_at = 0.0  # the loop's clock
        self._was_answered = False
        self.ended = asyncio.Event()
        self._is_cut = False

    @property
    def alive(self) -> bool:
        return self._session is not None and self._session.connected and not self._is_cut

    async def connect(self, sink: NotificationSink | None = None) -> None:
        """Open TCP, SSH and the NETCONF session within the connect deadline."""
        loop, deadline_s = asyncio.get_running_loop(), self._settings.timers.connect_s
        attempt = loop.run_in_executor(self._executor, self._connect, sink)
        # Whoever waits may give up, by deadline or because the daemon stops: how it ended is then nobody's business.
        attempt.add_done_callback(lambda future: future.cancelled() or future.exception())
        try:
            done, _ = await asyncio.wait({attempt}, timeout=deadline_s)
        except asyncio.CancelledError:
            self.cut()
            raise
        if not done:
            self.cut()  # makes the thread's blocking call fail
            problem = f"no NETCONF session at {self._settings.address} within {deadline_s:g} s"
            raise self._unreachable(problem)
        attempt.result()
        assert self._session is not None
        self.heard_at = loop.time()
        self._session.add_listener(_EndListener(lambda: self._tell_end(loop)))
        if not self._session.connected:  # it ended before the listener was there
            self.ended.set()

    def _tell_end(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self.ended.set)

    def _connect(self, sink: NotificationSink | None) -> None:
        settings = self._settings
        if not settings.known_hosts:
            raise ConfigurationError(f"domain {settings.name}: knownHosts: name the file with the server's host key")
        host, port = split_address(settings, settings.address)
        password = None if settings.key_file else read_password(settings)
        session = WakingSession(sink)
        try:
            session.load_known_hosts(settings.known_hosts)
            self._socket = _open_socket(host, port, settings.timers.connect_s)
            session.connect(
                host=host, port=port, sock=self._socket, timeout=settings.timers.connect_s, username=settings.username,
                password=password, key_filename=settings.key_file or None, allow_agent=False, look_for_keys=False,
                keepalive=KEEPALIVE_S,
            )  # fmt: skip
        except Exception as error:
            self.cut()
            session.close()
            raise self._explained(error) from None  # the cause may carry what was sent
        self.capabilities = frozenset(session.server_capabilities)
        self.session_id = str(session.id or "")
        self._session = session

    def _explained(self, error: Exception) -> Exception:
        settings = self._settings
        if isinstance(error, (DomainError, ConfigurationError)):
            return error
        if isinstance(error, SSHUnknownHostError):
            problem = (
                f"its host key {error.fingerprint} is not the one in {settings.known_hosts}; "
                "find out why, and correct that file only if the server's key was changed on purpose"
            )
            return DomainError(self.domain, problem, tag="host-key")
        if isinstance(error, AuthenticationError):
            problem = f"it does not accept the credentials of {settings.username}"
            return DomainError(self.domain, problem, tag="access-denied")
        if isinstance(error, FileNotFoundError):
            return ConfigurationError(f"domain {self.domain}: {error.filename}: no such file")
        if isinstance(error, (OSError, NCClientError, SSHException, EOFError)):
            reason = getattr(error, "strerror", None) or _brief(error)
            return self._unreachable(f"no NETCONF session at {settings.address}: {reason}")
        return error

    def send(self, what: str, body: str) -> Sent:
        """Queue one request and return at once; `body` is the operation's XML."""
        session = self._session
        if session is None or not self.alive:
            raise self._unreachable("the NETCONF session has ended")
        request = _Request(session, asyncio.get_running_loop())
        try:
            session.send(f'<rpc xmlns="{NC}" message-id="{request.id}">{body}</rpc>')
        except NCClientError as error:
            raise self._unreachable(f"the NETCONF session has ended: {error}") from None
        return Sent(what, request.answer)

    async def receive(self, sent: Sequence[Sent], deadline_s: float) -> list[Reply]:
        """Await the replies to these requests, all within one deadline; after it the session is cut."""
        replies = []
        try:
            async with asyncio.timeout(deadline_s):
                if sent and not self._was_answered:
                    what = sent[0].what
                    await self._wake(sent[0])
                for request in sent:
                    what = request.what
                    replies.append(await self._parsed(await request.answer))
                    self.heard_at = asyncio.get_running_loop().time()
        except TimeoutError:
            self.cut()
            raise self._unreachable(f"no answer to {what} within {deadline_s:g} s") from None
        except (NCClientError, OSError, EOFError, SSHException) as error:
            self.cut()
            problem = f"the session ended while waiting for the answer to {what}: {_brief(error)}"
            raise self._unreachable(problem) from None
        except (etree.XMLSyntaxError, UnicodeError) as error:
            self.cut()
            raise self._unreachable(f"the answer to {what} is not well-formed: {error}") from None
        return replies

    async def _wake(self, first: Sent) -> None:
        """Await any answer to the first request of this session; a server that keeps silent is asked something more.

        One that reads our hello and this request in one piece may take the hello and leave the request lying until
        anything else arrives (netconfd of yuma123, 2.13, on a busy machine).
        """
        answer = asyncio.ensure_future(first.answer)
        done, _ = await asyncio.wait({answer}, timeout=FIRST_ANSWER_S)
        if not done:
            self.send("the question whether it is there", op.get_config(op.NOTHING))
            await asyncio.wait({answer})
        self._was_answered = True

    async def call(self, what: str, body: str, deadline_s: float) -> Reply:
        """Send one request and await its reply."""
        return (await self.receive([self.send(what, body)], deadline_s))[0]

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run what computes or blocks on one of the domain's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    def cut(self) -> None:
        """End the connection without a word; every thread that waits on it wakes up and ends."""
        self._is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Say goodbye, briefly."""
        if self.alive:
            with contextlib.suppress(DomainError):
                await self.call("close-session", "<close-session/>", 1.0)
        self.cut()

    async def _parsed(self, text: str) -> Reply:
        if len(text) < LONG_REPLY_CHARACTERS:
            return parse_reply(text)
        reply: Reply = await self.in_thread(parse_reply, text)
        return reply

    def _unreachable(self, problem: str) -> DomainUnreachableError:
        return DomainUnreachableError(self.domain, problem)


def _open_socket(host: str, port: int, timeout_s: float) -> socket.socket:
    """Connect without Nagle's delay, and let the kernel notice a peer that vanished."""
    connection = socket.create_connection((host, port), timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if _TCP_USER_TIMEOUT is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(DEAD_PEER_S * 1000))
    return connection


def _brief(error: Exception) -> str:
    """Return the first line: ncclient appends its buffers, which may hold a whole configuration."""
    return (str(error).splitlines() or [type(error).__name__])[0]
